"""What is kept of an answer, and what names a request's body."""

import asyncio
import hmac
from collections.abc import Iterator

from google.rpc import status_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.errors import RemoteError, StatusError
from gateway.providers.join import pieces_of

# Serialising and hashing more than this takes longer than the loop may be kept.
INLINE_BYTES_MAX = 256 * 1024
ANSWER_BYTES_MAX = 8 * 1024 * 1024
_ANSWERED, _FAILED = b"R", b"E"
# Refusals with nothing asked of a provider: the same request may fare better later.
_BEFORE_ANY_CALL = frozenset(
    {
        "KEY_INVALID",
        "REQUEST_INVALID",
        "OVERLOADED",
        "RATE_LIMITED",
        "MODEL_UNKNOWN",
        "MODEL_UNPRICED",
        "MODEL_NOT_ALLOWED",
        "NO_CANDIDATE",
        "BUDGET_EXCEEDED",
        "SERVICE_UNAVAILABLE",
        "CIRCUIT_OPEN",
        "FLEET_CHANGING",
    }
)

AnyRequest = pb.CompleteRequest | pb.StreamCompleteRequest


async def body_hash(request: AnyRequest, key: bytes) -> str:
    """64 hex digits, equal for equal bodies: model, prompt and options, but not the key itself,
    nor whether the answer is streamed."""
    if request.ByteSize() > INLINE_BYTES_MAX:
        return await asyncio.to_thread(_hash, request, key)
    return _hash(request, key)


def _hash(request: AnyRequest, key: bytes) -> str:
    options = pb.RequestOptions()
    options.CopyFrom(request.options)
    options.ClearField("idempotency_key")
    pieces = (
        request.model.encode(),
        request.prompt.SerializeToString(deterministic=True),
        options.SerializeToString(deterministic=True),
    )
    sized = b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)
    return hmac.digest(key, sized, "sha256").hex()


def is_kept(status: status_pb2.Status) -> bool:
    """Whether a failure is the answer from now on."""
    return RemoteError(status).reason not in _BEFORE_ANY_CALL


def packed(answer: pb.CompleteResponse) -> bytes:
    """An answer to keep; empty when it is too large."""
    body = _ANSWERED + answer.SerializeToString()
    return body if len(body) <= ANSWER_BYTES_MAX else b""


def packed_failure(status: status_pb2.Status) -> bytes:
    """A failure to keep."""
    told: bytes = status.SerializeToString()
    return _FAILED + told


def unpacked(kept: bytes) -> pb.CompleteResponse:
    """The answer, marked as told again. Raises: StatusError, as it failed."""
    if kept[:1] == _FAILED:
        raise StatusError(status_pb2.Status.FromString(kept[1:]))
    answer = pb.CompleteResponse.FromString(kept[1:])
    answer.summary.idempotent_replay = True
    return answer


def as_stream(answer: pb.CompleteResponse) -> Iterator[pb.StreamCompleteResponse]:
    """A whole answer as a stream brings it."""
    for choice in answer.choices:
        for delta in pieces_of(choice):
            yield pb.StreamCompleteResponse(delta=delta)
    yield pb.StreamCompleteResponse(summary=answer.summary)
