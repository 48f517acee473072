"""What sound costs: tokens by the second, seconds from the header or from a usual bit rate."""

from typing import Final

# The rate in a WAV header is the file's own; how the vendor cuts silence is not known.
WAV_BOUND_PERMILLE: Final = 200
# Between speech at 32 kbit/s and music at 320 kbit/s.
MP3_BYTES_PER_SECOND: Final = 8_000
MP3_BOUND_PERMILLE: Final = 1_000
# 16 kHz, 16 bit, mono: taken where a WAV header makes no sense.
_WAV_BYTES_PER_SECOND: Final = 32_000


def sound_tokens(data: bytes, kind: str, tokens_per_second: int) -> tuple[int, int]:
    """(tokens, bound in permille) of a "wav" or "mp3" file, rounded up."""
    if kind == "wav":
        rate, bound = _wav_rate(data), WAV_BOUND_PERMILLE
        if rate is None:
            rate, bound = _WAV_BYTES_PER_SECOND, MP3_BOUND_PERMILLE
    else:
        rate, bound = MP3_BYTES_PER_SECOND, MP3_BOUND_PERMILLE
    return -(-len(data) * tokens_per_second // rate), bound


def _wav_rate(data: bytes) -> int | None:
    """Bytes a second by the "fmt " chunk, which comes first in almost every file."""
    if data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt " or len(data) < 32:
        return None
    rate = int.from_bytes(data[28:32], "little")
    return rate if rate > 0 else None
