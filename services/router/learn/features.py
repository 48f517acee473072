"""Numbers from the text of a prompt, many prompts at once. No language is assumed.

A prompt is first made plain: letter case folded, every run of white space one blank, a greeting
left out, and of a very long one only its beginning and its end are kept. What follows is
counting: bytes by class, words, marks of options, formulas and code, and hashed pieces of words
(`pieces`), so that a typo, another case or another line break moves little.
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from math import log1p

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HEAD_CHARS_MAX = 6_000
TAIL_CHARS_MAX = 2_000
WORD_BYTES_MAX = 24
OPENING_WORDS_MAX = 8
OPENING_COMMA_WORDS_MAX = 2
PIECES = 4_096
# Prompts of a batch are hashed together as long as their numbers fit into a core's cache.
GROUP_BYTES_MAX = 32_768

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
    form.format(mark).encode() for mark in "abcdefghij" for form in ("{}.", "{})", "({})", "{}:")
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
    options = [n for n, word in enumerate(words) if word in _OPTIONS]
    spread = (len(words) - options[0]) / len(options) if options else 0.0
    last = text.rstrip(b' ")')[-1:]
    return (
        log1p(len(words)),
        sum(sizes) / count,
        sum(size > 7 for size in sizes) / count,
        len(set(words)) / count,
        log1p(len(figures)),
        sum(map(len, figures)) / max(len(figures), 1),
        float(min(len(options), 12)),
        log1p(spread),
        float(last == b"?"),
        float(b"__" in text or b"??" in text),
    )


def pieces(texts: Sequence[bytes]) -> Floats:
    """One row of PIECES weights a prompt: hashed words, word pairs and runs of bytes, unit long."""
    rows = np.zeros((len(texts), PIECES), dtype=np.float32)
    for begin, end in _groups(texts):
        part = texts[begin:end]
        hashed = [*_words(part), *_runs(part)]
        owner = np.concatenate([each[0] for each in hashed])
        found = (np.concatenate([each[1] for each in hashed]) * _MULTIPLIER) >> _PIECE_SHIFT
        places = owner * PIECES + found.astype(np.int64)
        counted = np.bincount(places, minlength=len(part) * PIECES)
        rows[begin:end] = counted.reshape(len(part), PIECES)
    np.sqrt(rows, out=rows)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return rows


def _groups(texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Runs of prompts to be worked on together, GROUP_BYTES_MAX each or a single one."""
    begin = size = 0
    for place, text in enumerate(texts):
        if size + len(text) > GROUP_BYTES_MAX and place > begin:
            yield begin, place
            begin, size = place, 0
        size += len(text)
    if begin < len(texts):
        yield begin, len(texts)


def _words(texts: Sequence[bytes]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Hashes of words and of pairs of neighbours, each with its prompt's place."""
    split = [text.split() for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(words) for words in split])
    marks = b".,;:!?()\"'"
    crc = zlib.crc32
    hashes = [crc(word[:WORD_BYTES_MAX].strip(marks)) for word in chain.from_iterable(split)]
    words = np.array(hashes, dtype=np.uint64)
    yield owner, words
    together = owner[:-1] == owner[1:]
    pairs = words[:-1] * _BASE + words[1:] + np.uint64(7)
    yield owner[:-1][together], pairs[together]


def _runs(texts: Sequence[bytes]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Hashes of all runs of so many bytes, each with its prompt's place."""
    codes = np.frombuffer(b"".join(texts), dtype=np.uint8).astype(np.uint64) + np.uint64(1)
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    value, length = np.zeros(len(codes), dtype=np.uint64), 0
    for wanted in _GRAMS:
        if len(codes) < wanted:
            return
        while length < wanted:
            count = len(codes) - length
            value = value[:count] * _BASE + codes[length:]
            length += 1
        # A run over the end of a prompt into the next is none.
        whole = owner[: len(value)] == owner[length - 1 :]
        yield owner[: len(value)][whole], value[whole] * np.uint64(length)
