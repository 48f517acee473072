"""Calendar windows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rules.values import BudgetWindow
from services.ledger.rules.windows import to_datetime, to_micros, window_at

TIMES = st.integers(min_value=0, max_value=to_micros(datetime(2200, 1, 1, tzinfo=UTC)))


def _span(window: BudgetWindow, text: str) -> tuple[str, str]:
    span = window_at(window, to_micros(datetime.fromisoformat(text).replace(tzinfo=UTC)))
    assert span.end_us is not None
    return tuple(to_datetime(us).isoformat() for us in span)  # type: ignore[return-value, arg-type]  # two, none absent


def test_windows_of_a_sunday_before_new_year() -> None:
    """2023-12-31 was a Sunday: its week began on the 25th, its month ends the year."""
    at = "2023-12-31T23:59:59.999999"
    assert _span(BudgetWindow.HOUR, at) == (
        "2023-12-31T23:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
    )
    assert _span(BudgetWindow.DAY, at) == (
        "2023-12-31T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
    )
    assert _span(BudgetWindow.WEEK, at) == (
        "2023-12-25T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
    )
    assert _span(BudgetWindow.MONTH, at) == (
        "2023-12-01T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
    )


def test_february_of_a_leap_year_has_29_days() -> None:
    """The 29th is inside."""
    assert _span(BudgetWindow.MONTH, "2024-02-29T12:00:00") == (
        "2024-02-01T00:00:00+00:00",
        "2024-03-01T00:00:00+00:00",
    )


@given(TIMES, st.sampled_from([w for w in BudgetWindow if w is not BudgetWindow.LIFETIME]))
def test_windows_hold_their_time_and_leave_no_gap(us: int, window: BudgetWindow) -> None:
    """Every moment lies in one window, and the next begins where it ends."""
    span = window_at(window, us)
    assert span.end_us is not None
    assert span.start_us <= us < span.end_us
    assert window_at(window, span.start_us) == span
    assert window_at(window, span.end_us).start_us == span.end_us
    start = to_datetime(span.start_us)
    assert (start.minute, start.second, start.microsecond) == (0, 0, 0)
    if window is BudgetWindow.WEEK:
        assert (start.weekday(), start.hour) == (0, 0)
    if window is BudgetWindow.MONTH:
        assert (start.day, start.hour) == (1, 0)


@given(TIMES)
def test_a_lifetime_is_one_window(us: int) -> None:
    """It begins before everything and never ends."""
    assert window_at(BudgetWindow.LIFETIME, us) == (0, None)


@given(TIMES)
def test_times_convert_without_loss(us: int) -> None:
    """No float rounds a microsecond away."""
    assert to_micros(to_datetime(us)) == us
    assert to_datetime(us) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
