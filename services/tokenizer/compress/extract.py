"""Extractive compression: the sentences that say most about the rest, and about the question.

A sentence's score is the cosine of its TF-IDF vector with the text's centroid plus, with more
weight, with the question's vector. Chosen sentences keep their order; code is one sentence.
"""

import math
from collections import Counter
from collections.abc import Callable

import regex  # type: ignore[import-untyped]  # it ships no types

from services.tokenizer.compress.lossless import is_json
from services.tokenizer.compress.spans import FENCES, outside
from services.tokenizer.texts import sentences

_TERM = regex.compile(r"[\p{L}\p{N}_]+|\p{Han}")
_HAN = regex.compile(r"\p{Han}")
_QUERY_WEIGHT = 2.0
# A short text has nothing to choose from.
SENTENCES_MIN = 4


def extract(text: str, keep_permille: int, query: str, count: Callable[[str], int]) -> str:
    """About `keep_permille` of the text's tokens, never more; the text itself when it is short.

    The best sentence is always kept, even when it alone is over the target.
    """
    if is_json(text):
        return text
    pieces: list[str] = []
    for piece, free in outside(text, FENCES):
        pieces.extend(sentences.split(piece) if free else [piece])
    if len(pieces) < SENTENCES_MIN:
        return text
    budget = count(text) * keep_permille // 1000
    chosen: set[int] = set()
    said: set[str] = set()
    for place in _ranked(pieces, query):
        sentence = pieces[place].strip()
        if sentence in said:
            continue  # once is enough
        said.add(sentence)
        cost = count(pieces[place])
        if not chosen or cost <= budget:
            chosen.add(place)
            budget -= cost
    return "".join(pieces[place] for place in sorted(chosen))


def terms_of(text: str) -> Counter[str]:
    """Words in lower case; Chinese characters each by itself."""
    found = Counter(_TERM.findall(text.lower()))
    for word in [word for word in found if len(word) > 1 and _HAN.search(word)]:
        times = found.pop(word)
        for sign in word:
            found[sign] += times
    return found


def _ranked(pieces: list[str], query: str) -> list[int]:
    """Places, best first; ties in order."""
    terms = [terms_of(piece) for piece in pieces]
    spread = Counter(term for each in terms for term in each)
    weigh = {term: math.log(1 + len(pieces) / times) for term, times in spread.items()}
    vectors = [{term: times * weigh[term] for term, times in each.items()} for each in terms]
    centroid: Counter[str] = Counter()
    for vector in vectors:
        centroid.update(vector)
    asked = {term: weigh.get(term, 0.0) for term in terms_of(query)}
    scores = [
        _cosine(vector, centroid) + _QUERY_WEIGHT * _cosine(vector, asked) for vector in vectors
    ]
    return sorted(range(len(pieces)), key=lambda place: (-scores[place], place))


def _cosine(left: "dict[str, float]", right: "dict[str, float] | Counter[str]") -> float:
    dot = sum(weight * right.get(term, 0.0) for term, weight in left.items())
    norm = math.sqrt(sum(w * w for w in left.values()) * sum(w * w for w in right.values()))
    return dot / norm if norm else 0.0
