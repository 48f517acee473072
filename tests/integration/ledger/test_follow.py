"""Sums beside the books: each row once, whoever follows."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from services.ledger.reading.follow import Follower
from services.ledger.sql.sqlite import SqliteDatabase
from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import Ledger, running_ledger
from tests.integration.ledger.test_breakdown import call

T = TypeVar("T")


class Together(SqliteDatabase):
    """Lets nobody write before everybody has read."""

    barrier: asyncio.Barrier

    async def write(self, work: Callable[[Connection], T]) -> T:
        await self.barrier.wait()
        return await super().write(work)


async def test_two_ledgers_at_the_same_rows_count_them_once(tmp_path, clock: SetClock) -> None:
    """Both have read them; one of them is too late and adds nothing."""
    async with running_ledger(tmp_path, clock, follow_seconds=60) as ledger:
        for number in range(5):
            await call(ledger, number + 1, key_id="k1")
        barrier = asyncio.Barrier(2)
        databases = []
        for _ in range(2):
            database = Together(f"sqlite:///{ledger.path}", wait_seconds=5)
            database.barrier = barrier
            databases.append(database)
        followers = [Follower(database, clock) for database in databases]
        await asyncio.gather(*(follower.step() for follower in followers))
        for database in databases:
            await database.close()
        assert _kept(ledger) == [(5, 15_000)]
        assert ledger.query("SELECT SUM(request_count) FROM rollup_latency") == [(5,)]


async def test_side_sums_are_what_the_rows_add_up_to(ledger: Ledger, clock: SetClock) -> None:
    """Also when rows came hour by hour and piece by piece."""
    for number in range(6):
        await call(ledger, number, key_id="k1", team="blue")
        clock.go_on(1_200)
    follower_sums = "SELECT SUM(request_count), SUM(error_count), SUM(cost_nanos) FROM rollup_side"
    rows = "SELECT COUNT(*), SUM(outcome != 1), SUM(cost_nanos) FROM entry"
    async with asyncio.timeout(20):
        while ledger.query(f"{follower_sums} WHERE axis = 'tag:team'") != ledger.query(rows):
            await asyncio.sleep(0.05)
    assert ledger.query(f"{follower_sums} WHERE axis = 'key_id'") == ledger.query(rows)


def _kept(ledger: Ledger) -> list[tuple[int, int]]:
    return ledger.query("SELECT request_count, cost_nanos FROM rollup_side WHERE axis = 'key_id'")
