"""IdempotencyService: proto in, call, proto out."""

import re
from typing import Any

from spendgate.cache.v1 import idempotency_pb2 as pb
from spendgate.cache.v1 import idempotency_pb2_grpc as rpc

from chassis.errors import FieldViolation, InvalidFields
from services.cache.errors import AnswerTooLarge, TtlInvalid
from services.cache.once import ANSWER_BYTES_MAX, HASH_CHARS, Once

SERVICE_NAME = "spendgate.cache.v1.IdempotencyService"
NAME_BYTES_MAX = 128
TOKEN_BYTES_MAX = 64
LEASE_MS_MAX = 60_000
TTL_SECONDS_MAX = 7 * 24 * 3600
_HASH = re.compile(f"[0-9a-f]{{{HASH_CHARS}}}")


class OnceServicer(rpc.IdempotencyServiceServicer):
    """Converts and calls."""

    def __init__(self, once: Once) -> None:
        self._once = once

    async def Claim(self, request: pb.ClaimRequest, context: Any) -> pb.ClaimResponse:
        """Takes a key, or says what is known of it."""
        _check(request)
        if not 1 <= request.lease_ms <= LEASE_MS_MAX:
            wanted = f"takes 1 to {LEASE_MS_MAX} ms"
            raise InvalidFields("LEASE_INVALID", FieldViolation("lease_ms", wanted))
        return await self._once.claim(request)

    async def Finish(self, request: pb.FinishRequest, context: Any) -> pb.FinishResponse:
        """Keeps what came of it, or gives the key back."""
        _check(request)
        if len(request.answer) > ANSWER_BYTES_MAX:
            raise AnswerTooLarge(len(request.answer), ANSWER_BYTES_MAX)
        if request.answer and not 1 <= request.ttl_seconds <= TTL_SECONDS_MAX:
            raise TtlInvalid(request.ttl_seconds, TTL_SECONDS_MAX)
        return pb.FinishResponse(kept=await self._once.finish(request))


def _check(request: pb.ClaimRequest | pb.FinishRequest) -> None:
    for name in ("tenant", "caller", "key"):
        if not 0 < len(getattr(request.place, name).encode()) <= NAME_BYTES_MAX:
            reason = "SCOPE_INVALID" if name == "tenant" else "KEY_INVALID"
            wanted = f"takes 1 to {NAME_BYTES_MAX} bytes"
            raise InvalidFields(reason, FieldViolation(f"place.{name}", wanted))
    if not _HASH.fullmatch(request.body_hash):
        wanted = f"takes {HASH_CHARS} hex digits"
        raise InvalidFields("KEY_INVALID", FieldViolation("body_hash", wanted))
    if not 0 < len(request.token.encode()) <= TOKEN_BYTES_MAX:
        wanted = f"takes 1 to {TOKEN_BYTES_MAX} bytes"
        raise InvalidFields("LEASE_INVALID", FieldViolation("token", wanted))
