"""Quality against dollars for each bound of the `target` policy, and which bound to propose.

Estimated on the tenant's own labels: each half of the prompts is decided by what the other half
teaches. Where the model that would be chosen has a label on a prompt, the label corrects the
prediction, weighted by how seldom that model is labelled (a doubly robust estimate; it takes
labels as asked for at random within a model).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.router.advice import ONE_SIDED
from services.router.learn.learner import Learner

Floats = NDArray[np.float32]

BOUNDS = (80, 85, 90, 93, 95, 97, 99, 100)
PROMPTS_MIN = 100
NORMAL_95 = 1.96
FOLDS = 2
SAVING_PERCENT_MIN = 5


@dataclass(frozen=True, slots=True)
class Point:
    """What to expect under a bound: mean score with its 95 % interval, mean nano-USD a call."""

    quality_percent_min: int
    quality: float
    low: float
    high: float
    nanos: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Points by ascending bound; the same for every call to the baseline model; on how many
    labelled prompts it stands."""

    points: Sequence[Point]
    baseline: Point
    prompts: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another bound for the `target` policy, with what is expected of it and of the present."""

    version: int
    expected: Point
    present: Point
    baseline: Point
    prompts: int

    @property
    def proposal_id(self) -> str:
        """Names this bound in this version: another curve makes another."""
        return f"v{self.version}-{self.expected.quality_percent_min}"


@dataclass(frozen=True, slots=True)
class Applied:
    """The bound that holds for a tenant, by the operator's word or by his leave."""

    version: int
    quality_percent_min: int
    seconds: float


def policy_curve(
    labelled: tuple[Floats, Floats, Floats],
    models: Sequence[str],
    nanos: Mapping[str, int],
    baseline: str | None,
    rng: np.random.Generator,
) -> Curve | None:
    """The curve; None while there are too few labels of the baseline and of anything cheaper.

    `labelled`: vectors, scores (prompts x models, NaN where not asked), weights. `nanos`: what a
    usual call costs at each model.
    """
    vectors, scores, weights = labelled
    priced = sorted((nanos[model], n) for n, model in enumerate(models) if model in nanos)
    if (
        baseline is None
        or baseline not in models
        or baseline not in nanos
        or len(vectors) < PROMPTS_MIN
    ):
        return None
    place = models.index(baseline)
    order = [column for cost, column in priced if cost <= nanos[baseline]]
    if len(order) < 2 or len(vectors) - int(np.isnan(scores[:, place]).sum()) < PROMPTS_MIN // 2:
        return None
    quality, low = _predicted(vectors, scores, weights, rng)
    costs = np.array([nanos.get(model, 0) for model in models], np.int64)
    points = []
    for bound in BOUNDS:
        meets = low >= (quality[:, [place]] * bound / 100)
        chosen = np.full(len(vectors), place)
        for column in reversed(order):
            chosen[meets[:, column]] = column
        points.append(_point(bound, chosen, quality, scores, costs))
    always = np.full(len(vectors), place)
    return Curve(points, _point(100, always, quality, scores, costs), len(vectors))


def propose(
    curve: Curve, present_percent: int, wanted_percent: int, version: int
) -> Proposal | None:
    """The cheapest bound that keeps what the operator wants, when it is better than the present.

    Kept: the lower end of the expected quality is at least `wanted_percent` of the baseline's.
    Better: it saves SAVING_PERCENT_MIN, or the present does not keep it even at its upper end.
    """
    floor = curve.baseline.quality * wanted_percent / 100
    present = min(curve.points, key=lambda p: abs(p.quality_percent_min - present_percent))
    safe = [point for point in curve.points if point.low >= floor]
    best = min(safe, key=lambda p: (p.nanos, -p.quality), default=curve.points[-1])
    if best.quality_percent_min == present.quality_percent_min:
        return None
    saves = best.nanos * 100 <= present.nanos * (100 - SAVING_PERCENT_MIN)
    falls_short = present.high < floor and best.quality > present.quality
    if not falls_short and not (safe and saves):
        return None
    return Proposal(version, best, present, curve.baseline, curve.prompts)


def _predicted(
    vectors: Floats, scores: Floats, weights: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Expected scores and their lower bounds, each half told by the other."""
    quality, low = np.zeros_like(scores), np.zeros_like(scores)
    folds = rng.permutation(len(vectors)) % FOLDS
    for fold in range(FOLDS):
        seen, rest = folds != fold, folds == fold
        learner = Learner(vectors[seen], scores[seen], weights[seen], rng, grow=False)
        flat = np.tile(learner.means, (int(rest.sum()), 1))
        outlook = learner.outlook(vectors[rest], flat)
        quality[rest] = outlook.quality
        low[rest] = np.maximum(outlook.quality - ONE_SIDED * outlook.spread, 0)
    return quality, low


def _point(
    bound: int,
    chosen: NDArray[np.int64],
    quality: Floats,
    scores: Floats,
    costs: NDArray[np.int64],
) -> Point:
    rows = np.arange(len(chosen))
    expected = quality[rows, chosen].astype(np.float64)
    told = scores[rows, chosen].astype(np.float64)
    asked = ~np.isnan(scores)
    chance = np.maximum(asked.mean(axis=0), 1 / len(chosen))[chosen]
    value = expected + np.where(asked[rows, chosen], (np.nan_to_num(told) - expected) / chance, 0)
    mean = float(np.clip(value.mean(), 0, 1))
    half = NORMAL_95 * float(value.std()) / len(value) ** 0.5
    return Point(
        bound,
        mean,
        max(mean - half, 0.0),
        min(mean + half, 1.0),
        int(costs[chosen].sum()) // len(chosen),
    )
