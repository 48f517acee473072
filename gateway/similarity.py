"""How alike two answers are, in parts per thousand."""

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Protocol

FULL: Final = 1000
LABEL_CHARS_MAX: Final = 32
LABEL_WORDS_MAX: Final = 3
_GRAM_CHARS: Final = (3, 4, 5)
# A text this long is worth a thread; so much of one is looked at.
_OFF_LOOP_CHARS: Final = 2_000
TEXT_CHARS_MAX: Final = 50_000
_WORD = re.compile(r"\w+")
_EDGE = re.compile(r"^\W+|\W+$")


class Similarity(Protocol):
    """Compares texts by meaning. 1000: they say the same."""

    async def of(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[int], str]:
        """One number a pair, 0 to 1000, in order; and how they were compared, in one word."""
        ...


class LexicalSimilarity:
    """Cosine of words and character n-grams, for where no embeddings are to be had.

    It takes other words for the same meaning as a difference, so it is stricter than embeddings
    are: what passes it would pass them.
    """

    async def of(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[int], str]:
        """See Similarity."""
        if sum(len(one) + len(other) for one, other in pairs) > _OFF_LOOP_CHARS:
            return await asyncio.to_thread(_all, pairs), "lexical"
        return _all(pairs), "lexical"


def _all(pairs: Sequence[tuple[str, str]]) -> list[int]:
    vectors = {text: _vector(text) for pair in pairs for text in pair}
    return [_cosine(vectors[one], vectors[other]) for one, other in pairs]


def _vector(text: str) -> Counter[str]:
    words = _WORD.findall(text[:TEXT_CHARS_MAX].casefold())
    found: Counter[str] = Counter(words)
    line = " " + " ".join(words) + " "
    for size in _GRAM_CHARS:
        found.update(line[place : place + size] for place in range(len(line) - size + 1))
    return found


def _cosine(one: Counter[str], other: Counter[str]) -> int:
    if not one or not other:
        return FULL if not one and not other else 0
    dot = sum(times * other[gram] for gram, times in one.items() if gram in other)
    norm = sum(n * n for n in one.values()) * sum(n * n for n in other.values())
    return min(FULL, math.isqrt(dot * dot * FULL * FULL // norm))


async def compare(
    pairs: Sequence[tuple[str, str]], similarity: Similarity
) -> tuple[list[int], str]:
    """(one number a pair, how they were compared).

    JSON is equal or not, whatever its layout; so are labels and numbers of a few words.
    """
    texts = [text for pair in pairs for text in pair]
    values = [_json(text) for text in texts]
    if texts and all(value is not None for value in values):
        equal = [values[n] == values[n + 1] for n in range(0, len(values), 2)]
        return [FULL * same for same in equal], "json"
    if texts and all(_is_label(text) for text in texts):
        return [FULL * (_label(one) == _label(other)) for one, other in pairs], "exact"
    return await similarity.of(pairs)


def _json(text: str) -> Any:
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        return json.dumps(json.loads(stripped), sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _is_label(text: str) -> bool:
    return len(text) <= LABEL_CHARS_MAX and len(text.split()) <= LABEL_WORDS_MAX


def _label(text: str) -> str:
    return _EDGE.sub("", text.casefold())
