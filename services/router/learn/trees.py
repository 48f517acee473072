"""Small boosted trees as arrays. Every level of a tree asks one question of all its rows.

Such symmetric trees are a lookup: four answers make the number of a leaf. A batch is evaluated
in a handful of array operations, however many trees there are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BINS = 32


@dataclass(frozen=True, slots=True)
class Trees:
    """`columns` and `edges`: trees x depth; `leaves`: trees x 2**depth."""

    columns: NDArray[np.int16]
    edges: Floats
    leaves: Floats

    def predict(self, rows: Floats) -> Floats:
        """The sum over all trees, one number a row."""
        above = rows[:, self.columns] > self.edges
        weights = 1 << np.arange(self.columns.shape[1])
        leaf = above @ weights
        picked: Floats = np.take_along_axis(self.leaves, leaf.T, axis=1).sum(axis=0)
        return picked


def fit_trees(
    rows: Floats,
    target: Floats,
    weights: Floats,
    *,
    count: int,
    depth: int,
    rate: float,
    ridge: float,
    rng: np.random.Generator,
) -> Trees:
    """Least squares boosting on a random half of the rows a tree. `ridge`: shrinkage of leaves."""
    edges = np.quantile(rows, np.linspace(0, 1, BINS + 1)[1:-1], axis=0).astype(np.float32)
    binned = np.stack(
        [np.searchsorted(edges[:, c], rows[:, c], side="left") for c in range(rows.shape[1])]
    )
    left = target.astype(np.float64).copy()
    grown = []
    for _ in range(count):
        drawn = np.flatnonzero(rng.random(len(target)) < 0.5)
        columns, bins = _grow(binned[:, drawn], left[drawn], weights[drawn], depth, ridge)
        bits = (binned[columns] > bins[:, None]).astype(np.int64)
        leaf = (bits << np.arange(depth)[:, None]).sum(axis=0)
        total = np.bincount(leaf, weights=left * weights, minlength=2**depth)
        mass = np.bincount(leaf, weights=weights, minlength=2**depth)
        values = rate * total / (mass + ridge)
        left -= values[leaf]
        grown.append((columns, edges[bins, columns], values))
    return Trees(
        np.array([each[0] for each in grown], dtype=np.int16),
        np.array([each[1] for each in grown], dtype=np.float32),
        np.array([each[2] for each in grown], dtype=np.float32),
    )


def _grow(
    binned: NDArray[np.int64], left: NDArray[np.float64], weights: Floats, depth: int, ridge: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    leaf = np.zeros(len(left), dtype=np.int64)
    columns, bins = [], []
    for level in range(depth):
        best, choice = -1.0, (0, 0)
        for column, values in enumerate(binned):
            cell = leaf * BINS + values
            size = (1 << level) * BINS
            total = np.bincount(cell, weights=left * weights, minlength=size).reshape(-1, BINS)
            mass = np.bincount(cell, weights=weights, minlength=size).reshape(-1, BINS)
            low, low_mass = total.cumsum(1)[:, :-1], mass.cumsum(1)[:, :-1]
            high, high_mass = total.sum(1)[:, None] - low, mass.sum(1)[:, None] - low_mass
            gains = (low**2 / (low_mass + ridge) + high**2 / (high_mass + ridge)).sum(0)
            if gains.max() > best:
                best, choice = float(gains.max()), (column, int(gains.argmax()))
        columns.append(choice[0])
        bins.append(choice[1])
        leaf += (binned[choice[0]] > choice[1]) * (1 << level)
    return np.array(columns), np.array(bins)
