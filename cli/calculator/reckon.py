"""The arithmetic: each step takes its part of what the steps before it have left.

Exact fractions throughout; amounts are rounded to nano-USD once, half to even, and what a step
saved is the difference of two rounded amounts, so that the steps add up to the nano.
docs/calculator/ has the same arithmetic for the web page; tests hold both to one file of vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from cli.calculator.steps import BP, CASES, STEPS
from cli.calculator.workload import BUCKETS, Workload, WorkloadError

PICOS_PER_NANO = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """`saved_nanos` of a month in its place, `left_nanos` after it, `alone_nanos` by itself."""

    name: str
    saved_nanos: int
    left_nanos: int
    alone_nanos: int


@dataclass(frozen=True, slots=True)
class Case:
    """One of low, expected, high. The steps' savings add up to `saved_nanos`."""

    name: str
    steps: tuple[Step, ...]
    saved_nanos: int
    left_nanos: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a month costs now (`baseline_nanos`), by bucket, and in each case."""

    baseline_nanos: int
    buckets: Mapping[str, int]
    cases: Mapping[str, Case]


@dataclass(frozen=True, slots=True)
class _Base:
    """Picos by bucket: at today's prices, and how much of that the cheaper model would save."""

    now: Mapping[str, Fraction]
    gap: Mapping[str, Fraction]


def reckon(work: Workload) -> Reckoning:
    """All three cases. Raises WorkloadError when the month costs nothing."""
    base = _base(work)
    baseline = _nanos(_left(work, base, {}))
    cases = {case: _case(work, base, case, baseline) for case in CASES}
    return Reckoning(baseline, {name: _nanos(base.now[name]) for name in BUCKETS}, cases)


def history_hit(hit: Fraction, turns: int) -> Fraction:
    """The share of history that is not sent when a share `hit` of the requests are hits.

    The first turns of a conversation repeat, the later ones do not: k = hit x T turns served from
    the beginning on carry k(k - 1) of T(T - 1) parts of the history.
    """
    if turns == 1:
        return Fraction(0)
    return max(Fraction(0), hit * (hit * turns - 1) / (turns - 1))


def _base(work: Workload) -> _Base:
    now = dict.fromkeys(BUCKETS, Fraction(0))
    gap = dict.fromkeys(BUCKETS, Fraction(0))
    for row in work.rows:
        paid = work.full_picos(row, row.prices)
        for name in BUCKETS:
            now[name] += paid[name]
        if work.cheap is None:
            continue
        cheap = work.full_picos(row, work.cheap)
        if sum(cheap.values()) < sum(paid.values()):
            for name in BUCKETS:
                gap[name] += paid[name] - cheap[name]
    total = sum(now.values(), Fraction(0))
    if total == 0:
        raise WorkloadError("the month", "costs nothing: tell tokens and prices")
    scale = Fraction(1)
    if work.spend_nanos is not None:
        scale = work.spend_nanos * PICOS_PER_NANO * (1 / total)
    return _Base(
        {name: now[name] * scale for name in BUCKETS},
        {name: gap[name] * scale for name in BUCKETS},
    )


def _left(work: Workload, base: _Base, rates: Mapping[str, int]) -> Fraction:
    """Picos a month with these steps taken. A step that is not named takes nothing."""
    share = {step: Fraction(rates.get(step, 0), BP) for step in STEPS}
    asked = 1 - share["caching"]
    kept = 1 - share["compression"] * Fraction(work.tool_bp, BP)
    factor = {
        "instructions": asked * (1 - share["instructions"]),
        "history": (1 - history_hit(share["caching"], work.turns)) * (1 - share["context"]) * kept,
        "new": asked * kept,
        "output": asked,
    }
    left = sum((base.now[name] * factor[name] for name in BUCKETS), Fraction(0))
    routed = sum((base.gap[name] * factor[name] for name in BUCKETS), Fraction(0))
    left -= routed * share["routing"]
    return left * (1 - share["batch"] * Fraction(work.batch_discount_bp, BP))


def _case(work: Workload, base: _Base, case: str, baseline: int) -> Case:
    taken: dict[str, int] = {}
    steps, before = [], baseline
    for name in STEPS:
        rate = work.rates[name].of(case)
        alone = baseline - _nanos(_left(work, base, {name: rate}))
        taken[name] = rate
        left = _nanos(_left(work, base, taken))
        steps.append(Step(name, before - left, left, alone))
        before = left
    return Case(case, tuple(steps), baseline - before, before)


def _nanos(picos: Fraction) -> int:
    return round(picos * Fraction(1, PICOS_PER_NANO))
