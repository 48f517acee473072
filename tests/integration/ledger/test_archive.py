"""Old months leave the books for files, and everything that can be asked stays as it was."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, func, select, update

from cli.main import build as cli
from services.ledger.archive import archive, cut, read_back
from services.ledger.rules.configuring import NewBudget
from services.ledger.rules.values import BudgetWindow, Scope
from services.ledger.sql import schema
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import Database
from services.ledger.sql.journal import Journal
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.sql.partitions import make_months, month_of, partitions
from services.ledger.sql.retention import ArchiveFile, MonthChanged, remove, totals
from services.ledger.verify import verify
from services.ledger.wiring import open_database
from tests.fakes.ledger_clock import SetClock
from tests.unit.ledger.making import PRICES, attempt, new_id, record, release, reserve, settle

MONTHS = [datetime(2025, month, 20, 12, tzinfo=UTC) for month in (1, 2, 4)]
NOW = datetime(2026, 3, 10, tzinfo=UTC)
TABLES = (schema.hold, schema.budget_line, schema.entry)


class Books:
    """Three months of bookings, the last of them to be kept, with a pending hold in it."""

    def __init__(self, url: str, clock: SetClock) -> None:
        self.url = url
        self.clock = clock
        self.database: Database = open_database(url, wait_seconds=10)
        self.budgets = BudgetStore(self.database, clock)

    async def fill(self) -> None:
        self.clock.set(MONTHS[0])
        await self.database.prepare(upgrade)
        for name, window in (("all", BudgetWindow.LIFETIME), ("month", BudgetWindow.MONTH)):
            new = NewBudget(name, Scope("acme"), window, 10**9, "h")
            await self.budgets.create(new)
        journal = Journal(self.database, PRICES, self.clock)
        for at in MONTHS:
            self.clock.set(at)
            await self.database.write(lambda conn: make_months(conn, self.clock()))
            held = [reserve(10) for _ in range(4)]
            await journal.transact(held)
            await journal.transact(
                [
                    settle(held[0].hold_id, attempt(0), attempt(7)),
                    settle(held[1].hold_id, attempt(9)),
                    release(held[2].hold_id, attempt(0)),
                    record(attempt(5), new_id()),
                    record(attempt(0), new_id()),
                ]
            )
            if at != MONTHS[-1]:
                self.clock.go_on(600)
                await journal.transact(())
        self.clock.set(NOW)

    async def archive(self, folder: Path, *, dry_run: bool = False) -> list[Any]:
        return await archive(
            self.database,
            folder,
            before_us=month_of(_us(MONTHS[-1])).span.start_us,
            now_us=self.clock(),
            dry_run=dry_run,
            progress=lambda *_: None,
        )

    async def everything(self) -> dict[str, Any]:
        """What callers can ask: balances and rollups, and the rows that are left."""

        def work(conn: Connection) -> dict[str, Any]:
            kept = {
                table.name: sorted(map(tuple, conn.execute(select(table))))
                for table in (schema.balance, schema.rollup_hour)
            }
            return kept | {t.name: conn.scalar(select(func.count()).select_from(t)) for t in TABLES}

        return await self.database.read(work)


def _us(at: datetime) -> int:
    return SetClock(at)()


@pytest.fixture
async def books(books_url: str, clock: SetClock) -> AsyncIterator[Books]:
    made = Books(books_url, clock)
    await made.fill()
    yield made
    assert await verify(made.database) == []
    await made.database.close()


async def test_archived_rows_are_in_files_and_all_sums_are_as_they_were(
    books: Books, tmp_path: Path
) -> None:
    """Two months go, the third stays whole; the books still prove themselves."""

    def old_rows(conn: Connection) -> list[dict[str, Any]]:
        before_us = month_of(_us(MONTHS[-1])).span.start_us
        query = select(schema.entry).where(schema.entry.c.book_us < before_us)
        return [dict(row) for row in conn.execute(query.order_by("entry_no")).mappings()]

    rows = await books.database.read(old_rows)
    before = await books.everything()
    promised = await books.archive(tmp_path, dry_run=True)
    assert await books.everything() == before
    done = await books.archive(tmp_path)
    assert done == promised
    assert [(each.month, each.totals.entries) for each in done] == [("2025_01", 6), ("2025_02", 6)]
    after = await books.everything()
    assert (after["balance"], after["rollup_hour"]) == (before["balance"], before["rollup_hour"])
    assert (after["entry"], after["hold"]) == (6, 4)
    assert after["budget_line"] < before["budget_line"]
    files = [tmp_path / each.file for each in done]
    assert [row for file in files for row in read_back(file)] == rows
    assert pq.read_table(files[0])["cost_nanos"].to_pylist() == [
        row["cost_nanos"] for row in rows[:6]
    ]
    assert await verify(books.database) == []
    assert await books.archive(tmp_path) == []


async def test_a_rollup_changed_after_its_rows_went_is_found_out(
    books: Books, tmp_path: Path
) -> None:
    """What the rows came to is kept apart from what the rollups say."""
    await books.archive(tmp_path)
    for change in (1, -1):
        january = schema.rollup_hour.c.hour_us < month_of(_us(MONTHS[1])).span.start_us
        changed = update(schema.rollup_hour).where(january).values(
            cost_nanos=schema.rollup_hour.c.cost_nanos + change
        )  # fmt: skip
        await books.database.write(lambda conn, q=changed: conn.execute(q) and None)  # type: ignore[misc]
        found = {difference.what for difference in await verify(books.database)}
        wrong = {"archived_month.cost_nanos", "rollup_day.cost_nanos"}
        assert found == (wrong if change == 1 else set())


async def test_a_month_that_is_not_what_was_written_stays(books: Books) -> None:
    """Nothing of it is removed."""
    month = month_of(_us(MONTHS[0]))
    before = await books.everything()

    def work(conn: Connection) -> None:
        wrong = replace(totals(conn, month), cost_nanos=1)
        remove(conn, month, wrong, ArchiveFile("x", "y"), 0)

    with pytest.raises(MonthChanged):
        await books.database.write(work)
    assert await books.everything() == before


async def test_what_is_kept_is_counted_in_whole_months() -> None:
    """And never less than a month back, whatever was asked for."""
    now_us = _us(NOW)
    assert cut(now_us, 400) == _us(datetime(2025, 2, 1, tzinfo=UTC))
    assert cut(now_us, 0) == _us(datetime(2026, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("books_url", ["postgresql"], indirect=True)
async def test_an_archived_months_partition_goes_with_its_rows(
    books: Books, tmp_path: Path
) -> None:
    """Space comes back at once, without a walk through the table."""
    name = month_of(_us(MONTHS[0])).name
    assert name in await books.database.read(partitions)
    await books.archive(tmp_path)
    assert name not in await books.database.read(partitions)


async def test_the_command_says_what_it_moved(
    books: Books, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the database itself; 400 days are kept unless told otherwise."""
    import asyncio

    arguments = ["ledger", "archive", "--to", str(tmp_path / "archive"), "--json"]
    arguments += ["--database-url", books.url]
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(cli(arguments), arguments)
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["month"] for each in told["months"]] == ["2025_01", "2025_02", "2025_04"]
    assert all((tmp_path / "archive" / each["file"]).exists() for each in told["months"])
