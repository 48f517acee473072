"""A provider's numbers against the books."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.insight.reconcile import DriftCause, Line, reconcile, totals
from services.ledger.rules.values import Tokens

COUNT = st.integers(0, 10**9)
LINES = st.lists(
    st.builds(
        Line,
        st.sampled_from(["2026-03-01", "2026-03-02"]),
        st.sampled_from(["a", "b"]),
        st.just(""),
        COUNT,
        st.builds(Tokens, *[COUNT] * 8),
        COUNT,
    ),
    max_size=8,
)


def _held(theirs: list[Line], ours: list[Line], **more: int):
    return reconcile(theirs, ours, same=str, known=lambda model: model != "stranger", **more)


@given(LINES)
def test_the_books_agree_with_themselves(lines: list[Line]) -> None:
    """However the lines are cut up."""
    drifts = _held(lines, lines[::-1])
    assert {drift.cause for drift in drifts} <= {DriftCause.NONE}
    assert all(drift.cost_nanos == 0 for drift in drifts)


@given(LINES, LINES)
def test_no_money_is_lost_between_the_lines(theirs: list[Line], ours: list[Line]) -> None:
    """The totals are those of all lines, and the drifts add up to their difference."""
    drifts = _held(theirs, ours)
    told, booked = totals(drifts)
    assert (told or 0) == sum(line.cost_nanos or 0 for line in theirs)
    assert booked == sum(line.cost_nanos or 0 for line in ours)
    assert sum(d.cost_nanos or 0 for d in drifts) == booked - (told or 0)


def test_without_tokens_a_difference_is_no_sure_price() -> None:
    """It says so."""
    line = Line("2026-03-01", "a", cost_nanos=1_000)
    (drift,) = _held([replace(line, cost_nanos=2_000)], [line])
    assert drift.cause is DriftCause.AROUND_GATEWAY
    assert "may also be the price" in drift.explanation


def test_a_provider_that_tells_its_name_is_held_against_that_one_only() -> None:
    """One that does not is held against all of a model's providers together."""
    ours = [Line("2026-03-01", "a", "one", cost_nanos=1), Line("2026-03-01", "a", "two", None)]
    assert len(_held([Line("2026-03-01", "a", "", cost_nanos=1)], ours)) == 1
    assert len(_held([Line("2026-03-01", "a", "one", cost_nanos=1)], ours)) == 2
