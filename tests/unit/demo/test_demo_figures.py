"""The day's arithmetic: counts, percentiles, the balance of the books, wrong hits."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.demo_figures import Books, Figures, count_day, day_json, percentile, wrong_hits
from cli.demo_outcome import Outcome, Source
from cli.demo_rows import Row

ROW = Row(
    id="r1", time="08:00", feature="faq", kind="original", user="u", session="s", model="auto",
    system="p", text="t", output_tokens_max=8, stop=(), temperature=0, group="g", expect="miss",
)  # fmt: skip


def outcome(
    row_id: str, group: str, source: Source, answer: str = "yes", **more: object
) -> Outcome:
    expect = "hit" if source in (Source.CACHE_EXACT, Source.SHARED) else "miss"
    row = dataclasses.replace(ROW, id=row_id, group=group, expect=expect)
    return Outcome(row=row, source=source, latency_us=1000, answer=answer, **more)  # type: ignore[arg-type]


def books(cost: int, saved: dict[str, int], counterfactual: int) -> Books:
    return Books(("faq",), 3, 1, 0, 90, 30, cost, counterfactual, saved)


def figures(outcomes: list[Outcome], total: Books) -> Figures:
    return count_day(outcomes, total=total, by_feature=[total], by_model=[total], wall_seconds=7)


DAY = [
    outcome("r1", "a", Source.PROVIDER, cost_nanos=700),
    outcome("r2", "a", Source.CACHE_EXACT),
    outcome("r3", "a", Source.SHARED),
    outcome("r4", "b", Source.REFUSED, "", budget_id="reports"),
    outcome("r5", "b", Source.REFUSED, "", budget_id="reports"),
]
TOTAL = books(700, {"cache": 300, "routing": 1000}, 2000)


def test_every_request_is_counted_once() -> None:
    """Provider calls, hits by kind and refusals add up to the requests."""
    day = figures(DAY, TOTAL)
    assert (day.requests, day.answered, day.provider_calls) == (5, 3, 1)
    assert (day.hits_exact, day.hits_shared, day.refused) == (1, 1, 2)
    assert day.refused_by_budget == {"reports": 2}
    assert day.problems == ()


def test_rows_that_ended_otherwise_than_foreseen_are_named() -> None:
    """A refusal of what should have been answered is a surprise, not hidden."""
    assert figures(DAY, TOTAL).surprises == ("r4", "r5")


@pytest.mark.parametrize(
    "total",
    [
        books(700, {"cache": 300, "routing": 1000}, 2001),
        books(701, {"cache": 300, "routing": 1000}, 2001),
    ],
)
def test_books_that_are_a_nano_off_are_a_problem(total: Books) -> None:
    """Charged plus saved is the counterfactual and callers saw what was charged, to the nano."""
    assert figures(DAY, total).problems == ("the ledger's sums and the callers' sums differ",)


def test_a_failed_request_is_a_problem() -> None:
    """A demo with failures does not end well."""
    day = [*DAY, outcome("r6", "c", Source.FAILED, "", reason="PROVIDER_FAILED")]
    assert figures(day, TOTAL).problems == ("requests failed: 1 PROVIDER_FAILED",)


def test_a_hit_on_another_groups_answer_is_wrong() -> None:
    """A near-miss that got its look-alike's answer is found and named."""
    day = [*DAY, outcome("r6", "near-a", Source.CACHE_EXACT)]
    assert wrong_hits(day) == ("r6",)
    assert figures(day, TOTAL).problems[0].endswith("another question's answer: r6")


def test_a_hit_with_words_nobody_paid_for_is_wrong() -> None:
    """Within a group, too, the words must be those that a provider gave."""
    assert wrong_hits([*DAY, outcome("r6", "a", Source.CACHE_EXACT, "no")]) == ("r6",)


def test_a_shared_answer_may_end_before_the_call_that_brought_it() -> None:
    """The order in which a burst ends does not matter."""
    assert wrong_hits(list(reversed(DAY))) == ()


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(values: list[int], rank: int) -> None:
    """It is one of the values, `rank` of 100 values are at or below it, and no smaller one is."""
    found = percentile(values, rank)
    at_or_below = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert at_or_below * 100 >= rank * len(values)
    assert below * 100 < rank * len(values)


def test_no_values_have_no_percentile() -> None:
    """Nothing measured is not 0 ms."""
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 50)
    hits_only = [outcome("r1", "a", Source.CACHE_EXACT)]
    assert "miss" not in figures(hits_only, TOTAL).latency_us


def test_the_json_has_the_same_figures() -> None:
    """One JSON object: whole nano-USD that add up."""
    told = json.loads(json.dumps(day_json(figures(DAY, TOTAL))))
    assert told["spent_nanos"] + told["saved_nanos"] == told["counterfactual_nanos"] == 2000
    assert told["saved_by_cause_nanos"] == {"cache": 300, "routing": 1000}
    assert told["saved_percent"] == "65.0%"
    assert told["hits"] == {"exact": 1, "shared": 1}
    assert told["refused"] == {"count": 2, "by_budget": {"reports": 2}}
    assert told["latency_ms"]["hit"] == {"p50": 1.0, "p95": 1.0}
