"""Numbers from the text of a prompt, many prompts at once. No language is assumed.

A prompt is first made plain: letter case folded, every run of white space one blank, a greeting
left out, and of a very long one only its beginning and its end are kept. What follows is
counting: bytes by class, words, marks of options, formulas and code, and hashed pieces of words
(`pieces`), so that a typo, another case or another line break moves little.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HEAD_CHARS_MAX = 6_000
TAIL_CHARS_MAX = 2_000
WORD_BYTES_MAX = 24
OPENING_WORDS_MAX = 8
OPENING_COMMA_WORDS_MAX = 2
PIECES = 4_096

_CLASSES = {
    "digits": b"0123456789",
    "vowels": b"aeiou",
    "letters": b"abcdefghijklmnopqrstuvwxyz",
    "commas": b",;",
    "stops": b".!",
    "questions": b"?",
    "colons": b":",
    "quotes": b"\"'`",
    "round": b"()",
    "brackets": b"[]{}",
    "operators": b"+-*/=<>^~",
    "formula": b"\\$^_",
    "code": b"_;{}#",
    "percent": b"%",
    "blanks": b" ",
    "wide": bytes(range(128, 256)),
}
_COUNTED = tuple(_CLASSES)
_TABLE = np.zeros((256, len(_COUNTED)), dtype=np.float32)
for _column, _members in enumerate(_CLASSES.values()):
    _TABLE[list(_members), _column] = 1.0

NAMES = (
    "length", "words", "word_length", "long_words", "distinct_words", "numbers", "number_length",
    "options", "option_length", "clause_length", "entropy", "ends_asking", "blank_to_fill",
    *(f"{name}_share" for name in _COUNTED),
    *(f"{name}_count" for name in _COUNTED),
)  # fmt: skip
"""What the columns of `numbers` are, in order."""

# A rolling hash looks at this many bytes at a time.
_GRAMS = (4, 6)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BASE = np.uint64(1_000_003)
_PIECE_SHIFT = np.uint64(64 - PIECES.bit_length() + 1)
_OPTIONS = frozenset(
    form.format(mark) for mark in "abcdefghij" for form in ("{}.", "{})", "({})", "{}:")
)


def plain(text: str) -> str:
    """The text as it is counted: folded case, single blanks, its beginning and end."""
    if len(text) > HEAD_CHARS_MAX + TAIL_CHARS_MAX:
        text = f"{text[:HEAD_CHARS_MAX]} {text[-TAIL_CHARS_MAX:]}"
    words = text.casefold().split()
    return " ".join(words[_opening(words) :])


def _opening(words: Sequence[str]) -> int:
    """Words of a short first sentence with much more after it: a greeting says nothing of a task.

    Told by punctuation alone. At most OPENING_WORDS_MAX, or two before a comma.
    """
    if len(words) < 3 * OPENING_WORDS_MAX:
        return 0
    for place, word in enumerate(words[:OPENING_WORDS_MAX]):
        if word[-1] in "!.。！" and (len(word) > 2 or place > 0):
            return 0 if word[0].isdigit() else place + 1
        if word[-1] in ",，、" and place < OPENING_COMMA_WORDS_MAX:
            rest = _opening(words[place + 1 :])
            return place + 1 + (rest if rest <= OPENING_WORDS_MAX else 0)
    return 0


def encoded(texts: Sequence[str]) -> list[bytes]:
    """The prompts as `numbers` and `pieces` take them."""
    return [plain(text).encode("utf-8", "replace") for text in texts]


def numbers(texts: Sequence[bytes]) -> Floats:
    """One row of len(NAMES) numbers a prompt."""
    count = len(texts)
    flat = np.frombuffer(b"".join(texts), dtype=np.uint8)
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    owner = np.repeat(np.arange(count), sizes)
    bytes_seen = np.bincount(owner * 256 + flat, minlength=count * 256).reshape(count, 256)
    counts = bytes_seen.astype(np.float32) @ _TABLE
    size = np.maximum(sizes, 1).astype(np.float32)[:, None]
    share = bytes_seen / size
    entropy = -(share * np.log(share, where=share > 0, out=np.zeros_like(share))).sum(1)
    words = np.array([_word_numbers(text) for text in texts], dtype=np.float32)
    clauses = counts[:, _COUNTED.index("stops")] + counts[:, _COUNTED.index("commas")] + 1
    columns = [
        np.log1p(size[:, 0]),
        *words.T[:8],
        np.log1p(size[:, 0] / clauses),
        entropy,
        *words.T[8:],
    ]
    return np.hstack([np.stack(columns, axis=1), counts / size, np.log1p(counts)], dtype=np.float32)


def _word_numbers(text: bytes) -> tuple[float, ...]:
    words = text.split()
    count = max(len(words), 1)
    sizes = [len(word) for word in words]
    figures = [word for word in words if word[:1].isdigit() or word[1:2].isdigit()]
    options = [n for n, word in enumerate(words) if word.decode("latin-1") in _OPTIONS]
    spread = (len(words) - options[0]) / len(options) if options else 0.0
    last = text.rstrip(b' ")')[-1:]
    return (
        float(np.log1p(len(words))),
        sum(sizes) / count,
        sum(size > 7 for size in sizes) / count,
        len(set(words)) / count,
        float(np.log1p(len(figures))),
        sum(map(len, figures)) / max(len(figures), 1),
        float(min(len(options), 12)),
        float(np.log1p(spread)),
        float(last == b"?"),
        float(b"__" in text or b"??" in text),
    )


def pieces(texts: Sequence[bytes]) -> Floats:
    """One row of PIECES weights a prompt: hashed words, word pairs and runs of bytes, unit long."""
    count = len(texts)
    rows = np.zeros((count, PIECES), dtype=np.float32)
    for place, text in enumerate(texts):
        words = np.array(
            [zlib.crc32(word[:WORD_BYTES_MAX].strip(b".,;:!?()\"'")) for word in text.split()],
            dtype=np.uint64,
        )
        hashed = [words, words[:-1] * _BASE + words[1:] + np.uint64(7), *_runs(text)]
        found = (np.concatenate(hashed) * _MULTIPLIER) >> _PIECE_SHIFT
        rows[place] = np.bincount(found.astype(np.int64), minlength=PIECES)
    np.sqrt(rows, out=rows)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return rows


def _runs(text: bytes) -> list[NDArray[np.uint64]]:
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.uint64) + np.uint64(1)
    runs = []
    for length in _GRAMS:
        if len(codes) < length:
            continue
        value = np.zeros(len(codes) - length + 1, dtype=np.uint64)
        for place in range(length):
            value = value * _BASE + codes[place : len(codes) - length + 1 + place]
        runs.append(value * np.uint64(length))
    return runs
