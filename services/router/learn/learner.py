"""What a tenant's own outcomes say: nearest labelled prompts, a ridge line and small trees.

Nearest neighbours count from the first labels on; the line and the trees need a few hundred and
are fitted in the background. How far to trust the tenant's outcomes against the prior is told by
`closeness` and the number of labels: far from everything labelled the prior speaks alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.router.learn.linear import Linear, fit_linear
from services.router.learn.trees import Trees, fit_trees

Floats = NDArray[np.float32]

NEIGHBOURS = 50
BLOCK = 8
LIKENESS_NUMBERS_MAX = 25_000
NEIGHBOURS_NAMED = 3
LIKENESS_POWER, LIKENESS_MIN = 6, 1e-4
LABELS_MAX = 5_000
LINE_LABELS_MIN = 100
TREES_LABELS_MIN = 200
TREES, DEPTH, RATE = 120, 3, 0.06
LINE_SHRINK, TREE_SHRINK = 300.0, 50.0
# A model's neighbours count as this many votes of its mean beside them.
MEAN_VOTES = 0.5
# With this many labels of a model its own outcomes weigh as much as the prior.
PRIOR_LABELS = 20.0
VARIANCE_MIN = 0.01
_UNIT_MIN = 1e-6


@dataclass(frozen=True, slots=True)
class Outlook:
    """For each prompt (rows) and model (columns): expected score, its error, trust in own labels.

    `spread` is one standard error of `quality`; `trust` is 0 (prior alone) to 1; `nearest` are
    places of labelled prompts, nearest first.
    """

    quality: Floats
    spread: Floats
    trust: Floats
    nearest: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Head:
    mean: float
    labels: float
    line: Linear | None
    trees: Trees | None

    def predict(self, rows: Floats) -> Floats:
        if self.line is None:
            return np.full(len(rows), self.mean, dtype=np.float32)
        line = self.line.predict(rows)[:, 0]
        if self.trees is None:
            return line
        # Trees know the better once there are labels for them; the line steadies them.
        both = (line + 2 * (self.mean + self.trees.predict(rows))) / 3
        return both.astype(np.float32)


class Learner:
    """Fitted on one tenant's labels. `scores`: prompts x models, NaN where not asked."""

    def __init__(
        self,
        vectors: Floats,
        scores: Floats,
        weights: Floats,
        rng: np.random.Generator,
        *,
        grow: bool = True,
        heads: "Learner | None" = None,
    ) -> None:
        self._unit = _unit(vectors)
        self._scores = np.nan_to_num(scores)
        self._asked = ~np.isnan(scores) * weights[:, None]
        # Lines and trees of an earlier one serve on while there are few new labels.
        if heads is not None and heads.width == vectors.shape[1]:
            self._heads: list[_Head] = heads._heads
        else:
            self._heads = [
                _head(vectors, scores[:, column], weights, rng, grow=grow)
                for column in range(scores.shape[1])
            ]
        sample = self._unit[rng.permutation(len(self._unit))[:256]]
        # The second nearest of labelled prompts themselves: how close "close" is here.
        close = np.sort(sample @ self._unit.T, axis=1)[:, -min(6, len(self._unit))]
        self._usual = max(float(np.median(close)), 0.05)

    @property
    def width(self) -> int:
        """Columns of a vector."""
        return int(self._unit.shape[1])

    @property
    def means(self) -> Floats:
        """The mean score of each model."""
        return np.array([head.mean for head in self._heads], dtype=np.float32)

    def outlook(self, vectors: Floats, prior: Floats) -> Outlook:
        """Own outcomes blended with what the `prior` (prompts x models) says."""
        found, likeness = self._nearest(_unit(vectors))
        like = np.maximum(likeness, 0.0) ** LIKENESS_POWER + LIKENESS_MIN
        votes = like[:, :, None] * self._asked[found]
        voted = votes.sum(axis=1)
        means, ones = self.means, like.mean(axis=1)[:, None]
        near_score = ((votes * self._scores[found]).sum(1) + MEAN_VOTES * ones * means) / (
            voted + MEAN_VOTES * ones
        )
        fitted = np.stack([head.predict(vectors) for head in self._heads], axis=1)
        grown = np.array([head.line is not None for head in self._heads])
        own = np.where(grown, (near_score + fitted) / 2, near_score)
        nearest = found[:, :NEIGHBOURS_NAMED]
        closest = likeness[:, :NEIGHBOURS_NAMED].mean(axis=1)
        closeness = np.clip(closest / self._usual, 0, 1)[:, None] ** 2
        labels = np.array([head.labels for head in self._heads], dtype=np.float32)
        trust = closeness * labels / (labels + PRIOR_LABELS)
        quality = trust * own + (1 - trust) * prior
        # A score from 0 to 1 with this mean varies at most so much, whatever it is made of.
        varies = np.clip(own * (1 - own), VARIANCE_MIN, 0.25)
        effective = np.maximum(voted / ones, 1.0)
        spread = np.sqrt(trust**2 * varies / effective + (1 - trust) ** 2 * PRIOR_SPREAD**2)
        return Outlook(
            np.clip(quality, 0, 1).astype(np.float32),
            spread.astype(np.float32),
            trust.astype(np.float32),
            nearest,
        )

    def _nearest(self, unit: Floats) -> tuple[NDArray[np.int64], Floats]:
        """The places of the most similar labelled prompts of each row, and how similar they are;
        the nearest first. A few rows at a time: their likeness to all labels stays in the cache."""
        kept = min(NEIGHBOURS, len(self._unit))
        found = np.empty((len(unit), kept), np.int64)
        like = np.empty((len(unit), kept), np.float32)
        step = max(1, LIKENESS_NUMBERS_MAX // len(self._unit))
        for begin in range(0, len(unit), step):
            part = slice(begin, begin + step)
            likeness = unit[part] @ self._unit.T
            found[part] = _most_like(likeness, kept)
            like[part] = np.take_along_axis(likeness, found[part], axis=1)
        return found, like


PRIOR_SPREAD = 0.15
"""How far the prior is off, in standard deviations of a mean score on traffic it has not seen."""


def _head(
    vectors: Floats, scores: Floats, weights: Floats, rng: np.random.Generator, *, grow: bool
) -> _Head:
    rows = np.flatnonzero(~np.isnan(scores))
    if not len(rows):
        return _Head(0.5, 0.0, None, None)
    own, weight = scores[rows], weights[rows]
    mean = float(np.average(own, weights=weight))
    line = trees = None
    if grow and len(rows) >= LINE_LABELS_MIN:
        line = fit_linear(vectors[rows], own[:, None], LINE_SHRINK, weight)
    if grow and len(rows) >= TREES_LABELS_MIN:
        trees = fit_trees(
            vectors[rows],
            (own - mean).astype(np.float32),
            weight,
            count=TREES,
            depth=DEPTH,
            rate=RATE,
            ridge=TREE_SHRINK,
            rng=rng,
        )
    return _Head(mean, float(weight.sum()), line, trees)


def _most_like(likeness: Floats, kept: int) -> NDArray[np.int64]:
    """The places of the `kept` highest of each row, highest first.

    The highest of every BLOCK numbers, taken at equal distances, are looked at first: the kept-th
    of those is a bound that few numbers reach, which is faster than ordering whole rows.
    """
    rows, count = likeness.shape
    blocks = count // BLOCK
    if blocks < 2 * kept:
        return np.argsort(-likeness, axis=1)[:, :kept]
    tops = likeness[:, : blocks * BLOCK].reshape(rows, BLOCK, blocks).max(axis=1)
    least = np.partition(tops, blocks - kept, axis=1)[:, blocks - kept]
    found = np.empty((rows, kept), np.int64)
    for place in range(rows):
        row = likeness[place]
        near = np.flatnonzero(row >= least[place])
        found[place] = near[np.argsort(-row[near])[:kept]]
    return found


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _UNIT_MIN)
    return unit


def with_embedding(vectors: Floats, embeddings: Sequence[Floats | None], width: int) -> Floats:
    """Vectors with the prompts' embeddings beside them, zeros where there is none.

    Both halves weigh alike in likeness: an embedding is made as long as its row.
    """
    if width == 0:
        return vectors
    beside = np.zeros((len(vectors), width), dtype=np.float32)
    for row, vector, embedding in zip(beside, vectors, embeddings, strict=True):
        if embedding is not None and len(embedding) == width:
            long = np.linalg.norm(vector) / max(float(np.linalg.norm(embedding)), _UNIT_MIN)
            row[:] = embedding * long
    return np.hstack([vectors, beside])
