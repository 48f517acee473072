"""What a window will have cost when it ends."""

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.insight.forecast import WEEK_US, projected_nanos
from services.ledger.rules.windows import HOUR_US, Span

MONDAY = 4 * 24 * HOUR_US  # 1970-01-05
START = MONDAY + 10 * WEEK_US
WEEK = Span(START, START + WEEK_US)


def test_without_a_past_all_hours_weigh_the_same() -> None:
    """A quarter of the window gone, so four times as much."""
    assert projected_nanos(100, WEEK, START + WEEK_US // 4, {}) == 400


def test_a_quiet_weekend_is_known_from_past_weeks() -> None:
    """All is spent from Monday to Friday: on Friday night hardly anything is to come."""
    past = {
        START - week * WEEK_US + hour * HOUR_US: 1_000
        for week in range(1, 5)
        for hour in range(5 * 24)
    }
    told = projected_nanos(120_000, WEEK, START + 5 * 24 * HOUR_US, past)
    assert told is not None
    assert 120_000 <= told <= 125_000
    assert projected_nanos(120_000, WEEK, START + 5 * 24 * HOUR_US, {}) == 168_000


def test_too_early_and_without_an_end_nothing_is_told() -> None:
    """A guess is no alert."""
    assert projected_nanos(100, WEEK, START + WEEK_US // 20, {}) is None
    assert projected_nanos(100, Span(0, None), START, {}) is None
    assert projected_nanos(0, WEEK, START + WEEK_US // 2, {}) is None


@given(
    st.integers(1, 10**15),
    st.integers(1, WEEK_US - 1),
    st.dictionaries(
        st.integers(1, 6 * 168).map(lambda hour: START - hour * HOUR_US),
        st.integers(0, 10**12),
        max_size=300,
    ),
)
def test_a_forecast_is_never_below_what_is_spent(settled: int, gone: int, past: dict) -> None:
    """Money does not come back."""
    told = projected_nanos(settled, WEEK, START + gone, past)
    assert told is None or told >= settled
