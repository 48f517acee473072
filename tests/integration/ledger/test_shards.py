"""Tenants can be spread over ledgers with a database each: nothing needs two tenants at once."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, text

from services.ledger.rules.commands import Command
from services.ledger.rules.configuring import BudgetChange, NewBudget, NewKey
from services.ledger.rules.refusals import KeyInvalid
from services.ledger.rules.values import BudgetWindow, KeyRole, Scope
from services.ledger.sql import schema
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import Database
from services.ledger.sql.journal import Journal
from services.ledger.sql.keys import KeyStore
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.sql.reports import ReportStore
from services.ledger.verify import verify
from services.ledger.wiring import open_database
from tests.fakes.ledger_clock import SetClock
from tests.unit.ledger.making import PRICES, WHO, attempt, record, release, reserve, settle

TENANTS = [f"tenant-{number}" for number in range(8)]
SHARDS = 2
# Tables whose rows name their tenant, and a value that no row of theirs can be read with.
POISON = {
    "hold": "state = 99",
    "entry": "kind = 99",
    "budget": "window_kind = 99",
    "api_key": "role = 99",
}


class Shard:
    """A ledger's parts on a database of its own."""

    def __init__(self, url: str, clock: SetClock) -> None:
        self.database: Database = open_database(url, wait_seconds=10)
        self.clock = clock
        self.journal = Journal(self.database, PRICES, clock)
        self.budgets = BudgetStore(self.database, clock)
        self.reports = ReportStore(self.database)
        self.keys = KeyStore(
            self.database, clock, pepper=b"p" * 16, random_bytes=lambda n: bytes(range(n))
        )

    async def open(self) -> None:
        await self.database.prepare(upgrade)
        await self.database.write(lambda conn: make_months(conn, self.clock()))

    async def close(self) -> None:
        assert await verify(self.database) == []
        await self.database.close()


def _shard_of(tenant: str) -> int:
    return zlib.crc32(tenant.encode()) % SHARDS


async def _budgets(shard: Shard, tenant: str) -> None:
    """The same names for every tenant."""
    for name, feature in (("all", ""), ("chat", "chat")):
        new = NewBudget(name, Scope(tenant, feature=feature), BudgetWindow.DAY, 60_000, "h")
        await shard.budgets.create(new)


def _commands(tenant: str) -> list[list[Command]]:
    """Batches for one tenant: some holds do not fit, one stays."""
    who = replace(WHO, tenant=tenant)
    held = [reserve(10, hold_id=f"{tenant}/hold-{n}", attribution=who) for n in range(8)]
    return [
        list(held),
        [
            settle(held[0].hold_id, attempt(7, entry_id=f"{tenant}/e0")),
            settle(held[1].hold_id, attempt(9, entry_id=f"{tenant}/e1")),
            release(held[2].hold_id, attempt(0, entry_id=f"{tenant}/e2")),
            record(attempt(3, entry_id=f"{tenant}/e3"), f"{tenant}/r3", attribution=who),
        ],
    ]


async def _view(shard: Shard, tenant: str) -> dict[str, Any]:
    """All that can be asked about a tenant."""
    budgets = await shard.budgets.page(tenant, "", 10)
    entries = await shard.reports.entries(tenant, "", before_no=None, rows_max=100)
    report = await shard.reports.report(
        tenant, start_us=0, end_us=shard.clock() * 2, columns=["model"], offset=0, rows_max=10
    )
    return {
        "budgets": [(v.budget.budget_id, replace(v.balance, revision=0)) for v in budgets],
        "entries": sorted((e.attempt.entry_id, e.cost_nanos, e.overage_nanos) for _, e in entries),
        "report": (report.total.cost_nanos, report.total.request_count, len(report.groups)),
    }


async def _work(shard_of: Callable[[str], Shard], batches: dict[str, list[list[Command]]]) -> None:
    """Each round of all tenants as one transaction a shard, tenants mixed as callers mix them."""
    for number in range(2):
        mixed: dict[int, tuple[Shard, list[Command]]] = {}
        for tenant in TENANTS:
            shard = shard_of(tenant)
            mixed.setdefault(id(shard), (shard, []))[1].extend(batches[tenant][number])
        for shard, commands in mixed.values():
            await shard.journal.transact(commands)


async def test_two_shards_hold_what_one_database_would(tmp_path: Path, clock: SetClock) -> None:
    """Every tenant's budgets, rows and sums, to the nano; and no row in the other shard."""
    alone, *shards = [Shard(f"sqlite:///{tmp_path / f'{n}.db'}", clock) for n in range(SHARDS + 1)]
    for each in (alone, *shards):
        await each.open()
    for tenant in TENANTS:
        await _budgets(alone, tenant)
        await _budgets(shards[_shard_of(tenant)], tenant)
    batches = {tenant: _commands(tenant) for tenant in TENANTS}
    await _work(lambda _: alone, batches)
    await _work(lambda tenant: shards[_shard_of(tenant)], batches)
    assert {_shard_of(tenant) for tenant in TENANTS} == set(range(SHARDS))
    for tenant in TENANTS:
        here, other = shards[_shard_of(tenant)], shards[1 - _shard_of(tenant)]
        assert await _view(here, tenant) == await _view(alone, tenant)
        assert (await _view(other, tenant))["entries"] == []
        assert (await _view(other, tenant))["budgets"] == []
    for each in (alone, *shards):
        await each.close()


async def _use_all(shard: Shard, tenant: str) -> Sequence[Any]:
    """Every statement that reads for a tenant."""
    batches = _commands(tenant)
    outcomes = [*(await shard.journal.transact(batches[0]))]
    outcomes += await shard.journal.transact(batches[1])
    outcomes += await shard.journal.transact(batches[1])
    await _view(shard, tenant)
    await shard.budgets.get(tenant, "all")
    await shard.budgets.change(tenant, "all", BudgetChange(50_000))
    await shard.keys.page(tenant, "", 10)
    await shard.keys.disable(tenant, "k")
    await shard.budgets.delete(tenant, "chat")
    return outcomes


async def test_no_statement_reads_a_row_of_another_tenant(books_url: str, clock: SetClock) -> None:
    """All of another tenant's rows are made unreadable, and one tenant's work never notices."""
    shard = Shard(books_url, clock)
    await shard.open()
    for tenant in TENANTS[:2]:
        await _budgets(shard, tenant)
        shard.keys._random_bytes = lambda n, t=tenant: t.encode().ljust(n)  # type: ignore[misc]
        await shard.keys.create(NewKey(tenant, "k", "", "", "", KeyRole.CALLER, None, "h"))
    for batch in _commands(TENANTS[1]):
        await shard.journal.transact(batch)
    await _poison(shard.database, TENANTS[1])
    with pytest.raises(ValueError, match="99"):
        await _view(shard, TENANTS[1])
    outcomes = await _use_all(shard, TENANTS[0])
    assert len(outcomes) == 16
    await shard.database.close()


async def _poison(database: Database, tenant: str) -> None:
    def work(conn: Connection) -> None:
        for name, change in POISON.items():
            conn.execute(text(f"UPDATE {name} SET {change} WHERE tenant = :t"), {"t": tenant})

    await database.write(work)


def test_every_table_belongs_to_a_tenant_or_to_what_does() -> None:
    """A table that could not be split would have to be in two shards."""
    # By what a row is reached, where it does not name the tenant itself.
    through = {
        "balance": "budget_number",
        "budget_line": "budget_number",
        "archived_charge": "balance_key",
        "alert_delivery": "alert_no",
    }
    # Each shard's own.
    local = {"archived_month", "entry_mark", "follower"}

    def owned(table: Table) -> bool:
        return "tenant" in table.columns or through.get(table.name, "-") in table.columns

    tables = [t for t in schema.metadata.sorted_tables if t.name not in local]
    assert [table.name for table in tables if not owned(table)] == []


async def test_a_key_opens_nothing_at_another_shard(tmp_path: Path, clock: SetClock) -> None:
    """So a map from tenant to shard can send a call astray, and never let it in."""
    shards = [Shard(f"sqlite:///{tmp_path / f'{n}.db'}", clock) for n in range(SHARDS)]
    for number, shard in enumerate(shards):
        shard.keys = KeyStore(
            shard.database,
            clock,
            pepper=b"p" * 16,
            random_bytes=lambda count, number=number: bytes([number]) * count,
        )
        await shard.open()
    tenant = TENANTS[0]
    here, other = shards[_shard_of(tenant)], shards[1 - _shard_of(tenant)]
    new = NewKey(tenant, "k", "", "", "", KeyRole.CALLER, None, "h")
    _, secret = await here.keys.create(new)
    assert (await here.keys.resolve(secret)).tenant == tenant
    with pytest.raises(KeyInvalid):
        await other.keys.resolve(secret)
    for shard in shards:
        await shard.close()
