"""Sums of booked rows that the books themselves do not keep."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from services.ledger.insight.histogram import bucket_of
from services.ledger.rules.rollup import Sums
from services.ledger.rules.values import Entry
from services.ledger.rules.windows import hour_start

KEY_AXIS = "key_id"
TAG_AXIS = "tag:"


class SideKey(NamedTuple):
    """What one row of side sums is about."""

    tenant: str
    axis: str
    hour_us: int
    value: str


class LatencyKey(NamedTuple):
    """What one count of requests is about."""

    tenant: str
    hour_us: int
    feature: str
    model: str
    bucket: int


@dataclass(slots=True)
class Gathered:
    """What a run of rows adds. `marks`: the first and last row number by hour."""

    entries: list[Entry] = field(default_factory=list)
    sides: dict[SideKey, Sums] = field(default_factory=dict)
    latencies: dict[LatencyKey, int] = field(default_factory=dict)
    marks: dict[int, tuple[int, int]] = field(default_factory=dict)


def gather(rows: Iterable[tuple[int, Entry]]) -> Gathered:
    """Adds numbered rows up."""
    found = Gathered()
    for number, entry in rows:
        who, hour = entry.attribution, hour_start(entry.book_us)
        found.entries.append(entry)
        first, last = found.marks.get(hour, (number, number))
        found.marks[hour] = (min(first, number), max(last, number))
        values = [(KEY_AXIS, who.key_id)] if who.key_id else []
        values += [(TAG_AXIS + name, value) for name, value in who.tags]
        for axis, value in values:
            found.sides.setdefault(SideKey(who.tenant, axis, hour, value), Sums()).add(entry)
        if entry.counts_request:
            bucket = bucket_of(entry.attempt.latency_ms)
            key = LatencyKey(who.tenant, hour, who.feature, entry.attempt.model_used, bucket)
            found.latencies[key] = found.latencies.get(key, 0) + 1
    return found


def settled_prefix(
    numbers: Iterable[tuple[int, int]], place: int, *, now_us: int, gap_us: int
) -> int:
    """How many of the (row number, booked at) after `place` can be read for good.

    Numbers are given before a transaction commits: a gap may be a row that is still to come. One
    that is older than `gap_us` is none: its transaction failed.
    """
    count = 0
    for number, book_us in numbers:
        if number != place + 1 and now_us - book_us < gap_us:
            break
        place = number
        count += 1
    return count
