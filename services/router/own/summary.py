"""What routing saved a tenant and how good the answers were. Whole numbers from used tokens.

The same tokens are priced at the baseline model. Another model would have written an answer of
another length: on the same prompts lengths differ by 0.55 to 1.2 (baseline to cheap, published
completions), so the baseline's cost comes with an interval.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from services.router.own.tenant import Tenant

LENGTH_LOW_PERCENT = 55
LENGTH_HIGH_PERCENT = 120
NORMAL_95 = 1.96
SPREAD_MIN = 0.05
DRAWS = 4_000


@dataclass(slots=True)
class ModelSum:
    """One model's calls."""

    calls: int = 0
    spent_nanos: int = 0
    scores: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """Amounts in nano-USD. `quality`: mean, lower and upper end, or None without labels."""

    calls: int
    spent_nanos: int
    baseline_nanos: int
    baseline_low_nanos: int
    baseline_high_nanos: int
    quality: tuple[float, float, float] | None
    labels: int
    models: Mapping[str, ModelSum]


def summary(
    tenant: Tenant, baseline: str | None, output_nanos: Callable[[int], int | None]
) -> Summary:
    """Sums a tenant up. `output_nanos`: what output tokens cost at the baseline, None: unpriced."""
    models: dict[str, ModelSum] = {}
    calls = spent = same = low = high = 0
    for told in tenant.outcomes.values():
        row = models.setdefault(told.model, ModelSum())
        if told.score is not None:
            row.scores.append(told.score)
        used = told.used
        if used is None or used.spent_nanos is None:
            continue
        row.calls += 1
        row.spent_nanos += used.spent_nanos
        calls += 1
        spent += used.spent_nanos
        if used.baseline_nanos is None:
            continue
        written = output_nanos(used.output_tokens) or 0
        shorter, longer = (0, 0) if told.model == baseline else _stretch(written)
        same += used.baseline_nanos
        low += used.baseline_nanos - shorter
        high += used.baseline_nanos + longer
    scores = [score for row in models.values() for score in row.scores]
    return Summary(
        calls,
        spent,
        same,
        low,
        high,
        interval(scores),
        len(scores),
        dict(sorted((name, row) for name, row in models.items())),
    )


def _stretch(nanos: int) -> tuple[int, int]:
    shorter = nanos * (100 - LENGTH_LOW_PERCENT) // 100
    return shorter, nanos * (LENGTH_HIGH_PERCENT - 100) // 100


def best_probabilities(scores: Mapping[str, list[float]]) -> Mapping[str, float]:
    """How sure it is that each model's true mean is the highest, from their labels alone.

    Normal means with the labels' own spread (at least SPREAD_MIN, for few equal labels prove
    little), drawn DRAWS times from a fixed start: the same labels, the same answer.
    """
    known = {name: each for name, each in scores.items() if each}
    if not known:
        return {}
    rng = np.random.default_rng(len(known))
    draws = []
    for each in known.values():
        spread = max(float(np.std(each)), SPREAD_MIN) / sqrt(len(each))
        draws.append(rng.normal(sum(each) / len(each), spread, DRAWS))
    best = np.bincount(np.argmax(draws, axis=0), minlength=len(known)) / DRAWS
    return dict(zip(known, best.tolist(), strict=True))


def interval(scores: list[float]) -> tuple[float, float, float] | None:
    """Mean, lower and upper end of its 95 % interval; None without scores."""
    if not scores:
        return None
    mean = sum(scores) / len(scores)
    spread = sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))
    half = NORMAL_95 * max(spread, SPREAD_MIN) / sqrt(len(scores))
    return mean, max(mean - half, 0.0), min(mean + half, 1.0)
