"""Transactions of the journal on a real database, without a network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, update

from services.ledger.rules.apply import apply_all
from services.ledger.rules.commands import Command, HoldAnswer, Settlement
from services.ledger.rules.configuring import NewBudget
from services.ledger.rules.refusals import BudgetExceeded
from services.ledger.rules.values import BudgetWindow, Scope
from services.ledger.sql import journal as journal_module
from services.ledger.sql import load as load_module
from services.ledger.sql import schema
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import BooksNotOpened, Database, RevisionConflict
from services.ledger.sql.journal import Journal
from services.ledger.sql.load import load_books, load_holds, touched_by
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.sql.reports import ReportStore
from services.ledger.sql.save import save
from services.ledger.sql.sqlite import SqliteDatabase
from services.ledger.verify import verify
from services.ledger.wiring import open_database
from tests.fakes.ledger_clock import SetClock
from tests.unit.ledger.making import (
    PRICES,
    attempt,
    new_id,
    record,
    release,
    reserve,
    settle,
)


def _open(url: str) -> Database:
    return open_database(url, wait_seconds=10)


@pytest.fixture
async def database(books_url: str, clock: SetClock) -> AsyncIterator[Database]:
    """New books, on SQLite and on PostgreSQL."""
    made = _open(books_url)
    await made.prepare(upgrade)
    await made.write(lambda conn: make_months(conn, clock()))
    yield made
    assert await verify(made) == []
    await made.close()


async def _budget(database: Database, clock: SetClock, limit: int, feature: str = "") -> None:
    await BudgetStore(database, clock).create(
        NewBudget(f"b{feature}", Scope("acme", feature=feature), BudgetWindow.DAY, limit, "h")
    )


async def _until_done(journal: Journal, batch: Sequence[Command]) -> Sequence[Any]:
    """As the writer does it: the first two holds of a window may meet on its new balance."""
    while True:
        try:
            return await journal.transact(batch)
        except RevisionConflict:
            continue


async def test_two_ledgers_on_one_database_never_overspend(
    database: Database, clock: SetClock, books_url: str
) -> None:
    """Two replicas, 200 holds of which 50 fit, all at once."""
    await _budget(database, clock, 500_000)
    other = _open(books_url)
    journals = [Journal(each, PRICES, clock) for each in (database, other)]
    batches = [[reserve(10) for _ in range(10)] for _ in range(20)]
    outcomes = await asyncio.gather(
        *(_until_done(journals[place % 2], batch) for place, batch in enumerate(batches))
    )
    await other.close()
    taken = [o for batch in outcomes for o in batch if isinstance(o, HoldAnswer)]
    refused = [o for batch in outcomes for o in batch if isinstance(o, BudgetExceeded)]
    assert (len(taken), len(refused)) == (50, 150)


async def test_a_balance_that_moved_meanwhile_is_not_written_over(
    database: Database, clock: SetClock
) -> None:
    """The guard behind the lock: nothing of that transaction is kept."""
    await _budget(database, clock, 500_000)
    command = reserve(10)
    await Journal(database, PRICES, clock).transact([command])
    charge = settle(command.hold_id, attempt(7))

    def work(conn: Connection) -> None:
        holds = load_holds(conn, {command.hold_id})
        books = load_books(conn, touched_by([charge], clock()), holds, PRICES, clock())
        apply_all(books, [charge])
        conn.execute(update(schema.balance).values(revision=schema.balance.c.revision + 1))
        save(conn, books.changes)

    with pytest.raises(RevisionConflict):
        await database.write(work)
    (done,) = await Journal(database, PRICES, clock).transact([charge])
    assert isinstance(done, Settlement)


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    database: Database, clock: SetClock
) -> None:
    """One command or sixty-four, of every kind."""
    await _budget(database, clock, 10**12)
    await _budget(database, clock, 10**12, "chat")
    journal = Journal(database, PRICES, clock)

    async def statements(commands: Sequence[Command]) -> int:
        seen: list[str] = []

        def note(*given: Any) -> None:
            seen.append(given[2])

        event.listen(Engine, "before_cursor_execute", note)
        try:
            outcomes = await journal.transact(commands)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert not [o for o in outcomes if isinstance(o, Exception)]
        return len(seen)

    counts = []
    for size in (1, 64):
        settled, released = ([reserve(10) for _ in range(size)] for _ in range(2))
        await journal.transact([*settled, *released])
        counts.append(
            await statements(
                [
                    *(reserve(10) for _ in range(size)),
                    *(settle(hold.hold_id, attempt(7), attempt(1)) for hold in settled),
                    *(release(hold.hold_id, attempt()) for hold in released),
                    *(record(attempt(3)) for _ in range(size)),
                ]
            )
        )
    assert counts[0] == counts[1]
    assert counts[0] <= 20


@pytest.mark.parametrize("books_url", ["sqlite"], indirect=True)
async def test_no_statement_walks_a_whole_table(database: Database, clock: SetClock) -> None:
    """However many holds and rows there are: every look-up goes by an index."""
    await _budget(database, clock, 10**12)
    await _budget(database, clock, 10**12, "chat")
    journal = Journal(database, PRICES, clock)
    budgets = BudgetStore(database, clock)
    reports = ReportStore(database)
    seen: dict[str, Any] = {}

    def note(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            many = isinstance(parameters, list)
            seen[statement] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for _ in range(2):
            held, returned, again = reserve(10), reserve(10), settle(new_id(), attempt(1))
            await journal.transact([held, returned, again])
            charge = settle(held.hold_id, attempt(7))
            await journal.transact([charge, release(returned.hold_id), record(attempt(3))])
            await journal.transact([charge])
        await budgets.get("acme", "b")
        await budgets.page("acme", "", 10)
        await reports.entries("acme", "", before_no=5, rows_max=10)
        await reports.entries("acme", "request", before_no=None, rows_max=10)
        await reports.report(
            "acme", start_us=0, end_us=clock(), columns=["model"], offset=0, rows_max=10
        )
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    def plans(conn: Connection) -> dict[str, list[str]]:
        return {
            statement: [
                row[3]
                for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            for statement, parameters in seen.items()
        }

    # An empty IN list is a scan of no rows by another name.
    scans = tuple(f"SCAN {table.name}" for table in schema.metadata.sorted_tables)
    walking = {
        statement: plan
        for statement, plan in (await database.read(plans)).items()
        if any(step.startswith(scans) for step in plan)
    }
    assert not walking
    assert len(seen) >= 12


async def test_more_lapsed_holds_than_one_transaction_takes_block_nobody(
    database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long outage: all of them are let go before the first command is decided."""
    for module in (journal_module, load_module):
        monkeypatch.setattr(module, "LAPSED_MAX", 3)
    await _budget(database, clock, 100_000)
    journal = Journal(database, PRICES, clock)
    holds = [reserve(10) for _ in range(10)]
    await journal.transact(holds)
    clock.go_on(121)
    late = settle(holds[4].hold_id, attempt(2))
    taken, charged = await journal.transact([reserve(98), late])
    assert isinstance(taken, HoldAnswer)
    assert isinstance(charged, Settlement)
    assert charged.entries[0].late


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"this is no database" * 100),
        lambda path: path.mkdir(),
        lambda path: path.parent.joinpath("books").write_text("a file where a folder should be"),
    ],
)
async def test_books_that_cannot_be_opened_are_said_so_in_a_line(
    spoil: Callable[[Path], Any], tmp_path: Path
) -> None:
    """For the operator, by the name of the variable."""
    in_folder = tmp_path / "books" / "ledger.db"
    path = tmp_path / "ledger.db"
    spoil(path)
    database = SqliteDatabase(f"sqlite:///{path if path.exists() else in_folder}", wait_seconds=0.1)
    with pytest.raises(BooksNotOpened) as caught:
        await database.prepare(upgrade)
    assert caught.value.problems[0].startswith("SPENDGATE_DATABASE_URL: ")
    await database.close()
