"""Calendar windows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rules.values import BudgetWindow
from services.ledger.rules.windows import (
    HOUR_US,
    ROLLING_SLICES,
    slice_starts,
    slice_us,
    to_datetime,
    to_micros,
    window_at,
)

CALENDAR = st.sampled_from(
    [BudgetWindow.HOUR, BudgetWindow.DAY, BudgetWindow.WEEK, BudgetWindow.MONTH]
)
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


@given(TIMES, CALENDAR)
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


ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut"]
)
# Where all of these zones have rules that are known.
RECENT = st.integers(
    min_value=to_micros(datetime(2000, 1, 1, tzinfo=UTC)),
    max_value=to_micros(datetime(2035, 1, 1, tzinfo=UTC)),
)
DAYS = st.sampled_from([BudgetWindow.DAY, BudgetWindow.WEEK, BudgetWindow.MONTH])


@given(RECENT, DAYS, ZONES)
def test_windows_of_a_time_zone_leave_no_gap_either(
    us: int, window: BudgetWindow, zone: str
) -> None:
    """Also where clocks change at midnight or by half an hour."""
    span = window_at(window, us, zone)
    assert span.end_us is not None
    assert span.start_us <= us < span.end_us
    assert window_at(window, span.start_us, zone) == span
    assert window_at(window, span.end_us, zone).start_us == span.end_us


@pytest.mark.parametrize(
    ("at", "start", "hours"),
    [
        ("2026-03-29T12:00:00", "2026-03-28T23:00:00", 23),
        ("2026-10-25T12:00:00", "2026-10-24T22:00:00", 25),
        ("2026-07-01T23:30:00", "2026-07-01T22:00:00", 24),
    ],
)
def test_a_day_in_berlin_is_as_long_as_its_clocks_say(at: str, start: str, hours: int) -> None:
    """23 hours in March, 25 in October; it begins at the local midnight."""
    us = to_micros(datetime.fromisoformat(at).replace(tzinfo=UTC))
    span = window_at(BudgetWindow.DAY, us, "Europe/Berlin")
    assert to_datetime(span.start_us).isoformat() == f"{start}+00:00"
    assert span.end_us == span.start_us + hours * HOUR_US


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    """When clocks go back, the limit of the second hour is a fresh one."""
    first = to_micros(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    one = window_at(BudgetWindow.HOUR, first, "Europe/Berlin")
    two = window_at(BudgetWindow.HOUR, first + HOUR_US, "Europe/Berlin")
    assert one.end_us == two.start_us
    half = window_at(BudgetWindow.HOUR, first, "Asia/Kolkata")
    assert to_datetime(half.start_us).minute == 30


@given(RECENT, st.integers(min_value=60, max_value=366 * 24 * 3600))
def test_a_rolling_window_never_forgets_early(us: int, seconds: int) -> None:
    """Its slices cover all of it, and at most one slice more."""
    rolling_us = seconds * 1_000_000
    starts, step = slice_starts(rolling_us, us), slice_us(rolling_us)
    assert len(starts) == ROLLING_SLICES + 2
    assert starts[-2] <= us < starts[-1]
    missed = max(0, starts[0] - (us - rolling_us))
    assert missed < ROLLING_SLICES  # microseconds, where the length is no multiple of the slices
    assert starts[0] > us - rolling_us - 2 * step
