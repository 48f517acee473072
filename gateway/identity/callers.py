"""Every way to show who one is, behind one door; who is not let in is noted."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from chassis.auth import BEARER
from gateway.audit import Audit
from gateway.auth import Keys
from gateway.door import Identity
from gateway.errors import KeyInvalid
from gateway.identity.tokens import TOKEN_BYTES_MAX, Shown, Tokens, looks_like_token

CREDENTIAL_CHARS = 12


class Callers:
    """Virtual keys, and tokens where the fleet file names issuers.

    A token that was checked is known for a while, as keys are, by a keyed hash of all of it; never
    beyond its own time.
    """

    def __init__(
        self,
        keys: Keys,
        tokens: Tokens | None,
        audit: Audit,
        *,
        seconds_max: float,
        count_max: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is seconds since 1970."""
        self._keys = keys
        self._tokens = tokens
        self._audit = audit
        self._seconds_max = seconds_max
        self._count_max = count_max
        self._now = now
        self._hash_key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, Shown] = OrderedDict()

    def take_over(self, tokens: Tokens | None) -> None:
        """Other issuers, or other rules for them, hold from now on: nobody is known by the old."""
        self._tokens = tokens
        self._known.clear()

    async def identify(self, authorization: str | None) -> Identity:
        """Who sent this `authorization` header.

        Raises: KeyInvalid; ServiceUnavailable when who vouches is away and the caller not known.
        """
        secret = (authorization or "").removeprefix(BEARER).strip()
        shown = secret.encode("utf-8", "surrogateescape")[: TOKEN_BYTES_MAX + 1]
        try:
            if self._tokens is not None and looks_like_token(shown):
                if not (authorization or "").startswith(BEARER):
                    raise KeyInvalid
                return await self._by_token(self._tokens, shown)
            return await self._keys.identify(authorization)
        except KeyInvalid as error:
            told = self._digest(shown).hex()[:CREDENTIAL_CHARS] if shown else ""
            self._audit.refused(error.why, told)
            raise

    async def _by_token(self, tokens: Tokens, token: bytes) -> Identity:
        digest = self._digest(token)
        known = self._known.get(digest)
        if known is not None and known.until > self._now():
            return known.identity
        shown = await tokens.identify(token)
        if tokens is not self._tokens:
            return shown.identity  # Checked by rules that hold no more: not to be remembered.
        until = min(shown.until, self._now() + self._seconds_max)
        self._known[digest] = Shown(shown.identity, until)
        self._known.move_to_end(digest)
        while len(self._known) > self._count_max:
            self._known.popitem(last=False)
        return shown.identity

    def _digest(self, shown: bytes) -> bytes:
        return hmac.digest(self._hash_key, shown, hashlib.sha256)
