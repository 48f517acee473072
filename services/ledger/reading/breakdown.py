"""Sums by any axes: out of the hourly sums where they suffice, out of the rows where not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, cast, desc, func, or_, select

from services.ledger.insight.gather import KEY_AXIS, TAG_AXIS
from services.ledger.insight.histogram import bucket_of, percentiles
from services.ledger.reading import columns
from services.ledger.rules.rollup import Sums
from services.ledger.rules.values import NANOS_MAX
from services.ledger.sql import reading_schema, schema
from services.ledger.sql.database import Database
from services.ledger.sql.rolled import rolled

PERCENTS = (50, 90, 99)
TIMES = frozenset({"hour", "day"})
# Percentiles out of rows are told for so many groups at most: each is a question of its own.
EXACT_GROUPS_MAX = 50
# Sums may leave an int64: whole USD and the rest are summed apart and joined in Python.
_HALF = 10**9

Latency = tuple[int | None, int | None, int | None]
NO_LATENCY: Latency = (None, None, None)


@dataclass(frozen=True, slots=True)
class Question:
    """What to sum. Axes by their names in columns.py; `only` are (axis, value)."""

    tenant: str
    start_us: int
    end_us: int
    axes: tuple[str, ...] = ()
    tag_name: str = ""
    only: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One group: its values in the order of the axes, its sums, its latency percentiles."""

    values: tuple[str | int, ...]
    sums: Sums
    latency: Latency = NO_LATENCY


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A page of groups and the sums over all groups. `rollups`: read from hourly sums."""

    rows: Sequence[Row]
    total: Row
    rollups: bool


class _Source:
    """A table that can be summed: its axes, its sums, which of its rows count."""

    def __init__(
        self,
        axes: Mapping[str, ColumnElement[Any]],
        sums: Mapping[str, ColumnElement[int]],
        here: Sequence[ColumnElement[bool]],
    ) -> None:
        self.axes = axes
        self.sums = sums
        self.here = here


class BreakdownStore:
    """The books as readers see them. Every method raises BooksUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def breakdown(self, question: Question, *, offset: int, rows_max: int) -> Breakdown:
        """The groups after the first `offset`, at most `rows_max`."""
        return await self._database.read(lambda conn: _answer(conn, question, offset, rows_max))


def _answer(conn: Connection, question: Question, offset: int, rows_max: int) -> Breakdown:
    asked = {*question.axes, *(axis for axis, _ in question.only)}
    source, rollups = _source(conn, question, asked)
    here = [*source.here, *(source.axes[axis] == value for axis, value in question.only)]
    sums = _summed(source.sums)
    total = _to_row(conn.execute(select(*sums).where(*here)).one(), 0)
    keys, names = columns.named_keys(source.axes, question.axes)
    rows = [total][offset:]
    if keys:
        order: list[Any] = list(names)
        if question.axes[0] not in TIMES:
            order = [*_dearest(source.sums["cost_nanos"]), *names]
        found = conn.execute(
            select(*keys, *sums)
            .where(*here)
            .group_by(*names)
            .order_by(*order)
            .limit(rows_max)
            .offset(offset)
        )
        rows = [_to_row(row, len(keys)) for row in found]
    latency = _latencies(conn, question, asked, here, rows, exact=not rollups)
    rows = [Row(row.values, row.sums, latency(row.values)) for row in rows]
    whole = _latencies(conn, question, asked, here, [total], exact=not rollups, all_in_one=True)
    return Breakdown(rows, Row((), total.sums, whole(())), rollups)


def _source(conn: Connection, question: Question, asked: set[str]) -> tuple[_Source, bool]:
    side = reading_schema.rollup_side
    hourly = rolled(question.tenant, question.start_us, question.end_us, by_hour="hour" in asked)

    def hours(table: Any) -> list[ColumnElement[bool]]:
        return [
            table.c.tenant == question.tenant,
            table.c.hour_us >= question.start_us,
            table.c.hour_us < question.end_us,
        ]

    axes = columns.rollup_columns(hourly)
    if asked <= axes.keys():
        return _Source(axes, _kept(hourly), ()), True
    named = asked - TIMES
    if named in ({"key"}, {"tag"}):
        axis = KEY_AXIS if named == {"key"} else TAG_AXIS + question.tag_name
        return _Source(
            columns.side_columns(), _kept(side), [*hours(side), side.c.axis == axis]
        ), True
    rows = columns.rows_between(conn, question.tenant, question.start_us, question.end_us)
    return _Source(columns.entry_columns(question.tag_name), columns.entry_sums(), rows), False


def _kept(table: Any) -> dict[str, ColumnElement[int]]:
    return {name: table.c[name] for name in schema.SUM_COLUMNS}


def _summed(sums: Mapping[str, ColumnElement[int]]) -> list[ColumnElement[int]]:
    halves: list[ColumnElement[int]] = []
    for name in schema.SUM_COLUMNS:
        halves += [func.sum(sums[name] // _HALF), func.sum(sums[name] % _HALF)]
    return halves


def _dearest(cost: ColumnElement[int]) -> list[Any]:
    whole, rest = (
        cast(func.sum(cost // _HALF), BigInteger),
        cast(func.sum(cost % _HALF), BigInteger),
    )
    return [desc(whole + rest // _HALF), desc(rest % _HALF)]


def _to_row(row: Sequence[Any], key_count: int) -> Row:
    halves = [int(half or 0) for half in row[key_count:]]
    joined = [whole * _HALF + rest for whole, rest in zip(halves[::2], halves[1::2], strict=True)]
    return Row(tuple(row[:key_count]), Sums(**dict(zip(schema.SUM_COLUMNS, joined, strict=True))))


def _latencies(
    conn: Connection,
    question: Question,
    asked: set[str],
    here: Sequence[ColumnElement[bool]],
    rows: Sequence[Row],
    *,
    exact: bool,
    all_in_one: bool = False,
) -> Callable[[tuple[Any, ...]], Latency]:
    """Percentiles by the values of a group."""
    axes = () if all_in_one else question.axes
    counts: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    if exact and len(rows) <= EXACT_GROUPS_MAX:
        found = _exact(conn, question, axes, here, rows)
    elif not exact and asked <= columns.latency_columns().keys():
        found = _bucketed(conn, question, axes)
    else:
        return lambda _: NO_LATENCY
    for *values, bucket, count in found:
        counts.setdefault(tuple(values), []).append((bucket, int(count)))

    def of(values: tuple[Any, ...]) -> Latency:
        p50, p90, p99 = percentiles(counts.get(values, ()), *PERCENTS)
        return p50, p90, p99

    return of


def _bucketed(conn: Connection, question: Question, axes: Sequence[str]) -> list[Any]:
    table, known = reading_schema.rollup_latency, columns.latency_columns()
    keys, names = columns.named_keys(known, axes)
    only = [known[axis] == value for axis, value in question.only]
    query = (
        select(*keys, table.c.bucket, func.sum(table.c.request_count))
        .where(
            table.c.tenant == question.tenant,
            table.c.hour_us.between(question.start_us, min(question.end_us, NANOS_MAX) - 1),
            *only,
        )
        .group_by(*names, table.c.bucket)
    )
    return list(conn.execute(query))


def _exact(
    conn: Connection,
    question: Question,
    axes: Sequence[str],
    here: Sequence[ColumnElement[bool]],
    rows: Sequence[Row],
) -> list[Any]:
    entry, known = schema.entry, columns.entry_columns(question.tag_name)
    keys, names = columns.named_keys(known, axes)
    groups = [
        and_(*(known[axis] == value for axis, value in zip(axes, row.values, strict=True)))
        for row in rows
        if axes
    ]
    query = (
        select(*keys, entry.c.latency_ms, func.count())
        .where(*here, entry.c.counts_request, *([or_(*groups)] if groups else []))
        .group_by(*names, entry.c.latency_ms)
    )
    return [(*row[:-2], bucket_of(row[-2]), row[-1]) for row in conn.execute(query)]
