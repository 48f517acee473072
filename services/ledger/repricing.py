"""Prices booked rows again, page by page; what changed is booked through the one writer."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from services.ledger.rules.commands import Correct, Repriced
from services.ledger.rules.correct import differs, reprice
from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import ModelUnpriced
from services.ledger.rules.values import Entry
from services.ledger.sql import schema, statements
from services.ledger.sql.database import Database
from services.ledger.sql.rows import from_entry_row
from services.ledger.writer import GroupCommit


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of a tenant, booked from `start_us` on and before `end_us`; `model` "" for all."""

    tenant: str
    start_us: int
    end_us: int
    model: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of rows came to. `last_no` None: it was the last page."""

    repriced: Sequence[Repriced]
    checked_count: int
    unpriced_count: int
    last_no: int | None


class Repricing:
    """Every method raises BooksUnavailable."""

    def __init__(self, database: Database, prices: Prices, writer: GroupCommit) -> None:
        self._database = database
        self._prices = prices
        self._writer = writer

    async def page(self, wanted: Wanted, after_no: int, rows_max: int, *, apply: bool) -> Page:
        """Rows numbered after `after_no`, oldest first, at most `rows_max`; with `apply` the
        differences are on disk when this returns."""
        rows, corrections = await self._database.read(
            lambda conn: _read(conn, wanted, after_no, rows_max)
        )
        changed: list[Repriced] = []
        unpriced = 0
        for _, entry in rows:
            before = corrections.get(entry.attempt.entry_id, ())
            try:
                told, bill = reprice(self._prices, entry, before)
            except ModelUnpriced:
                unpriced += 1
                continue
            if differs(entry, before, bill):
                changed.append(told)
        if apply:
            changed = [await self._correct(wanted.tenant, told.entry_id) for told in changed]
        last_no = rows[-1][0] if len(rows) == rows_max else None
        return Page(changed, len(rows), unpriced, last_no)

    async def _correct(self, tenant: str, entry_id: str) -> Repriced:
        outcome = await self._writer.submit(Correct(tenant, entry_id))
        if not isinstance(outcome, Repriced):
            raise outcome if isinstance(outcome, Exception) else TypeError(type(outcome).__name__)
        return outcome


def _read(
    conn: Connection, wanted: Wanted, after_no: int, rows_max: int
) -> tuple[list[tuple[int, Entry]], dict[str, list[Entry]]]:
    table = schema.entry
    query = select(table).where(
        table.c.tenant == wanted.tenant,
        table.c.entry_no > after_no,
        table.c.book_us >= wanted.start_us,
        table.c.book_us < wanted.end_us,
        table.c.corrects_id == "",
    )
    if wanted.model:
        query = query.where(table.c.model_used == wanted.model)
    found = conn.execute(query.order_by(table.c.entry_no).limit(rows_max)).mappings()
    rows = [(row["entry_no"], from_entry_row(row)) for row in found]
    ids = [entry.attempt.entry_id for _, entry in rows]
    corrections: dict[str, list[Entry]] = {}
    for row in conn.execute(statements.corrections(), {"ids": ids}).mappings():
        corrections.setdefault(row["corrects_id"], []).append(from_entry_row(row))
    return rows, corrections
