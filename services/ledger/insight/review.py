"""A month against the one before: why it cost what it did, and what was really saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.ledger.insight.opportunity import Opportunity


@dataclass(frozen=True, slots=True)
class Spent:
    """What a feature cost in a month."""

    requests: int
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class Change:
    """Why a feature's cost changed: volume and rate add up to the change."""

    feature: str
    now: Spent
    before: Spent
    volume_nanos: int
    rate_nanos: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an opportunity. `realised` = `expected` less `left`, at least 0."""

    before: Opportunity
    expected_nanos: int
    left_nanos: int
    realised_nanos: int


def changes(now: Mapping[str, Spent], before: Mapping[str, Spent]) -> list[Change]:
    """By feature, the largest change first.

    Volume: the difference in requests at the cost of a request of the month before. Rate: the
    rest. A feature that is new is all volume, so is one that is gone.
    """
    none = Spent(0, 0)
    found = []
    for feature in now.keys() | before.keys():
        one, other = now.get(feature, none), before.get(feature, none)
        if one.requests and other.requests:
            volume = (one.requests - other.requests) * other.cost_nanos // other.requests
        else:
            volume = one.cost_nanos - other.cost_nanos
        rate = one.cost_nanos - other.cost_nanos - volume
        found.append(Change(feature, one, other, volume, rate))
    found.sort(key=lambda c: (-abs(c.now.cost_nanos - c.before.cost_nanos), c.feature))
    return found


def outcomes(
    before: Sequence[Opportunity],
    now: Sequence[Opportunity],
    requests: Mapping[str, tuple[int, int]],
) -> list[Outcome]:
    """What became of last month's opportunities, those that realised most first.

    `requests`: by feature this month's and last month's requests, both for 30 days. What was left
    undone would have grown and shrunk with them.
    """
    left = {(each.kind, each.subject): each.month_nanos for each in now}
    whole = (
        sum(pair[0] for pair in requests.values()),
        sum(pair[1] for pair in requests.values()),
    )
    found = []
    for each in before:
        new, old = requests.get(each.feature, (0, 0)) if each.feature else whole
        expected = each.month_nanos * new // old if old else 0
        rest = left.get((each.kind, each.subject), 0)
        found.append(Outcome(each, expected, rest, max(0, expected - rest)))
    found.sort(key=lambda o: (-o.realised_nanos, -o.before.month_nanos, o.before.subject))
    return found
