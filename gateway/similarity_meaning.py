"""How alike two answers are by what they mean: the cosine of embeddings."""

import asyncio
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import StatusError
from gateway.ports import Services
from gateway.similarity import FULL, Similarity

# Well within the 256 word pieces that the model reads.
PIECE_CHARS_MAX: Final = 800
# As many as one call takes; of longer answers the beginning counts.
PIECES_MAX: Final = 256
_SECONDS_MAX: Final = 30.0
_END: Final = re.compile(r"(?<=[.!?\u3002])\s+|\n+")


class EmbeddingSimilarity:
    """Cosine of the cache service's embeddings; where it has none, another way is taken.

    A text longer than the model reads is the mean of its pieces, weighted by their length.
    """

    def __init__(self, services: Services, otherwise: Similarity) -> None:
        self._services = services
        self._otherwise = otherwise

    async def of(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[int], str]:
        """See gateway.similarity.Similarity."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair if text.strip()))
        try:
            made = dict(zip(texts, await asyncio.gather(*map(self._vector, texts)), strict=True))
        except (StatusError, DeadlinePassed):
            return await self._otherwise.of(pairs)
        return [_cosine(made.get(one), made.get(other)) for one, other in pairs], "embedding"

    async def _vector(self, text: str) -> list[float]:
        pieces = list(islice(_pieces(text), PIECES_MAX))
        vectors = await self._services.embed_texts(pieces, Deadline.after(_SECONDS_MAX))
        weights = [len(piece) for piece in pieces]
        return [
            sum(weight * value for weight, value in zip(weights, values, strict=True))
            for values in zip(*vectors, strict=True)
        ]


def _pieces(text: str) -> Iterator[str]:
    """Whole sentences up to the size, longer ones cut."""
    piece = ""
    for sentence in _END.split(text):
        if piece and len(piece) + len(sentence) >= PIECE_CHARS_MAX:
            yield piece
            piece = ""
        piece = f"{piece} {sentence}".strip()
        while len(piece) > PIECE_CHARS_MAX:
            yield piece[:PIECE_CHARS_MAX]
            piece = piece[PIECE_CHARS_MAX:]
    if piece:
        yield piece


def _cosine(one: Sequence[float] | None, other: Sequence[float] | None) -> int:
    """Of two texts; None stands for one that says nothing."""
    if one is None or other is None:
        return FULL if one is other else 0
    norm = math.hypot(*one) * math.hypot(*other)
    cosine = sum(a * b for a, b in zip(one, other, strict=True)) / norm if norm else 0.0
    return max(0, min(FULL, round(cosine * FULL)))
