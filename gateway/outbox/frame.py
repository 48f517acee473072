"""How a record lies in a file: a header with length and checksum, then the bytes.

Pure: bytes in, bytes out. What the checksum does not vouch for is not there.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# CRC-32 over the rest of the header and the data; length of the data; position; kind.
_HEADER = struct.Struct(">IIQB")
_CRC_BYTES = 4
HEADER_BYTES = _HEADER.size
# CRC-32 over the position; position.
_ACK = struct.Struct(">IQ")
_POSITION = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Frame:
    """One record. Positions grow and are never given twice."""

    position: int
    # One byte: what the data is.
    kind: int
    data: bytes


def encode(frame: Frame) -> bytes:
    """The record as it lies in a file."""
    header = _HEADER.pack(0, len(frame.data), frame.position, frame.kind)[_CRC_BYTES:]
    crc = zlib.crc32(frame.data, zlib.crc32(header))
    return crc.to_bytes(_CRC_BYTES, "big") + header + frame.data


def decode(content: bytes, data_bytes_max: int) -> tuple[list[Frame], int]:
    """The records in a file up to the first byte that cannot be one, and where that is.

    A file torn by a crash, cut at any byte, gives what was whole in it and nothing else.
    """
    frames: list[Frame] = []
    at = 0
    while at + HEADER_BYTES <= len(content):
        crc, length, position, kind = _HEADER.unpack_from(content, at)
        end = at + HEADER_BYTES + length
        if length > data_bytes_max or end > len(content):
            break
        if zlib.crc32(content[at + _CRC_BYTES : end]) != crc:
            break
        frames.append(Frame(position, kind, content[at + HEADER_BYTES : end]))
        at = end
    return frames, at


def encode_ack(position: int) -> bytes:
    """The note that a record is done with."""
    return _ACK.pack(zlib.crc32(_POSITION.pack(position)), position)


def decode_acks(content: bytes) -> Iterator[int]:
    """The positions in a file of notes; one that is torn or damaged is passed over."""
    whole = len(content) - len(content) % _ACK.size
    for crc, position in _ACK.iter_unpack(content[:whole]):
        if zlib.crc32(_POSITION.pack(position)) == crc:
            yield position
