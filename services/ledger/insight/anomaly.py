"""Whether an hour cost far more than the same hours of past weeks, and what made it so.

Median and median absolute deviation (MAD): one wild hour of the past moves neither. For normal
numbers 1.4826 MAD is a standard deviation (Rousseeuw and Croux 1993).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalog.money import usd_text
from services.ledger.insight.alert import AlertKind, Raised
from services.ledger.insight.forecast import WEEK_US
from services.ledger.rules.windows import HOUR_US, to_datetime

MAD_NUMERATOR, MAD_DENOMINATOR = 14_826, 10_000
WEEKS_MIN = 3
# Past weeks that were all but alike make any change look wild: a deviation is at least this share
# of the median.
DEVIATION_PERCENT_MIN = 10

# Cost by the values of (feature, model, user).
Parts = Mapping[tuple[str, str, str], int]
AXES = ("feature", "model", "user")


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of a tenant: its cost and what it is made of, and the same of past weeks."""

    tenant: str
    hour_us: int
    parts: Parts
    past: Sequence[Parts]


def past_hours(hour_us: int, weeks: int) -> list[int]:
    """The same hours of the weeks before, the nearest first."""
    return [hour_us - week * WEEK_US for week in range(1, weeks + 1)]


def median(numbers: Sequence[int]) -> int:
    """The middle one; of an even count the mean of both middle ones, rounded down. 0 of none."""
    ordered = sorted(numbers)
    if not ordered:
        return 0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def deviation(numbers: Sequence[int]) -> int:
    """A robust standard deviation around the median."""
    centre = median(numbers)
    mad = median([abs(number - centre) for number in numbers])
    return max(mad * MAD_NUMERATOR // MAD_DENOMINATOR, centre * DEVIATION_PERCENT_MIN // 100)


def anomaly(hour: Hour, *, deviations: int, nanos_min: int) -> Iterator[Raised]:
    """An alert when the hour is unlike its past. Nothing before three weeks with spending."""
    past = [sum(parts.values()) for parts in hour.past]
    if sum(1 for cost in past if cost) < WEEKS_MIN:
        return
    cost, usual = sum(hour.parts.values()), median(past)
    limit = usual + max(deviations * deviation(past), nanos_min)
    if cost <= limit:
        return
    subject, share = top_contributor(hour)
    named = ", ".join(f"{axis} {value or '(none)'}" for axis, value in subject.items())
    yield Raised(
        hour.tenant,
        AlertKind.ANOMALY,
        f"anomaly/{hour.hour_us}",
        f"The hour {to_datetime(hour.hour_us):%Y-%m-%d %H:00} UTC cost {usd_text(cost)} USD,"
        f" usual is {usd_text(usual)} USD",
        f"the median of the same hour in {len(past)} past weeks is {usd_text(usual)} USD, a"
        f" deviation {usd_text(deviation(past))} USD; {share} % of the rise is {named}",
        cost,
        limit,
        hour.hour_us,
        dict(subject),
    )


def top_contributor(hour: Hour) -> tuple[dict[str, str], int]:
    """The value of one axis that rose most above its own median, and its share of the whole rise
    in percent. Of equal rises the axis named first: a feature says more than a user."""
    rise = sum(hour.parts.values()) - median([sum(parts.values()) for parts in hour.past])
    best: tuple[int, dict[str, str]] = (0, {})
    for place, axis in enumerate(AXES):
        now = _by(hour.parts, place)
        before = [_by(parts, place) for parts in hour.past]
        for value, nanos in sorted(now.items()):
            rose = nanos - median([parts.get(value, 0) for parts in before])
            if rose > best[0]:
                best = rose, {axis: value}
    return best[1], best[0] * 100 // rise if rise > 0 else 0


def _by(parts: Parts, place: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, nanos in parts.items():
        found[key[place]] = found.get(key[place], 0) + nanos
    return found


def completed_hours(done_us: int, now_us: int, *, grace_us: int, hours_max: int) -> list[int]:
    """Full hours after `done_us` that ended at least `grace_us` ago, at most the last `hours_max`.

    `done_us` 0: nothing was looked at yet; only the last one is.
    """
    last = (now_us - grace_us) // HOUR_US * HOUR_US - HOUR_US
    first = max(done_us + HOUR_US, last - (hours_max - 1) * HOUR_US) if done_us else last
    return list(range(first, last + 1, HOUR_US))
