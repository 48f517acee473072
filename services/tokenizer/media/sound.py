"""What sound costs: tokens by the second (OpenAI: one for 100 ms heard; Gemini: 32 a second)."""

from typing import Final

from services.tokenizer.media.sound_length import Length, mp3_length, wav_length

# How the vendors cut silence and round is not published.
KNOWN_BOUND_PERMILLE: Final = 200
# Between speech at 32 kbit/s and music at 320 kbit/s.
UNKNOWN_BYTES_PER_SECOND: Final = {"mp3": 8_000, "wav": 32_000}
UNKNOWN_BOUND_PERMILLE: Final = 1_000


def sound_tokens(data: bytes, kind: str, tokens_per_second: int) -> tuple[int, int]:
    """(tokens, bound in permille) of a "wav" or "mp3" file, rounded up.

    A file that does not tell its length is taken for speech at a usual bit rate.
    """
    length = wav_length(data) if kind == "wav" else mp3_length(data)
    bound = UNKNOWN_BOUND_PERMILLE if length is None else KNOWN_BOUND_PERMILLE
    amount, a_second = length or Length(len(data), UNKNOWN_BYTES_PER_SECOND[kind])
    return -(-amount * tokens_per_second // a_second), bound
