import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.context.convert import prepared_of
from services.tokenizer.media import sound_length
from services.tokenizer.media.sound import sound_tokens
from services.tokenizer.meter import Meter
from services.tokenizer.prepare import prepare

# MPEG-1 layer III, 44.1 kHz, stereo; the byte in the middle tells the bit rate.
KBITS = {32: 0x10, 64: 0x50, 128: 0x90, 320: 0xE0}


def wav(seconds: int, rate: int = 8_000, extra: bytes = b"", data_size: int | None = None) -> bytes:
    sound = bytes(seconds * rate * 2)
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    size = len(sound) if data_size is None else data_size
    return b"RIFF" + bytes(4) + head + extra + b"data" + struct.pack("<I", size) + sound


def mp3_frame(kbits: int, body: bytes = b"") -> bytes:
    size = 144 * kbits * 1000 // 44_100
    return (b"\xff\xfb" + bytes([KBITS[kbits], 0x00]) + body).ljust(size, b"\0")


def mp3(seconds: int, *kbits: int) -> bytes:
    frames = round(seconds * 44_100 / 1152)
    return b"".join(mp3_frame(kbits[place % len(kbits)]) for place in range(frames))


@pytest.mark.parametrize(("vendor", "tokens"), [(10, 600), (32, 1920)])
def test_the_published_minute(vendor: int, tokens: int) -> None:
    """A minute is 600 tokens for OpenAI (one for 100 ms), 1,920 for Gemini (32 a second)."""
    assert sound_tokens(wav(60), "wav", vendor)[0] == tokens
    assert sound_tokens(mp3(60, 128), "mp3", vendor)[0] == pytest.approx(tokens, abs=1)


@pytest.mark.parametrize(
    ("model", "tokens"), [("gpt-4o-audio-preview", 600), ("gemini-3-pro", 1920)]
)
def test_a_prompts_sound_counts_by_its_models_rate(
    meter_for: Callable[[str], Meter], model: str, tokens: int
) -> None:
    """In a prompt, beside what the chat format costs, and as an estimate with a bound."""
    part = chat.ContentPart(audio=chat.Audio(data=wav(60), format="wav"))
    prompt = chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[part])])
    meter = meter_for(model)
    answer = prepared_of(meter.model, prepare(prompt, meter))
    assert answer.parts.media_tokens == tokens
    assert answer.input.error_bound_permille > 0


def test_a_wav_counts_by_its_length() -> None:
    """Ten tokens a second, whatever the sampling rate and whatever stands before the sound."""
    other = b"LIST" + struct.pack("<I", 5) + b"title\0"
    for rate in (8_000, 48_000):
        for extra in (b"", other, other * 3):
            assert sound_tokens(wav(6, rate, extra), "wav", 10) == (60, 200)


@pytest.mark.parametrize("data_size", [0, 0xFFFFFFFF, 10**9])
def test_a_wav_that_was_streamed_counts_by_what_is_there(data_size: int) -> None:
    """A header that promises more than there is, or nothing, is not believed."""
    assert sound_tokens(wav(6, data_size=data_size), "wav", 10)[0] == 60


@pytest.mark.parametrize("data", [b"x", b"RIFF0000WAVEfmt " + bytes(40), b"RIFF" * 20, wav(0)])
def test_a_broken_wav_is_a_rough_estimate(data: bytes) -> None:
    """Without a sane header the count is at least one token and its bound is wide."""
    tokens, bound = sound_tokens(data, "wav", 10)
    assert tokens >= 1
    assert bound == 1000


@pytest.mark.parametrize("kbits", [(32,), (320,), (32, 320, 64)])
def test_an_mp3_counts_by_its_frames(kbits: tuple[int, ...]) -> None:
    """Constant or varying bit rate, with or without an ID3 tag: the seconds are the same."""
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(2 * 128 + 1)
    for before in (b"", tag):
        tokens, bound = sound_tokens(before + mp3(30, *kbits), "mp3", 10)
        assert tokens == pytest.approx(300, abs=1)
        assert bound == 200


def test_an_mp3_that_tells_its_frames_is_not_walked() -> None:
    """The Xing, Info and VBRI tags of an encoder are taken at their word."""
    told = struct.pack(">II", 1, 3828)
    for name in (b"Xing", b"Info"):
        data = mp3_frame(128, bytes(32) + name + told)
        assert sound_tokens(data, "mp3", 10)[0] == 1000  # 3,828 x 1152 / 44,100 = 100 s
    vbri = mp3_frame(128, bytes(32) + b"VBRI" + bytes(10) + struct.pack(">I", 3828))
    assert sound_tokens(vbri, "mp3", 10)[0] == 1000


def test_a_very_long_mp3_is_walked_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is taken to be like the part that was walked."""
    monkeypatch.setattr(sound_length, "FRAMES_MAX", 100)
    assert sound_tokens(mp3(60, 64), "mp3", 10)[0] == pytest.approx(600, abs=1)


def test_an_mp3_without_frames_is_a_rough_estimate() -> None:
    """What has no frame where one should be: 64 kbit/s, and the bound says so."""
    assert sound_tokens(bytes(80_000), "mp3", 10) == (100, 1000)


@given(data=st.binary(max_size=300), kind=st.sampled_from(["wav", "mp3"]))
def test_any_bytes_get_a_count(data: bytes, kind: str) -> None:
    """No file makes it fail, and none is free but the empty one."""
    heads = (b"", b"RIFF0000WAVE", wav(0)[:36], b"\xff\xfb\x90\x00", b"ID3\x04\x00\x00")
    for head in heads:
        tokens, bound = sound_tokens(head + data, kind, 10)
        assert tokens >= (1 if head + data else 0)
        assert bound in (200, 1000)
