"""How well an order of prompts spends the strong model's calls: APGR, CPT and their intervals.

Definitions: Ong et al. 2024 (RouteLLM). With the prompts sorted by how much they seem to need the
strong model, the performance gap recovered (PGR) at a share of strong calls is the part of the
gap between always-weak and always-strong that has been closed. APGR is its mean over all shares
(a random order: 0.50), CPT(x) the smallest share that closes x of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GAP_MIN = 1e-9
DRAWS = 200
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Curve:
    """`apgr` and `cpt` are shares from 0 to 1; None where strong is no better than weak."""

    apgr: float
    cpt50: float
    cpt80: float


def curve(need: Array, weak: Array, strong: Array) -> Curve | None:
    """The curve of an order. `need`: higher goes to the strong model first; ties are shared.

    `weak` and `strong` are the outcomes, 0 to 1, of the same prompts. None when always-strong is
    not better than always-weak: there is no gap to recover.
    """
    recovered = _recovered(need, strong - weak)
    if recovered is None:
        return None
    shares = np.linspace(0.0, 1.0, len(recovered))
    return Curve(
        apgr=float(np.trapezoid(recovered, shares)),
        cpt50=float(shares[np.argmax(recovered >= 0.5)]),
        cpt80=float(shares[np.argmax(recovered >= 0.8)]),
    )


def apgr_interval(
    need: Array, weak: Array, strong: Array, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float] | None:
    """The 95 % interval of APGR by drawing prompts again. None when the gap itself is not sure."""
    count = len(need)
    found = []
    for _ in range(draws):
        rows = rng.integers(0, count, count)
        drawn = curve(need[rows], weak[rows], strong[rows])
        if drawn is None:
            return None
        found.append(drawn.apgr)
    low, high = np.percentile(found, INTERVAL)
    return float(low), float(high)


def _recovered(need: Array, gain: Array) -> Array | None:
    total = float(gain.sum())
    if total <= GAP_MIN:
        return None
    order = np.argsort(-need, kind="stable")
    _, groups, sizes = np.unique(-need[order], return_inverse=True, return_counts=True)
    # Prompts with the same score come in no order: each stands for the mean of its group.
    means = np.bincount(groups, weights=gain[order]) / sizes
    return np.concatenate([[0.0], np.cumsum(means[groups])]) / total
