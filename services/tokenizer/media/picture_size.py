"""A picture's size, read from the first bytes of a data: URL. Nothing is decoded but the header.

Sources: PNG (ISO 15948), GIF89a, JPEG (ITU T.81), WebP container (RFC 9649).
"""

import base64
import binascii
import re
from typing import Final

# The size of a JPEG comes after its metadata: usually soon, after thumbnails and colour profiles
# sometimes late.
_HEADER_BYTES: Final = (6 * 1024, 512 * 1024 + 1024)

_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,32}(;[^,;]{0,64}){0,4};base64,", re.IGNORECASE)
# Start-of-frame markers of JPEG: all of C0 to CF but DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset(range(0xD0, 0xD8)) | {0x01}


def size_in_data_url(url: str) -> tuple[int, int] | None:
    """(width, height) in pixels, or None when the URL holds no picture that we can read."""
    match = _DATA_URL.match(url)
    if match is None:
        return None
    for header_bytes in _HEADER_BYTES:
        encoded = url[match.end() : match.end() + header_bytes // 3 * 4]
        try:
            size = size_in(base64.b64decode(encoded[: len(encoded) // 4 * 4]))
        except (binascii.Error, ValueError):
            return None
        if size is not None:
            return size
    return None


def size_in(header: bytes) -> tuple[int, int] | None:
    """The same from a file's first bytes."""
    size = None
    if header.startswith(b"\x89PNG\r\n\x1a\n") and header[12:16] == b"IHDR":
        size = _big(header[16:20]), _big(header[20:24])
    elif header[:6] in (b"GIF87a", b"GIF89a"):
        size = _little(header[6:8]), _little(header[8:10])
    elif header.startswith(b"\xff\xd8"):
        size = _jpeg(header)
    elif header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        size = _webp(header)
    return size if size is not None and min(size) > 0 else None


def _jpeg(header: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(header):
        if header[at] != 0xFF:
            return None
        marker = header[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAMES:
            return _big(header[at + 7 : at + 9]), _big(header[at + 5 : at + 7])
        else:
            length = _big(header[at + 2 : at + 4])
            if length < 2:
                return None
            at += 2 + length
    return None


def _webp(header: bytes) -> tuple[int, int] | None:
    kind = header[12:16]
    if kind == b"VP8X" and len(header) >= 30:
        return _little(header[24:27]) + 1, _little(header[27:30]) + 1
    if kind == b"VP8L" and len(header) >= 25 and header[20] == 0x2F:
        bits = _little(header[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and header[23:26] == b"\x9d\x01\x2a" and len(header) >= 30:
        return _little(header[26:28]) & 0x3FFF, _little(header[28:30]) & 0x3FFF
    return None


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
