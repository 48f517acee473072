"""An answer as the store keeps it: bytes that know their own place.

version (1 byte) | seal (16) | store time, ms since 1970 (8, big endian) | spendgate.cache.v1.Answer

The seal is a BLAKE2b over the place and everything after it. It finds rot, and it also finds a
whole value that belongs elsewhere, for instance when a connection answers out of step: a
value is never served for a place it was not stored at.
"""

import hashlib
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from spendgate.cache.v1 import cache_service_pb2 as pb

VERSION = 1
SEAL_BYTES = 16
TIME_BYTES = 8
HEAD_BYTES = 1 + SEAL_BYTES + TIME_BYTES


class BadValue(Exception):
    """Bytes that are no value of this version for this place."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer with the moment it was stored, in milliseconds since 1970."""

    answer: pb.Answer
    store_time_ms: int


def pack(place: str, answer: pb.Answer, store_time_ms: int) -> bytes:
    """The value to keep at `place`."""
    body = store_time_ms.to_bytes(TIME_BYTES, "big") + answer.SerializeToString()
    return bytes([VERSION]) + _seal(place, body) + body


def unpack(place: str, value: bytes) -> Kept:
    """What `pack` was given. Raises BadValue."""
    if len(value) < HEAD_BYTES or value[0] != VERSION:
        raise BadValue
    body = value[1 + SEAL_BYTES :]
    if _seal(place, body) != value[1 : 1 + SEAL_BYTES]:
        raise BadValue
    try:
        answer = pb.Answer.FromString(body[TIME_BYTES:])
    except DecodeError:
        raise BadValue from None
    return Kept(answer, int.from_bytes(body[:TIME_BYTES], "big"))


def _seal(place: str, body: bytes) -> bytes:
    seal = hashlib.blake2b(digest_size=SEAL_BYTES, key=bytes([VERSION]))
    seal.update(len(place).to_bytes(4, "big"))
    seal.update(place.encode())
    seal.update(body)
    return seal.digest()
