import struct

import pytest

from services.tokenizer.media.sound import sound_tokens


def wav(seconds: int, rate: int) -> bytes:
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF" + bytes(4) + head + b"data" + bytes(4) + bytes(seconds * rate * 2)


def test_a_wav_counts_by_its_length() -> None:
    """Ten tokens a second, whatever the sampling rate."""
    for rate in (8_000, 48_000):
        tokens, bound = sound_tokens(wav(6, rate), "wav", 10)
        assert tokens in (60, 61)
        assert 0 < bound < 1000


@pytest.mark.parametrize("data", [b"x", b"RIFF0000WAVEfmt " + bytes(40), b"RIFF" * 20])
def test_a_broken_wav_is_a_rough_estimate(data: bytes) -> None:
    """Without a sane header the count is at least one token and its bound is wide."""
    tokens, bound = sound_tokens(data, "wav", 10)
    assert tokens >= 1
    assert bound == 1000


def test_an_mp3_is_a_rough_estimate() -> None:
    """An MP3's bit rate is not read: 64 kbit/s, and the bound says so."""
    assert sound_tokens(bytes(80_000), "mp3", 10) == (100, 1000)
