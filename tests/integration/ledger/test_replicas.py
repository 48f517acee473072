"""Several ledgers on one PostgreSQL: what two of them do in the same moment happens once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from services.ledger.rules.commands import (
    AcquireLease,
    Amounts,
    Draw,
    HoldAnswer,
    LeaseAnswer,
    LeaseName,
    ReturnLease,
    Settlement,
)
from services.ledger.rules.configuring import BudgetChange, NewBudget
from services.ledger.rules.refusals import BudgetExceeded
from services.ledger.rules.values import BudgetWindow, Entry, Scope
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import RevisionConflict
from services.ledger.sql.journal import Journal
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.sql.partitions import DEFAULT, make_months, month_of, partitions
from services.ledger.sql.postgres import PostgresDatabase
from services.ledger.verify import verify
from services.ledger.writer import GroupCommit
from tests.fakes.ledger_clock import SetClock
from tests.postgres import PostgresServer
from tests.unit.ledger.making import PRICES, SECOND, WHO, attempt, new_id, record, reserve, settle

REPLICAS = 3


class Fleet:
    """Three ledgers' writers on one database."""

    def __init__(self, url: str, clock: SetClock) -> None:
        self.databases = [PostgresDatabase(url, wait_seconds=10) for _ in range(REPLICAS)]
        self.journals = [Journal(each, PRICES, clock) for each in self.databases]
        self.writers = [GroupCommit(j.transact, conflict=RevisionConflict) for j in self.journals]
        self.budgets = BudgetStore(self.databases[0], clock)

    async def everywhere(self, command: Any) -> Sequence[Any]:
        """The outcomes of one command sent to all of them at once."""
        return await asyncio.gather(*(writer.submit(command) for writer in self.writers))

    async def budget(self, limit: int) -> None:
        new = NewBudget("b", Scope("acme"), BudgetWindow.DAY, limit, "h")
        await self.budgets.create(new)


@pytest.fixture
async def fleet(postgres: PostgresServer, clock: SetClock) -> AsyncIterator[Fleet]:
    made = Fleet(postgres.new_database(), clock)
    await made.databases[0].prepare(upgrade)
    await made.databases[0].write(lambda conn: make_months(conn, clock()))
    yield made
    for writer in made.writers:
        await writer.close()
    assert await verify(made.databases[0]) == []
    for database in made.databases:
        await database.close()


async def test_a_repeat_that_lands_elsewhere_gets_the_first_answer(fleet: Fleet) -> None:
    """Twenty commands of each kind, each sent to three ledgers at once: done once."""
    await fleet.budget(10**9)
    for _ in range(20):
        hold = reserve(10)
        held = await fleet.everywhere(hold)
        assert all(isinstance(each, HoldAnswer) for each in held), held
        charge = settle(hold.hold_id, attempt(7))
        told = await fleet.everywhere(charge)
        assert all(isinstance(each, Settlement) for each in told), told
        booked = await fleet.everywhere(record(attempt(3)))
        assert all(isinstance(each, Entry) for each in booked), booked
        assert len({each.attempt.entry_id for each in booked}) == 1
    view = await fleet.budgets.get("acme", "b")
    assert view.balance.settled_amount == 20 * (7_000 + 3_000)
    assert view.balance.reserved_amount == 0


async def test_a_request_that_two_ledgers_book_at_once_counts_once(fleet: Fleet) -> None:
    """Different rows of one request, in the same moment."""
    for _ in range(20):
        request_id = new_id()
        commands = [record(attempt(0), request_id) for _ in range(REPLICAS)]
        booked = await asyncio.gather(
            *(w.submit(c) for w, c in zip(fleet.writers, commands, strict=True))
        )
        assert sum(each.counts_request for each in booked) == 1


async def test_calls_under_one_lease_are_drawn_once_each(fleet: Fleet) -> None:
    """Twenty charges, each sent to three ledgers at once, and the grant and its return too."""
    await fleet.budget(10**9)
    name = LeaseName(new_id(), 1)
    called, amounts = (("cheap", "somewhere"),), Amounts(1_000_000, 10**6, 100)
    grant = AcquireLease(
        name, WHO, called, amounts, Amounts(), 60 * SECOND, 60 * SECOND, request_hash="h"
    )
    granted = await fleet.everywhere(grant)
    assert all(isinstance(each, LeaseAnswer) for each in granted), granted
    charges = []
    for _ in range(20):
        whole = reserve(10)
        draw = Draw(name, whole.request_id, WHO, whole.worst_cases)
        charges.append(replace(settle(whole.hold_id, attempt(7)), draw=draw))
    told = await asyncio.gather(*(fleet.everywhere(each) for each in charges))
    assert all(isinstance(one, Settlement) for each in told for one in each), told
    balance = (await fleet.budgets.get("acme", "b")).balance
    assert (balance.settled_amount, balance.reserved_amount) == (140_000, 860_000)
    await fleet.everywhere(ReturnLease(name, "acme"))
    balance = (await fleet.budgets.get("acme", "b")).balance
    assert (balance.settled_amount, balance.reserved_amount) == (140_000, 0)


async def test_a_lowered_limit_holds_for_everybody_at_once(fleet: Fleet) -> None:
    """While all of them reserve: once the change is told, no hold goes beyond it."""
    await fleet.budget(10**9)
    stop = False
    outcomes: list[Any] = []

    async def caller(place: int) -> None:
        while not stop:
            outcomes.append(await fleet.writers[place % REPLICAS].submit(reserve(10)))

    callers = [asyncio.create_task(caller(place)) for place in range(12)]
    while len(outcomes) < 60:
        await asyncio.sleep(0.001)
    view = await fleet.budgets.change("acme", "b", BudgetChange(600_000))
    reserved = (await fleet.budgets.get("acme", "b")).balance.reserved_amount
    told = len(outcomes)
    while len(outcomes) < told + 60:
        await asyncio.sleep(0.001)
    stop = True
    await asyncio.gather(*callers)
    after = (await fleet.budgets.get("acme", "b")).balance.reserved_amount
    assert view.budget.limit_amount == 600_000
    assert after <= max(reserved, 600_000)
    assert any(isinstance(each, BudgetExceeded) for each in outcomes[told:])


async def test_rows_of_a_month_that_was_not_made_move_into_it(
    fleet: Fleet, clock: SetClock
) -> None:
    """The default partition takes them meanwhile, so that nothing is refused."""
    clock.go_on(120 * 86_400)
    (booked,) = await fleet.journals[0].transact([record(attempt(3))])
    assert isinstance(booked, Entry)

    def count(conn: Connection, table: str) -> int:
        return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    database, month = fleet.databases[0], month_of(clock())
    assert await database.read(lambda conn: count(conn, DEFAULT)) == 1
    made = await asyncio.gather(
        *(each.write(lambda conn: make_months(conn, clock())) for each in fleet.databases)
    )
    assert sum(month.name in names for names in made) == 1
    assert await database.read(lambda conn: count(conn, DEFAULT)) == 0
    assert await database.read(lambda conn: count(conn, month.name)) == 1
    assert {month.name, DEFAULT} < await database.read(partitions)
