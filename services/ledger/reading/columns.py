"""How an axis is spelled in each table that can be summed, and which rows a period lies in."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal_column, or_, select

from services.ledger.reading.follow import NAME, place_of
from services.ledger.reading.kinds import CALLS, HITS
from services.ledger.rules.values import AttemptOutcome
from services.ledger.rules.windows import DAY_US, HOUR_US
from services.ledger.sql import reading_schema, schema

_SAME = {
    "feature": "feature",
    "user": "user_id",
    "project": "project",
    "provider": "provider",
    "kind": "kind",
}


def named_keys(
    axes: Mapping[str, ColumnElement[Any]], wanted: Sequence[str]
) -> tuple[list[ColumnElement[Any]], list[ColumnElement[Any]]]:
    """The axes to select under names of their own, and those names to group and order by.

    By name: where a value is bound, a database would not know the two for the same.
    """
    names = [f"axis_{place}" for place in range(len(wanted))]
    selected = [axes[axis].label(name) for axis, name in zip(wanted, names, strict=True)]
    return list(selected), [literal_column(name) for name in names]


def _times(us: Any) -> dict[str, ColumnElement[Any]]:
    return {
        "hour": us - us % literal_column(str(HOUR_US)),
        "day": us - us % literal_column(str(DAY_US)),
    }


def rollup_columns(table: Any) -> Mapping[str, ColumnElement[Any]]:
    """Axes of rollup_hour, or of what has its columns."""
    named = {axis: table.c[column] for axis, column in _SAME.items()}
    return {**named, "model": table.c.model, **_times(table.c.hour_us)}


def latency_columns() -> Mapping[str, ColumnElement[Any]]:
    """Axes of rollup_latency."""
    table = reading_schema.rollup_latency
    return {"feature": table.c.feature, "model": table.c.model, **_times(table.c.hour_us)}


def side_columns() -> Mapping[str, ColumnElement[Any]]:
    """Axes of rollup_side, one of key and tag at a time."""
    table = reading_schema.rollup_side
    return {"key": table.c.value, "tag": table.c.value, **_times(table.c.hour_us)}


def entry_columns(tag_name: str) -> Mapping[str, ColumnElement[Any]]:
    """Axes of the rows themselves: all of them."""
    table = schema.entry
    return {
        **{axis: table.c[column] for axis, column in _SAME.items()},
        "model": table.c.model_used,
        "key": table.c.key_id,
        "session": table.c.session,
        "tag": func.coalesce(table.c.tags[tag_name].as_string(), ""),
        **_times(table.c.book_us),
    }


def entry_sums() -> dict[str, ColumnElement[int]]:
    """What rollup_hour sums up, out of one row. Same as rules/rollup.py, for the database."""
    entry = schema.entry
    counts = entry.c.counts_request
    hit = entry.c.kind.in_(HITS)
    failed = entry.c.outcome != int(AttemptOutcome.OK)
    named = {name: entry.c[name] for name in schema.SUM_COLUMNS if name in entry.c}
    return {
        **named,
        "request_count": case((counts, 1), else_=0),
        "hit_count": case((and_(counts, hit), 1), else_=0),
        "error_count": case((and_(counts, failed), 1), else_=0),
        "attempt_count": case((entry.c.kind.in_(CALLS), 1), else_=0),
        "input_tokens": read_tokens(),
        "output_tokens": _sum(schema.WRITTEN_COLUMNS),
        "latency_ms": case((counts, entry.c.latency_ms), else_=0),
    }


def read_tokens() -> ColumnElement[int]:
    """All that a row's call read."""
    return _sum(schema.READ_COLUMNS)


def _sum(names: Sequence[str]) -> ColumnElement[int]:
    entry = schema.entry
    return sum((entry.c[name] for name in names[1:]), entry.c[names[0]])


def rows_between(
    conn: Connection, tenant: str, start_us: int, end_us: int
) -> Sequence[ColumnElement[bool]]:
    """The rows of a tenant booked from `start_us` on and before `end_us`.

    Found by their numbers, which the hours' marks tell; rows not followed yet are looked through.
    """
    entry, mark = schema.entry, reading_schema.entry_mark
    first, last = conn.execute(
        select(func.min(mark.c.first_no), func.max(mark.c.last_no)).where(
            mark.c.hour_us > start_us - HOUR_US, mark.c.hour_us < end_us
        )
    ).one()
    new = entry.c.entry_no > place_of(conn, NAME)
    inside = new if first is None else or_(new, entry.c.entry_no.between(first, last))
    return (
        entry.c.tenant == tenant,
        entry.c.book_us >= start_us,
        entry.c.book_us < end_us,
        inside,
    )
