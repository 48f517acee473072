"""The day in figures: pure arithmetic on whole numbers, and the checks that the demo stands on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cli.demo_money import percent, usd
from cli.demo_outcome import Outcome, Source

LATENCY_KINDS = ("hit", "miss")


@dataclass(frozen=True, slots=True)
class Books:
    """One row of the ledger's report. Money is nano-USD."""

    values: tuple[str, ...]
    requests: int
    hits: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_nanos: int
    counterfactual_nanos: int
    saved_nanos: Mapping[str, int]

    @property
    def saved_total_nanos(self) -> int:
        """Saved over all causes."""
        return sum(self.saved_nanos.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """What the day came to. Money from the ledger, counts and latencies from the callers."""

    requests: int
    answered: int
    provider_calls: int
    hits_exact: int
    hits_shared: int
    refused_by_budget: Mapping[str, int]
    failed: Mapping[str, int]
    near_misses: int
    wrong_hits: tuple[str, ...]
    surprises: tuple[str, ...]
    latency_us: Mapping[str, tuple[int, int]]
    total: Books
    by_feature: tuple[Books, ...]
    by_model: tuple[Books, ...]
    callers_saw_nanos: int
    wall_seconds: int

    @property
    def refused(self) -> int:
        """Requests that a budget stopped."""
        return sum(self.refused_by_budget.values())

    @property
    def books_balance(self) -> bool:
        """Charged and saved make up the counterfactual, and callers saw what was charged."""
        total = self.total
        adds_up = total.cost_nanos + total.saved_total_nanos == total.counterfactual_nanos
        return adds_up and self.callers_saw_nanos == total.cost_nanos

    @property
    def problems(self) -> tuple[str, ...]:
        """What must not be: the demo fails on any of these."""
        found = []
        if self.wrong_hits:
            found.append(f"served from another question's answer: {', '.join(self.wrong_hits)}")
        if not self.books_balance:
            found.append("the ledger's sums and the callers' sums differ")
        if self.failed:
            words = ", ".join(f"{count} {why}" for why, count in sorted(self.failed.items()))
            found.append(f"requests failed: {words}")
        return tuple(found)


def count_day(
    outcomes: Sequence[Outcome],
    *,
    total: Books,
    by_feature: Iterable[Books],
    by_model: Iterable[Books],
    wall_seconds: int,
) -> Figures:
    """The figures of a finished day."""
    sources = Counter(outcome.source for outcome in outcomes)
    refused = Counter(o.budget_id for o in outcomes if o.source is Source.REFUSED)
    failed = Counter(o.reason for o in outcomes if o.source is Source.FAILED)
    hits = [outcome.latency_us for outcome in outcomes if outcome.hit]
    misses = [o.latency_us for o in outcomes if o.source is Source.PROVIDER]
    return Figures(
        requests=len(outcomes),
        answered=sum(o.hit or o.source is Source.PROVIDER for o in outcomes),
        provider_calls=sources[Source.PROVIDER],
        hits_exact=sources[Source.CACHE_EXACT],
        hits_shared=sources[Source.SHARED],
        refused_by_budget=dict(sorted(refused.items())),
        failed=dict(sorted(failed.items())),
        near_misses=sum(outcome.row.kind == "near_miss" for outcome in outcomes),
        wrong_hits=wrong_hits(outcomes),
        surprises=tuple(o.row.id for o in outcomes if not o.as_expected),
        latency_us={
            kind: (percentile(values, 50), percentile(values, 95))
            for kind, values in zip(LATENCY_KINDS, (hits, misses), strict=True)
            if values
        },
        total=total,
        by_feature=tuple(by_feature),
        by_model=tuple(by_model),
        callers_saw_nanos=sum(outcome.cost_nanos for outcome in outcomes),
        wall_seconds=wall_seconds,
    )


def wrong_hits(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Ids of rows that were served an answer which was not paid for by their own group.

    A hit is right only when a provider answered its group, in this very day, with these words.
    """
    paid: set[tuple[str, str]] = set()
    kept = list(outcomes)
    for outcome in kept:
        if outcome.source is Source.PROVIDER:
            paid.add((outcome.row.group, outcome.answer))
    return tuple(o.row.id for o in kept if o.hit and (o.row.group, o.answer) not in paid)


def percentile(values: Sequence[int], rank: int) -> int:
    """The nearest-rank percentile: the smallest value that `rank` of 100 values do not pass.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("a percentile needs values")
    ordered = sorted(values)
    return ordered[max(1, -(-len(ordered) * rank // 100)) - 1]


def day_json(figures: Figures) -> dict[str, object]:
    """The figures as one JSON object. Money is whole nano-USD; `..._usd` beside it is text."""
    total = figures.total
    return {
        "requests": figures.requests,
        "answered": figures.answered,
        "provider_calls": figures.provider_calls,
        "hits": {"exact": figures.hits_exact, "shared": figures.hits_shared},
        "refused": {"count": figures.refused, "by_budget": dict(figures.refused_by_budget)},
        "failed": dict(figures.failed),
        "near_misses": figures.near_misses,
        "wrong_hits": list(figures.wrong_hits),
        "surprises": list(figures.surprises),
        "spent_nanos": total.cost_nanos,
        "spent_usd": usd(total.cost_nanos, 9),
        "counterfactual_nanos": total.counterfactual_nanos,
        "counterfactual_usd": usd(total.counterfactual_nanos, 9),
        "saved_nanos": total.saved_total_nanos,
        "saved_percent": percent(total.saved_total_nanos, total.counterfactual_nanos),
        "saved_by_cause_nanos": dict(total.saved_nanos),
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "latency_ms": {
            kind: {"p50": _ms(p50), "p95": _ms(p95)}
            for kind, (p50, p95) in figures.latency_us.items()
        },
        "by_feature": [_books_json(books) for books in figures.by_feature],
        "by_model": [_books_json(books) for books in figures.by_model],
        "wall_seconds": figures.wall_seconds,
        "problems": list(figures.problems),
    }


def _books_json(books: Books) -> dict[str, object]:
    return {
        "name": books.values[0] if books.values else "",
        "requests": books.requests,
        "hits": books.hits,
        "input_tokens": books.input_tokens,
        "output_tokens": books.output_tokens,
        "spent_nanos": books.cost_nanos,
        "counterfactual_nanos": books.counterfactual_nanos,
        "saved_by_cause_nanos": dict(books.saved_nanos),
    }


def _ms(microseconds: int) -> float:
    return round(microseconds / 1000, 1)
