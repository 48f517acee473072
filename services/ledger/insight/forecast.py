"""What a window will have cost when it ends, told from what it has cost so far.

Spending has a rhythm: nights and weekends are quiet. With two past weeks at hand, the window's
hours are weighed by what the same hours of the week cost; else all hours weigh the same.
"""

from collections.abc import Mapping

from services.ledger.rules.windows import DAY_US, HOUR_US, Span

WEEK_US = 7 * DAY_US
# Before a tenth of the window's weight has passed, a forecast would be a guess.
SHARE_PERMILLE_MIN = 100
WEEKS_MIN = 2


def projected_nanos(
    settled_nanos: int, span: Span, now_us: int, past: Mapping[int, int]
) -> int | None:
    """What the window comes to at its end, in nano-USD; None where nothing can be told yet.

    `past`: cost by hour (microseconds since 1970, full hours) before the window's start or now.
    """
    if span.end_us is None or not span.start_us < now_us < span.end_us or settled_nanos <= 0:
        return None
    weights = _weights(past)
    done = _weight(weights, span.start_us, now_us)
    whole = _weight(weights, span.start_us, span.end_us)
    if whole <= 0 or done * 1000 < whole * SHARE_PERMILLE_MIN:
        return None
    return settled_nanos * whole // done


def _weights(past: Mapping[int, int]) -> list[int] | None:
    """What each hour of the week weighs; None for all the same."""
    if not past or max(past) - min(past) < WEEKS_MIN * WEEK_US:
        return None
    weights = [0] * (WEEK_US // HOUR_US)
    for hour_us, nanos in past.items():
        weights[hour_us % WEEK_US // HOUR_US] += max(0, nanos)
    total = sum(weights)
    # No hour weighs nothing: something may always be spent.
    floor = total // (len(weights) * 20) + 1
    return [weight + floor for weight in weights]


def _weight(weights: list[int] | None, start_us: int, end_us: int) -> int:
    """The weight of the time from start to end, in hours' weights times microseconds."""
    if weights is None:
        return end_us - start_us
    total, at = 0, start_us
    while at < end_us:
        step = min(end_us, at - at % HOUR_US + HOUR_US)
        total += weights[at % WEEK_US // HOUR_US] * (step - at)
        at = step
    return total
