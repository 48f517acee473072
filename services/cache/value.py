"""An entry as the store keeps it: bytes that know their own place.

version (1 byte) | seal (16) | store time, ms since 1970 (8, big endian) | coding (1) | key id (1)
| body: a StoredEntry, compressed where that pays, encrypted where the operator has set a key

The seal is a BLAKE2b over the place and everything after it. It finds rot, and it also finds a
whole value that belongs elsewhere, for instance when a connection answers out of step: a
value is never served for a place it was not stored at.
"""

import hashlib
from dataclasses import dataclass

import zstandard
from google.protobuf.message import DecodeError
from spendgate.cache.v1 import stored_pb2

from services.cache.sealing import Sealer, SealingFailed

VERSION = 2
SEAL_BYTES = 16
TIME_BYTES = 8
HEAD_BYTES = 1 + SEAL_BYTES + TIME_BYTES + 2
# Shorter bodies do not shrink.
COMPRESS_BYTES_MIN = 256
# Faster than Redis sends the bytes, and nearly as small as slower levels.
COMPRESS_LEVEL = 3
BODY_BYTES_MAX = 128 * 1024 * 1024
COMPRESSED, ENCRYPTED = 1, 2


class BadValue(Exception):
    """Bytes that are no value of this version for this place."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry with the moment it was stored, in milliseconds since 1970."""

    entry: stored_pb2.StoredEntry
    store_time_ms: int


class Codec:
    """Packs and unpacks values. One thread at a time may use a Codec."""

    def __init__(self, sealer: Sealer | None = None) -> None:
        """`sealer` encrypts what is packed; without one, values are readable in Redis."""
        self._sealer = sealer
        self._squeeze = zstandard.ZstdCompressor(level=COMPRESS_LEVEL, write_checksum=False)
        self._expand = zstandard.ZstdDecompressor()

    @classmethod
    def like(cls, other: "Codec") -> "Codec":
        """A codec for another thread, with the same keys."""
        return cls(other._sealer)

    def pack(self, place: str, entry: stored_pb2.StoredEntry, store_time_ms: int) -> bytes:
        """The value to keep at `place`."""
        body = entry.SerializeToString()
        coding = key_id = 0
        if len(body) >= COMPRESS_BYTES_MIN:
            squeezed = self._squeeze.compress(body)
            if len(squeezed) < len(body):
                body, coding = squeezed, COMPRESSED
        if self._sealer is not None:
            key_id, body = self._sealer.seal(place, body)
            coding |= ENCRYPTED
        rest = store_time_ms.to_bytes(TIME_BYTES, "big") + bytes([coding, key_id]) + body
        return bytes([VERSION]) + _seal(place, rest) + rest

    def unpack(self, place: str, value: bytes) -> Kept:
        """What `pack` was given. Raises BadValue."""
        if len(value) < HEAD_BYTES or value[0] != VERSION:
            raise BadValue
        rest = value[1 + SEAL_BYTES :]
        if _seal(place, rest) != value[1 : 1 + SEAL_BYTES]:
            raise BadValue
        coding, key_id = rest[TIME_BYTES], rest[TIME_BYTES + 1]
        body = rest[TIME_BYTES + 2 :]
        try:
            if coding & ENCRYPTED:
                body = self._opened(place, key_id, body)
            if coding & COMPRESSED:
                body = self._expand.decompress(body, max_output_size=BODY_BYTES_MAX)
            entry = stored_pb2.StoredEntry.FromString(body)
        except (DecodeError, zstandard.ZstdError):
            raise BadValue from None
        return Kept(entry, int.from_bytes(rest[:TIME_BYTES], "big"))

    def _opened(self, place: str, key_id: int, body: bytes) -> bytes:
        if self._sealer is None:
            raise BadValue
        try:
            return self._sealer.open(place, key_id, body)
        except SealingFailed:
            raise BadValue from None


def _seal(place: str, rest: bytes) -> bytes:
    seal = hashlib.blake2b(digest_size=SEAL_BYTES, key=bytes([VERSION]))
    seal.update(len(place).to_bytes(4, "big"))
    seal.update(place.encode())
    seal.update(rest)
    return seal.digest()
