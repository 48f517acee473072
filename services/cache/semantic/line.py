"""A logistic line by Newton steps, and the bound on a share: what a calibration is made of."""

import math

import numpy as np
from numpy.typing import NDArray

from services.cache.semantic.decide import Learned

Array = NDArray[np.float64]

RIDGE = 1.0
STEPS_MAX = 30
STEP_SMALL = 1e-6


def fit_line(rows: Array, right: Array) -> Learned:
    """The line through `rows` (n, k) that best tells `right` (n,) of 0 and 1; its cut is 0."""
    centre = rows.mean(0)
    scale = np.where(rows.std(0) > 1e-9, rows.std(0), 1.0)
    wide = np.hstack([(rows - centre) / scale, np.ones((len(rows), 1))])
    ridge = np.full(wide.shape[1], RIDGE)
    ridge[-1] = 1e-6
    weights = np.zeros(wide.shape[1])
    for _ in range(STEPS_MAX):
        p = 1 / (1 + np.exp(-np.clip(wide @ weights, -30, 30)))
        slope = wide.T @ (p - right) + ridge * weights
        curve = (wide * (p * (1 - p))[:, None]).T @ wide + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < STEP_SMALL:
            break
    return Learned(
        centre=tuple(map(float, centre)),
        scale=tuple(map(float, scale)),
        weights=tuple(map(float, weights[:-1])),
        intercept=float(weights[-1]),
        cut=0.0,
    )


def scores(line: Learned, rows: Array) -> Array:
    """The line's score of each row, as Learned.score."""
    found: Array = (rows - np.array(line.centre)) / np.array(line.scale) @ np.array(line.weights)
    return found + line.intercept


def share_upper(wrong: int, of: int, z: float) -> float:
    """Wilson's upper bound on a share seen as `wrong` in `of`, one-sided at `z` deviations."""
    if of == 0:
        return 1.0
    p = wrong / of
    square = z * z
    middle = p + square / (2 * of)
    width = z * math.sqrt(p * (1 - p) / of + square / (4 * of * of))
    return min(1.0, (middle + width) / (1 + square / of))


def share_lower(wrong: int, of: int, z: float) -> float:
    """Wilson's lower bound, likewise."""
    return 1.0 - share_upper(of - wrong, of, z) if of else 0.0
