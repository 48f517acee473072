"""From a virtual key to who calls; the ledger's word is kept for a stated while."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

import grpc
from spendgate.ledger.v1 import key_pb2

from chassis.auth import BEARER
from chassis.deadline import Deadline
from chassis.errors import RemoteError
from gateway.door import Identity
from gateway.errors import KeyInvalid, from_service
from gateway.limits.rules import Rates
from gateway.ports import Services

SECRET_BYTES_MAX = 512
RESOLVE_SECONDS_MAX = 5.0


class Keys:
    """Resolves secrets, each at most once at a time and once in `seconds_max`.

    What is kept is found by a hash of the whole secret under a key of this process, so that
    neither a dump nor equal beginnings of two secrets give anything away. A refusal is not kept:
    a key works as soon as it is made.
    """

    def __init__(
        self,
        services: Services,
        *,
        seconds_max: float,
        count_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._seconds_max = seconds_max
        self._count_max = count_max
        self._clock = clock
        self._hash_key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Identity]] = {}

    async def identify(self, authorization: str | None) -> Identity:
        """Who sent this `authorization` header.

        Raises: KeyInvalid; ServiceUnavailable when the ledger is away and the key not known.
        """
        if not authorization or not authorization.startswith(BEARER):
            raise KeyInvalid
        secret = authorization[len(BEARER) :].strip().encode("utf-8", "surrogateescape")
        if not 0 < len(secret) <= SECRET_BYTES_MAX:
            raise KeyInvalid
        digest = hmac.digest(self._hash_key, secret, hashlib.sha256)
        known = self._known.get(digest)
        if known is not None and known[0] > self._clock():
            return known[1]
        asking = self._asking.get(digest)
        if asking is None:
            asking = asyncio.create_task(self._ask(digest, secret))
            self._asking[digest] = asking
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        # Shielded: a caller that goes away must not take the others' answer with it.
        return await asyncio.shield(asking)

    async def _ask(self, digest: bytes, secret: bytes) -> Identity:
        try:
            text = secret.decode()
        except UnicodeDecodeError:
            raise KeyInvalid from None
        try:
            key = await self._services.resolve_key(text, Deadline.after(RESOLVE_SECONDS_MAX))
        except RemoteError as error:
            if error.code == grpc.StatusCode.UNAUTHENTICATED and error.reason == "KEY_INVALID":
                self._known.pop(digest, None)
                raise KeyInvalid from None
            raise from_service("ledger", error) from None
        identity = Identity(
            tenant=key.tenant,
            key_id=key.key_id,
            project=key.project,
            user=key.user,
            feature=key.feature,
            admin=key.role == key_pb2.KEY_ROLE_ADMIN,
            viewer=key.role == key_pb2.KEY_ROLE_VIEWER,
            allowed_models=tuple(key.allowed_models),
            limits=Rates(
                key.limits.requests_per_minute,
                key.limits.tokens_per_minute,
                key.limits.parallel_calls_max,
            ),
            tags=tuple(sorted(key.tags.items())),
        )
        self._known[digest] = (self._clock() + self._seconds_max, identity)
        self._known.move_to_end(digest)
        while len(self._known) > self._count_max:
            self._known.popitem(last=False)
        return identity
