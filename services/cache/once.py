"""What is remembered of an idempotency key: who works on its request, then what came of it.

A record is a text of Redis with a life: "L", the body's hash and the holder's token while the
request is worked on, renewed by the holder; "A", the hash and the answer from then on. Each step is
one script, so that of callers at once on any replica one gets the key. The answer is compressed,
and encrypted with the tenant's key where the operator has set one.
"""

import zstandard
from spendgate.cache.v1 import idempotency_pb2 as pb

from services.cache import places
from services.cache.link import Link, raised, rows, whole
from services.cache.sealing import Sealer, SealingFailed

COMPRESS_LEVEL = 3
COMPRESS_BYTES_MIN = 256
ANSWER_BYTES_MAX = 8 * 1024 * 1024
COMPRESSED, ENCRYPTED = 1, 2
HASH_CHARS = 64

# KEYS: the place. ARGV: hash, token, lease in ms. Answers the state and what was kept.
_CLAIM = """
local kept = redis.call('GET', KEYS[1])
if not kept then
  redis.call('SET', KEYS[1], 'L' .. ARGV[1] .. ARGV[2], 'PX', ARGV[3])
  return {1}
end
if string.sub(kept, 2, 65) ~= ARGV[1] then return {4} end
if string.sub(kept, 1, 1) == 'A' then return {3, string.sub(kept, 66)} end
if string.sub(kept, 66) ~= ARGV[2] then return {2} end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1}
"""
# KEYS: the place. ARGV: hash, token, life in ms, answer ("": give the key back). A claim that
# lapsed and that nobody took is as good as held.
_FINISH = """
local kept = redis.call('GET', KEYS[1])
if kept and kept ~= 'L' .. ARGV[1] .. ARGV[2] then return 0 end
if ARGV[4] == '' then redis.call('DEL', KEYS[1]) return 1 end
redis.call('SET', KEYS[1], 'A' .. ARGV[1] .. ARGV[4], 'PX', ARGV[3])
return 1
"""


class AnswerUnreadable(Exception):
    """What was kept cannot be read any more: its encryption key is gone."""


class Once:
    """Records of idempotency keys. Every method raises StoreUnavailable."""

    def __init__(self, link: Link, sealer: Sealer | None) -> None:
        self._link = link
        self._sealer = sealer
        self._squeeze = zstandard.ZstdCompressor(level=COMPRESS_LEVEL)
        self._expand = zstandard.ZstdDecompressor()

    async def claim(self, request: pb.ClaimRequest) -> pb.ClaimResponse:
        """Takes the key, or says who has it. Raises: AnswerUnreadable."""
        where = place_of(request.place)
        command = (
            "EVAL", _CLAIM, 1, where, request.body_hash, request.token, request.lease_ms
        )  # fmt: skip
        (reply,) = await self._link.run([command])
        state, *rest = rows(raised(reply))
        response = pb.ClaimResponse(state=pb.ClaimState.Name(whole(state)))
        if rest:
            response.answer = self._unpack(where, rest[0])
        return response

    async def finish(self, request: pb.FinishRequest) -> bool:
        """Keeps the answer, or gives the key back. False: it is somebody else's by now."""
        where = place_of(request.place)
        packed = self._pack(where, request.answer) if request.answer else b""
        life_ms = request.ttl_seconds * 1000
        command = (
            "EVAL", _FINISH, 1, where, request.body_hash, request.token, life_ms, packed
        )  # fmt: skip
        (reply,) = await self._link.run([command])
        return raised(reply) == 1

    def _pack(self, where: str, answer: bytes) -> bytes:
        """coding (1 byte) | key id (1) | the answer."""
        body, coding, key_id = answer, 0, 0
        if len(body) >= COMPRESS_BYTES_MIN:
            body, coding = self._squeeze.compress(body), COMPRESSED
        if self._sealer is not None:
            key_id, body = self._sealer.seal(where, body)
            coding |= ENCRYPTED
        return bytes([coding, key_id]) + body

    def _unpack(self, where: str, packed: object) -> bytes:
        if not isinstance(packed, bytes) or len(packed) < 2:
            raise AnswerUnreadable
        coding, key_id, body = packed[0], packed[1], packed[2:]
        try:
            if coding & ENCRYPTED:
                if self._sealer is None:
                    raise AnswerUnreadable
                body = self._sealer.open(where, key_id, body)
            if coding & COMPRESSED:
                body = self._expand.decompress(body, max_output_size=ANSWER_BYTES_MAX)
        except (SealingFailed, zstandard.ZstdError):
            raise AnswerUnreadable from None
        return body


def place_of(place: pb.IdempotencyPlace) -> str:
    """Where a key's record lies: in its tenant's partition, under a hash of caller and key."""
    return places.once(place.tenant, place.caller, place.key)
