"""How long a sound file plays, read from its headers. Nothing is decoded.

Sources: WAVE (Microsoft and IBM, 1991), MPEG audio (ISO 11172-3, 13818-3), ID3v2.4, and the
Xing and VBRI tags as encoders write them.
"""

from typing import Final, NamedTuple

# A file that says nothing of its length is walked so far; the rest is taken to be like that.
FRAMES_MAX: Final = 20_000

_RATES: Final = {  # by version: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
_KBITS_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_1: Final = 3
_LAYER_3: Final = 1
_MONO: Final = 3
_STREAMED: Final = (0, 0xFFFFFFFF)


class Length(NamedTuple):
    """It plays for `amount / a_second` seconds."""

    amount: int
    a_second: int


def wav_length(data: bytes) -> Length | None:
    """Of a WAV file: bytes of sound, and how many of them make a second."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"fmt ":
            rate = int.from_bytes(data[at + 16 : at + 20], "little")
        elif kind == b"data":
            left = len(data) - at - 8
            # Whoever writes a stream does not know its size when it begins.
            sound = left if size in _STREAMED else min(size, left)
            return Length(sound, rate) if rate and sound else None
        at += 8 + size + size % 2
    return None


class _Frame(NamedTuple):
    size: int
    samples: int
    rate: int
    # Where the first frame's tag stands, if it has one.
    tag_at: int


def mp3_length(data: bytes) -> Length | None:
    """Of an MP3 file: samples, and how many of them make a second."""
    at = _after_id3(data)
    first = _frame(data, at)
    if first is None:
        return None
    tagged = _tagged_frames(data, at, first)
    if tagged:
        return Length(tagged * first.samples, first.rate)
    begin, samples, frames = at, 0, 0
    frame: _Frame | None = first
    while frame is not None and frames < FRAMES_MAX:
        samples += frame.samples
        frames += 1
        at += frame.size
        frame = _frame(data, at)
    if frame is not None:
        samples = samples * (len(data) - begin) // (at - begin)
    return Length(samples, first.rate)


def _after_id3(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:  # seven bits each
        size = size << 7 | byte & 0x7F
    return 10 + size


def _frame(data: bytes, at: int) -> _Frame | None:
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbits_at, rate_at, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if layer != _LAYER_3 or version not in _RATES or rate_at > 2 or not 0 < kbits_at < 15:
        return None
    first_version = version == _MPEG_1
    rate = _RATES[version][rate_at]
    kbits = (_KBITS_1 if first_version else _KBITS_2)[kbits_at]
    samples = 1152 if first_version else 576
    mono = head[3] >> 6 == _MONO
    side = (17 if mono else 32) if first_version else (9 if mono else 17)
    return _Frame(samples // 8 * kbits * 1000 // rate + padding, samples, rate, 4 + side)


def _tagged_frames(data: bytes, at: int, first: _Frame) -> int:
    """How many frames the tag in the first one tells; 0 when there is none."""
    tag = at + first.tag_at
    if data[tag : tag + 4] in (b"Xing", b"Info") and data[tag + 7 : tag + 8]:
        return int.from_bytes(data[tag + 8 : tag + 12], "big") if data[tag + 7] & 1 else 0
    vbri = at + 36
    if data[vbri : vbri + 4] == b"VBRI":
        return int.from_bytes(data[vbri + 14 : vbri + 18], "big")
    return 0
