"""Calendar windows in UTC."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.ledger.rules.values import MICROS_PER_SECOND, BudgetWindow

HOUR_US = 3600 * MICROS_PER_SECOND
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
# 1970-01-01 was a Thursday: the Monday before it lies three days back.
_MONDAY_OFFSET_US = 3 * DAY_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """From `start_us` on, before `end_us`. A lifetime starts at 0 and has no end."""

    start_us: int
    end_us: int | None


def window_at(window: BudgetWindow, now_us: int) -> Span:
    """The window that `now_us` lies in. Weeks start on Monday."""
    match window:
        case BudgetWindow.LIFETIME:
            return Span(0, None)
        case BudgetWindow.HOUR:
            start = now_us - now_us % HOUR_US
            return Span(start, start + HOUR_US)
        case BudgetWindow.DAY:
            start = now_us - now_us % DAY_US
            return Span(start, start + DAY_US)
        case BudgetWindow.WEEK:
            start = now_us - (now_us + _MONDAY_OFFSET_US) % WEEK_US
            return Span(start, start + WEEK_US)
        case BudgetWindow.MONTH:
            now = to_datetime(now_us)
            first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            # 32 days on is always in the next month.
            after = (first + timedelta(days=32)).replace(day=1)
            return Span(to_micros(first), to_micros(after))


def hour_start(us: int) -> int:
    """The full hour at or before `us`."""
    return us - us % HOUR_US


def to_datetime(us: int) -> datetime:
    """Microseconds since 1970 as an aware UTC time, without a float on the way."""
    return _EPOCH + timedelta(microseconds=us)


def to_micros(at: datetime) -> int:
    """An aware time as microseconds since 1970, exact."""
    return (at - _EPOCH) // timedelta(microseconds=1)
