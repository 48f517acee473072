"""Moves the rows of a month out of the books, after they were written to a file.

What was charged stays in the balances and the rollups; what the rows added up to is kept beside
them, so that verify.py can go on proving both.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Select,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
)

from services.ledger.rules.values import RECORD_OWNER, HoldState
from services.ledger.sql import schema
from services.ledger.sql.dialect import upsert
from services.ledger.sql.partitions import Month, month_of, months_from, partitions
from services.ledger.sql.shape import POSTGRESQL, entry_key, request_key
from services.ledger.verify import settled

_CHUNK_ROWS = 10_000
_entry, _hold, _line = schema.entry, schema.hold, schema.budget_line


class MonthChanged(Exception):
    """The month's rows are not those that were written to the file. Nothing was removed."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the rows of a month add up to."""

    entries: int
    requests: int
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """Where a month's rows went."""

    name: str
    sha256: str


def months_with_rows(connection: Connection, before_us: int) -> list[Month]:
    """Months that ended at or before `before_us` and have rows, the oldest first."""
    first = connection.execute(select(func.min(_entry.c.book_us))).scalar()
    months: list[Month] = []
    month = month_of(int(first)) if first is not None else None
    while month is not None and (month.span.end_us or 0) <= before_us:
        if connection.execute(select(_entry.c.entry_no).where(_in(month)).limit(1)).first():
            months.append(month)
        month = months_from(month.span.start_us, 1)[1]
    return months


def totals(connection: Connection, month: Month) -> Totals:
    """What is in the books of a month."""
    entries, requests, cost = connection.execute(
        select(
            func.count(),
            func.count().filter(_entry.c.counts_request),
            func.sum(_entry.c.cost_nanos // 10**9),
        ).where(_in(month))
    ).one()
    rest = connection.execute(
        select(func.sum(_entry.c.cost_nanos % 10**9)).where(_in(month))
    ).scalar()
    return Totals(int(entries), int(requests), int(cost or 0) * 10**9 + int(rest or 0))


def rows(connection: Connection, month: Month) -> Iterator[list[dict[str, Any]]]:
    """A month's rows in the order of their numbers, some thousand at a time."""
    result = connection.execution_options(yield_per=_CHUNK_ROWS).execute(
        select(_entry).where(_in(month)).order_by(_entry.c.entry_no)
    )
    for chunk in result.mappings().partitions():
        yield [dict(row) for row in chunk]


def remove(
    connection: Connection, month: Month, expected: Totals, file: ArchiveFile, now_us: int
) -> None:
    """Takes the month out, in the caller's transaction. Raises: MonthChanged."""
    if totals(connection, month) != expected:
        raise MonthChanged
    start, end = month.span
    connection.execute(
        schema.archived_month.insert().values(
            month_us=start,
            end_us=end,
            entry_count=expected.entries,
            request_count=expected.requests,
            cost_digits=str(expected.cost_nanos),
            file_name=file.name,
            file_sha256=file.sha256,
            create_us=now_us,
        )
    )
    _keep_charges(connection, month)
    for statement in _leftovers(month):
        connection.execute(statement)
    if connection.dialect.name == POSTGRESQL:
        for table in (entry_key, request_key):
            connection.execute(delete(table).where(_in(month, table.c.book_us)))
        if month.name in partitions(connection):
            connection.execute(text(f"DROP TABLE {month.name}"))
    connection.execute(delete(_entry).where(_in(month)))


def _keep_charges(connection: Connection, month: Month) -> None:
    """What verify.py replays of these rows, it finds here from now on."""
    table = schema.archived_charge
    insert = upsert(connection.dialect.name, table)
    add = insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={"settled": table.c.settled + insert.excluded.settled},
    )
    values = [
        {"balance_key": json.dumps(list(key)), "settled": amount}
        for key, amount in settled(connection, _in(month)).items()
        if amount
    ]
    if values:
        connection.execute(add, values)


def _leftovers(month: Month) -> list[Delete]:
    """Holds that ended in the month, and the lines of these and of the month's records.

    Holds first lose their lines, then go; rows of the month still stand meanwhile.
    """
    ended = or_(
        _in(month, _hold.c.resolve_us),
        and_(_hold.c.state == int(HoldState.EXPIRED), _in(month, _hold.c.expire_us)),
    )
    settled_elsewhere: Select[Any] = select(literal_column("1")).where(
        _entry.c.owner_id == _hold.c.hold_id, ~_in(month)
    )
    gone: Select[Any] = select(_hold.c.hold_id).where(
        ended, _hold.c.state != int(HoldState.PENDING), ~settled_elsewhere.exists()
    )
    recorded = select(_entry.c.owner_id).where(
        _in(month), _entry.c.owner_id.startswith(RECORD_OWNER)
    )
    return [
        delete(_line).where(_line.c.owner_id.in_(recorded)),
        delete(_line).where(_line.c.owner_id.in_(gone)),
        delete(_hold).where(_hold.c.hold_id.in_(gone)),
    ]


def _in(month: Month, column: ColumnElement[int] = _entry.c.book_us) -> ColumnElement[bool]:
    start, end = month.span
    return and_(column >= start, column < end)
