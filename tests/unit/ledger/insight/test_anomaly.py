"""Hours unlike their past."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.insight.alert import Raised
from services.ledger.insight.anomaly import (
    Hour,
    anomaly,
    completed_hours,
    deviation,
    median,
    past_hours,
    top_contributor,
)
from services.ledger.insight.forecast import WEEK_US
from services.ledger.rules.windows import HOUR_US

AT = 100 * WEEK_US


def _hour(now: dict, *past: dict) -> Hour:
    return Hour("acme", AT, now, past)


def _cost(nanos: int, feature: str = "chat", model: str = "cheap", user: str = "ann") -> dict:
    return {(feature, model, user): nanos}


def _told(hour: Hour, deviations: int = 6, nanos_min: int = 1) -> Sequence[Raised]:
    return list(anomaly(hour, deviations=deviations, nanos_min=nanos_min))


def test_one_wild_week_hides_no_anomaly() -> None:
    """A mean and its deviation would be swamped by it."""
    past = [_cost(n) for n in (100, 110, 90, 50_000, 105, 95)]
    (told,) = _told(_hour(_cost(1_000), *past))
    assert told.observed == 1_000
    assert not _told(_hour(_cost(130), *past))


def test_what_rose_most_is_named_with_its_share() -> None:
    """A feature before a user of the same rise."""
    now = {**_cost(100), **_cost(900, "search", "strong", "eve")}
    hour = _hour(now, _cost(100), _cost(100), _cost(100))
    assert top_contributor(hour) == ({"feature": "search"}, 100)
    spread = {("chat", "cheap", f"u{n}"): 100 for n in range(9)} | {("chat", "new", "u0"): 150}
    hour = _hour(spread, _cost(300), _cost(300), _cost(300))
    assert top_contributor(hour)[0] == {"feature": "chat"}


def test_less_than_three_weeks_of_past_tell_nothing() -> None:
    """What has just begun is unlike everything."""
    assert not _told(_hour(_cost(10**9), _cost(1), _cost(1), {}, {}))
    assert _told(_hour(_cost(10**9), _cost(1), _cost(1), _cost(1), {}))


def test_a_rise_that_is_worth_nothing_is_not_told() -> None:
    """However many deviations it is."""
    past = [_cost(100)] * 6
    assert _told(_hour(_cost(1_000), *past), nanos_min=800)
    assert not _told(_hour(_cost(1_000), *past), nanos_min=900)


@given(st.lists(st.integers(0, 10**15), min_size=3, max_size=12))
def test_an_hour_like_one_of_the_past_is_never_an_anomaly_when_all_are_alike(
    past: list[int],
) -> None:
    """The middle one of the past is usual by definition."""
    assert not _told(_hour(_cost(median(past)), *map(_cost, past)))
    assert deviation(past) >= 0


def test_no_completed_hour_is_passed_over() -> None:
    """Each once, after its grace; after a long sleep the last two days."""
    now = AT + 2 * HOUR_US + 5
    assert completed_hours(0, now, grace_us=1, hours_max=48) == [AT + HOUR_US]
    assert completed_hours(AT, now, grace_us=1, hours_max=48) == [AT + HOUR_US]
    assert completed_hours(AT, now, grace_us=10, hours_max=48) == []
    assert completed_hours(AT + HOUR_US, now, grace_us=1, hours_max=48) == []
    assert len(completed_hours(HOUR_US, now, grace_us=1, hours_max=48)) == 48
    assert past_hours(AT, 2) == [AT - WEEK_US, AT - 2 * WEEK_US]
