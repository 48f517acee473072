import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tokenizer.media.picture_size import size_in, size_in_data_url


def png(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00"


def jpeg(width: int, height: int, before: bytes = b"", frame: int = 0xC0) -> bytes:
    jfif = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    sof = bytes((0xFF, frame)) + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + jfif + before + sof


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def vp8(width: int, height: int) -> bytes:
    return webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8))


def vp8l(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(8))


def vp8x(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", bytes(4) + sizes)


def data_url(picture: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


@pytest.mark.parametrize("make", [png, gif, jpeg, vp8, vp8l, vp8x])
@given(width=st.integers(1, 16_383), height=st.integers(1, 16_383))
def test_every_kind_tells_its_size(make, width: int, height: int) -> None:
    """Width and height come out of the header as they went in, also through a data: URL."""
    picture = make(width, height)
    assert size_in(picture) == (width, height)
    assert size_in_data_url(data_url(picture)) == (width, height)


@pytest.mark.parametrize("frame", [0xC1, 0xC2, 0xC9])
def test_a_jpeg_tells_its_size_after_its_metadata(frame: int) -> None:
    """A profile, a thumbnail with a size of its own and fill bytes do not hide a JPEG's size."""
    thumbnail = jpeg(160, 120)
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    profile = b"\xff\xe2" + struct.pack(">H", 60_000) + bytes(59_998)
    tables = b"\xff\xff\xff\xc4\x00\x05\x00\x00\x00"
    picture = jpeg(4032, 3024, exif + profile * 3 + tables, frame)
    assert size_in_data_url(data_url(picture, "image/jpeg")) == (4032, 3024)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://example.com/a.png",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,ü" * 3,
        "data:image/png,%89PNG",
        "data:text/plain;base64,aGVsbG8=",
        data_url(b"not a picture at all, only text"),
        data_url(png(0, 5)),
        data_url(png(10, 10)[:18]),
        data_url(b"\xff\xd8" + b"\xff" * 5000, "image/jpeg"),
        data_url(b"\xff\xd8\xff\xe0\x00\x00" + bytes(50), "image/jpeg"),
    ],
)
def test_what_is_no_picture_has_no_size(url: str) -> None:
    """A URL without a readable header is of unknown size, never an error."""
    assert size_in_data_url(url) is None


@given(
    start=st.sampled_from([b"", png(9, 9)[:16], gif(9, 9)[:6], b"\xff\xd8\xff", vp8(9, 9)[:16]]),
    rest=st.binary(max_size=200),
)
def test_any_bytes_are_read_safely(start: bytes, rest: bytes) -> None:
    """Garbage gives no size or a positive one."""
    size = size_in(start + rest)
    assert size is None or min(size) > 0
