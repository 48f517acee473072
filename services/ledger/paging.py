"""Page tokens: opaque, good for the question they were given for only, and nothing but a place."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence

from services.ledger.rules.refusals import PageInvalid

_MAC_BYTES = 16
_TOKEN_CHARS_MAX = 4096

Place = Sequence[int | str]


class PageTokens:
    """Makes and reads page tokens. `secret` must be the same on every replica."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, b"spendgate page tokens", "sha256")

    def token(self, question: bytes, place: Place) -> str:
        """A token that stands for `place` in the answers to `question`."""
        body = json.dumps(list(place), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(question, body) + body).decode().rstrip("=")

    def place(self, question: bytes, token: str, field: str = "page_token") -> Place | None:
        """The place behind a token, None for "". Raises: PageInvalid for `field`."""
        if not token:
            return None
        try:
            if len(token) > _TOKEN_CHARS_MAX:
                raise ValueError
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(question, body)):
                raise ValueError
        except ValueError:
            raise PageInvalid(field, "is not one this service gave for it") from None
        place: Place = json.loads(body)
        return place

    def _mac(self, question: bytes, body: bytes) -> bytes:
        told = hashlib.sha256(question).digest()
        return hmac.digest(self._secret, told + body, "sha256")[:_MAC_BYTES]


def page_size(asked: int, *, default: int, most: int) -> int:
    """How many rows a page has. Raises: PageInvalid."""
    if not 0 <= asked <= most:
        raise PageInvalid("page_size", f"takes 0 (for {default}) to {most}, got {asked}")
    return asked or default
