"""Reading the books: sums out of the rollups, rows out of the entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, FromClause, cast, desc, func, select
from sqlalchemy.sql.elements import ColumnElement

from services.ledger.rules.rollup import Sums
from services.ledger.rules.values import Entry
from services.ledger.sql import schema
from services.ledger.sql.database import Database
from services.ledger.sql.rolled import rolled
from services.ledger.sql.rows import from_entry_row

# Sums may leave an int64, which SQLite refuses and PostgreSQL turns into another type. So money
# is summed in two halves, whole USD and the rest, and joined in Python.
_HALF = 10**9


@dataclass(frozen=True, slots=True)
class Group:
    """One row of a report: the values it is grouped by, and the sums."""

    values: tuple[str | int, ...]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """A page of groups, dearest first, and the sums over all groups."""

    groups: Sequence[Group]
    total: Sums


class ReportStore:
    """The books as readers see them. Every method raises BooksUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(
        self,
        tenant: str,
        *,
        start_us: int,
        end_us: int,
        columns: Sequence[str],
        offset: int,
        rows_max: int,
    ) -> Report:
        """Sums of the hours from `start_us` on and before `end_us`, grouped by `columns`."""
        table = rolled(tenant, start_us, end_us, by_hour=False)
        sums, keys = _sums(table), [table.c[name] for name in columns]

        def work(conn: Connection) -> Report:
            total = _to_group(conn.execute(select(*sums)).one(), 0)
            if not keys:
                return Report([total][offset:], total.sums)
            rows = conn.execute(
                select(*keys, *sums)
                .group_by(*keys)
                .order_by(*_dearest(table), *keys)
                .limit(rows_max)
                .offset(offset)
            )
            return Report([_to_group(row, len(keys)) for row in rows], total.sums)

        return await self._database.read(work)

    async def entries(
        self, tenant: str, request_id: str, *, before_no: int | None, rows_max: int
    ) -> Sequence[tuple[int, Entry]]:
        """A tenant's rows with their numbers, newest first; `request_id` "" for all requests."""
        table = schema.entry

        def work(conn: Connection) -> Sequence[tuple[int, Entry]]:
            query = select(table).where(table.c.tenant == tenant)
            if request_id:
                query = query.where(table.c.request_id == request_id)
            if before_no is not None:
                query = query.where(table.c.entry_no < before_no)
            rows = conn.execute(query.order_by(desc(table.c.entry_no)).limit(rows_max)).mappings()
            return [(row["entry_no"], from_entry_row(row)) for row in rows]

        return await self._database.read(work)


def _sums(table: FromClause) -> list[ColumnElement[int]]:
    columns: list[ColumnElement[int]] = []
    for name in schema.SUM_COLUMNS:
        column = table.c[name]
        columns += [func.sum(column // _HALF), func.sum(column % _HALF)]
    return columns


def _dearest(table: FromClause) -> list[ColumnElement[int]]:
    whole = cast(func.sum(table.c.cost_nanos // _HALF), BigInteger)
    rest = cast(func.sum(table.c.cost_nanos % _HALF), BigInteger)
    return [desc(whole + rest // _HALF), desc(rest % _HALF)]


def _to_group(row: Sequence[Any], key_count: int) -> Group:
    halves = [int(half or 0) for half in row[key_count:]]
    joined = [whole * _HALF + rest for whole, rest in zip(halves[::2], halves[1::2], strict=True)]
    return Group(tuple(row[:key_count]), Sums(**dict(zip(schema.SUM_COLUMNS, joined, strict=True))))
