"""verify() finds what is wrong with the books."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    an_attempt,
    hit_item,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.integration.ledger.test_leases import drawn, wish

TAMPERED = {
    "balance.settled_amount": "UPDATE balance SET settled_amount = settled_amount + 1",
    "balance.reserved_amount": "UPDATE balance SET reserved_amount = reserved_amount + 1",
    "rollup_hour.cost_nanos": "UPDATE entry SET cost_nanos = 6000, saved_cache_nanos = 1000"
    " WHERE cost_nanos = 7000",
    "rollup_hour.request_count": "DELETE FROM rollup_hour WHERE kind = 2",
    "entry.counts_request": "UPDATE entry SET counts_request = 0",
    "hold.state": "UPDATE hold SET state = 1 WHERE state = 2",
    "budget_line.held_amount": "UPDATE budget_line SET held_amount = 1",
    "budget_line.freed_amount": "UPDATE budget_line SET freed_amount = 0",
    "rollup_day.latency_ms": "UPDATE rollup_day SET latency_ms = latency_ms + 1",
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampered_books_are_found_out(what: str, tmp_path: Path, clock: SetClock) -> None:
    """Each kind of difference by its name; untouched books have none."""
    async with running_ledger(tmp_path, clock) as ledger:
        await ledger.budget("company", 100_000)
        settled, released, pending = (reserve_item(20) for _ in range(3))
        await ledger.reserve(settled, released, pending)
        await ledger.charge(settle_item(settled.hold_id, an_attempt(7, counterfactuals=[])))
        await ledger.release(pb.ReleaseItem(hold_id=released.hold_id, attempts=[an_attempt(0)]))
        await ledger.book(hit_item(5))
        await ledger.stub.AcquireLease(wish(nanos=10_000))
        await ledger.charge(drawn(an_attempt(3)))
        assert await ledger.differences() == []
        with contextlib.closing(sqlite3.connect(ledger.path)) as file:
            file.execute("PRAGMA ignore_check_constraints=ON")
            file.execute(TAMPERED[what])
            file.commit()
        assert what in {difference.what for difference in await ledger.differences()}
