"""Windows: calendar ones in a time zone, rolling ones in slices, a lifetime."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.ledger.rules.values import MICROS_PER_SECOND, Budget, BudgetWindow

HOUR_US = 3600 * MICROS_PER_SECOND
DAY_US = 24 * HOUR_US
# A rolling window is looked at in this many slices: the finer, the sooner money returns, and the
# more balances a reservation reads.
ROLLING_SLICES = 24
ROLLING_SECONDS_MIN = 60
ROLLING_SECONDS_MAX = 366 * 24 * 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


class Span(NamedTuple):
    """From `start_us` on, before `end_us`. A lifetime starts at 0 and has no end."""

    start_us: int
    end_us: int | None


def span_of(budget: Budget, now_us: int) -> Span:
    """What a budget looks at now: its window, or the slices of a rolling one that reach into it."""
    if budget.window is BudgetWindow.ROLLING:
        starts = slice_starts(budget.rolling_us, now_us)
        return Span(starts[0], starts[-1])
    return window_at(budget.window, now_us, budget.time_zone)


def start_of(budget: Budget, now_us: int) -> int:
    """Where the balance starts that what is used now goes to."""
    if budget.window is BudgetWindow.ROLLING:
        return now_us - now_us % slice_us(budget.rolling_us)
    return window_at(budget.window, now_us, budget.time_zone).start_us


def starts_of(budget: Budget, now_us: int) -> list[int]:
    """Where the balances start that count now, oldest first."""
    if budget.window is BudgetWindow.ROLLING:
        return slice_starts(budget.rolling_us, now_us)
    return [start_of(budget, now_us)]


def slice_us(rolling_us: int) -> int:
    """How long a slice of a rolling window is."""
    return rolling_us // ROLLING_SLICES


def slice_starts(rolling_us: int, now_us: int) -> list[int]:
    """The starts of all slices that reach into the last `rolling_us`, and of the next slice.

    The oldest is in the window only in part and counts whole. The next is there for the other
    ledgers of these books: whose clock is ahead by no more than a slice is not overlooked.
    """
    step = slice_us(rolling_us)
    last = now_us - now_us % step
    return [last - step * back for back in range(ROLLING_SLICES, -2, -1)]


def window_at(window: BudgetWindow, now_us: int, time_zone: str = "") -> Span:
    """The calendar window that `now_us` lies in, as a clock on the wall of `time_zone` tells it.

    Weeks start on Monday. A day on which clocks change has 23 or 25 hours; an hour that comes
    twice is two hours. "" is UTC. Raises ValueError for a rolling window.
    """
    if window is BudgetWindow.LIFETIME:
        return Span(0, None)
    if window is BudgetWindow.HOUR:
        return _hour(now_us, time_zone)
    if window is BudgetWindow.ROLLING:
        raise ValueError("a rolling window has slices, not a start")
    day = to_datetime(now_us).astimezone(_zone(time_zone)).date().toordinal()
    return _days(window, day, time_zone)


def hour_start(us: int) -> int:
    """The full hour at or before `us`, in UTC."""
    return us - us % HOUR_US


def to_datetime(us: int) -> datetime:
    """Microseconds since 1970 as an aware UTC time, without a float on the way."""
    return _EPOCH + timedelta(microseconds=us)


def to_micros(at: datetime) -> int:
    """An aware time as microseconds since 1970, exact."""
    return (at - _EPOCH) // _MICRO


def _hour(now_us: int, time_zone: str) -> Span:
    offset_us = 0
    if time_zone:
        offset = to_datetime(now_us).astimezone(_zone(time_zone)).utcoffset()
        offset_us = (offset or timedelta()) // _MICRO
    start = now_us - (now_us + offset_us) % HOUR_US
    return Span(start, start + HOUR_US)


@lru_cache(maxsize=4096)
def _days(window: BudgetWindow, day: int, time_zone: str) -> Span:
    """The window around a local day. Midnight that clocks skip is where they skip it."""
    date = datetime.fromordinal(day)
    if window is BudgetWindow.DAY:
        first, after = date, date + timedelta(days=1)
    elif window is BudgetWindow.WEEK:
        first = date - timedelta(days=date.weekday())
        after = first + timedelta(days=7)
    else:
        first = date.replace(day=1)
        # 32 days on is always in the next month.
        after = (first + timedelta(days=32)).replace(day=1)
    zone = _zone(time_zone)
    return Span(to_micros(first.replace(tzinfo=zone)), to_micros(after.replace(tzinfo=zone)))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name or "UTC")
