"""Ridge regression, on whichever side is smaller."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """`slopes`: columns x targets; `offset`: one number a target."""

    slopes: Floats
    offset: Floats

    def predict(self, rows: Floats) -> Floats:
        """One row of targets a row."""
        predicted: Floats = rows @ self.slopes + self.offset
        return predicted


def fit_linear(rows: Floats, targets: Floats, shrink: float, weights: Floats) -> Linear:
    """Weighted least squares with a penalty of `shrink` on the slopes. `targets`: 2-D."""
    total = weights.sum()
    centre = (weights @ rows) / total
    level = (weights @ targets) / total
    scaled = np.sqrt(weights)[:, None]
    left, right = (rows - centre) * scaled, (targets - level) * scaled
    if len(rows) < rows.shape[1]:
        inner = left @ left.T
        inner.flat[:: len(inner) + 1] += shrink
        slopes = left.T @ np.linalg.solve(inner, right)
    else:
        inner = left.T @ left
        inner.flat[:: len(inner) + 1] += shrink
        slopes = np.linalg.solve(inner, left.T @ right)
    slopes = slopes.astype(np.float32)
    return Linear(slopes, (level - centre @ slopes).astype(np.float32))
