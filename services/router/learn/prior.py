"""The shipped predictor: what public outcomes say about a prompt before any of the tenant's own.

It is one file of arrays (see training/card.md). It tells three things of a prompt: a vector for
learning from a tenant's outcomes, how much a strong model would gain over a weak one (`need`), and
the expected score, 0 to 1, of models like the weak and the strong ones it was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.router.learn import features
from services.router.learn.trees import Trees

Floats = NDArray[np.float32]

FILE = "prior.npz"
FILE_BYTES_MAX = 200_000


@dataclass(frozen=True, slots=True)
class PriorArrays:
    """What the file holds. `heads` are the named models, in the order of the head arrays."""

    centre: Floats
    scale: Floats
    projection: NDArray[np.int8]
    step: Floats
    shift: Floats
    need_columns: NDArray[np.int16]
    need_edges: Floats
    need_leaves: Floats
    need_slopes: Floats
    need_parts: Floats
    tier_columns: NDArray[np.int16]
    tier_edges: Floats
    tier_leaves: Floats
    tier_offsets: Floats
    heads: NDArray[np.str_]
    head_columns: NDArray[np.int16]
    head_edges: Floats
    head_leaves: Floats
    head_slopes: Floats
    head_offsets: Floats


NEED_TREES, NEED_SLOPES, NEED_LENGTH = 1.0, 0.7, 0.2
"""How the three signs of need are weighed: trees, topic, length."""
VECTOR_LIMIT = 4.0
"""Standard deviations at which a column of the vector is cut off."""


class Prior:
    """Reads prompts as rows of numbers. Pure; about 0.1 ms a prompt in a batch."""

    def __init__(self, arrays: PriorArrays) -> None:
        self.arrays = arrays
        self._projection = arrays.projection.astype(np.float32) * arrays.step
        self._need = Trees(arrays.need_columns, arrays.need_edges, arrays.need_leaves)
        # Three blocks of the same size: the score of all models, of weak ones, of strong ones.
        self._tiers = [
            Trees(*block)
            for block in zip(
                *(np.split(a, 3) for a in (arrays.tier_columns, arrays.tier_edges)),
                np.split(arrays.tier_leaves, 3),
                strict=True,
            )
        ]
        self.names: Mapping[str, int] = {str(n): i for i, n in enumerate(arrays.heads)}

    @classmethod
    def shipped(cls) -> "Prior":
        """The one that comes with the package."""
        return cls.read(files("services.router.learn").joinpath(FILE).read_bytes())

    @classmethod
    def read(cls, content: bytes) -> "Prior":
        """From the bytes of a file."""
        with np.load(BytesIO(content), allow_pickle=False) as found:
            kept: dict[str, Any] = {f.name: _wide(found[f.name]) for f in fields(PriorArrays)}
        return cls(PriorArrays(**kept))

    def vectors(self, texts: Sequence[str]) -> Floats:
        """One row a prompt: its numbers, then its topic, each column about one wide."""
        encoded = features.encoded(texts)
        count = (features.numbers(encoded) - self.arrays.centre) / self.arrays.scale
        topic = features.pieces(encoded) @ self._projection - self.arrays.shift
        rows: Floats = np.clip(np.hstack([count, topic]), -VECTOR_LIMIT, VECTOR_LIMIT)
        return rows

    def need(self, vectors: Floats) -> Floats:
        """0 to 1, higher where a strong model gains more. Made for ordering, not a probability."""
        grown, topic, length = need_parts(vectors, self._need, self.arrays.need_slopes)
        (grown_mean, grown_wide), (topic_mean, topic_wide) = self.arrays.need_parts
        z = (
            NEED_TREES * (grown - grown_mean) / grown_wide
            + NEED_SLOPES * (topic - topic_mean) / topic_wide
            + NEED_LENGTH * length
        )
        share: Floats = 1 / (1 + np.exp(-z))
        return share

    def tiers(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Expected score of a weak and of a strong model, each 0 to 1, strong at least weak."""
        _, weak_off, strong_off = self.arrays.tier_offsets
        weak = np.clip(self._tiers[1].predict(vectors) + weak_off, 0, 1)
        strong = np.clip(self._tiers[2].predict(vectors) + strong_off, 0, 1)
        return weak, np.maximum(weak, strong)

    def quality(self, vectors: Floats, names: Sequence[str]) -> Floats:
        """Expected score, 0 to 1, of models the prior knows by name: prompts x models."""
        arrays = self.arrays
        level = self._tiers[0].predict(vectors) + arrays.tier_offsets[0]
        columns = []
        for name in names:
            row = self.names[name]
            own = Trees(arrays.head_columns[row], arrays.head_edges[row], arrays.head_leaves[row])
            straight = vectors @ arrays.head_slopes[row] + arrays.head_offsets[row]
            columns.append(level + straight + own.predict(vectors))
        scores: Floats = np.clip(np.stack(columns, axis=1), 0, 1)
        return scores


def need_parts(vectors: Floats, trees: Trees, slopes: Floats) -> tuple[Floats, Floats, Floats]:
    """The three signs of need: trees, a line through the topic, and how long the prompt is."""
    return trees.predict(vectors), vectors @ slopes, vectors[:, 0]


def _wide(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array.astype(np.float32) if array.dtype == np.float16 else array
