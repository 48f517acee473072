"""What is read from the books is the same on both databases, whatever a report is made from."""

from pathlib import Path
from typing import Any

import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import reading_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import Ledger, running_ledger
from tests.integration.ledger.test_breakdown import a_day, ask
from tests.integration.ledger.test_insights import facts, spend
from tests.postgres import PostgresServer, why_not

# Out of the hours, the days, the sums beside the books, the rows.
QUESTIONS: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((pb.AXIS_FEATURE, pb.AXIS_MODEL), {}),
    ((pb.AXIS_USER, pb.AXIS_KIND), {}),
    ((pb.AXIS_PROJECT, pb.AXIS_DAY), {}),
    ((pb.AXIS_HOUR, pb.AXIS_FEATURE), {}),
    ((pb.AXIS_KEY,), {}),
    ((pb.AXIS_TAG, pb.AXIS_HOUR), {"tag_name": "team"}),
    ((pb.AXIS_SESSION, pb.AXIS_USER), {}),
    ((pb.AXIS_TAG, pb.AXIS_MODEL), {"tag_name": "team"}),
)


async def _everything(folder: Path, **settings: Any) -> list[Any]:
    """Three days of two users, and all answers about them, without what is made up each time."""
    clock = SetClock()
    async with running_ledger(folder, clock, **settings) as ledger:
        for _ in range(3):
            await a_day(ledger)
            for _ in range(3):
                await spend(ledger, facts=facts(prompt_hash="a", system_hash="b"), input_tokens=900)
            clock.go_on(20 * 3600)
        told: list[Any] = []
        for axes, more in QUESTIONS:
            answer = await ask(ledger, *axes, **more)
            told.append((axes, answer.source, sorted(str(row) for row in answer.rows)))
            told.append(str(answer.total))
        told += await _insights(ledger)
        books = await ledger.stub.VerifyBooks(ledger_pb.VerifyBooksRequest())
        assert not books.difference_count, books
        return told


async def _insights(ledger: Ledger) -> list[Any]:
    anatomy = await ledger.reading.Anatomy(pb.AnatomyRequest(tenant="acme"))
    found = await ledger.reading.Opportunities(pb.OpportunitiesRequest(tenant="acme"))
    rows = [
        [
            (entry.attempt.kind, entry.cost_nanos, dict(entry.attribution.tags))
            for entry in piece.entries
        ]
        async for piece in ledger.reading.ExportEntries(pb.ExportEntriesRequest(tenant="acme"))
    ]
    opportunities = [
        (each.kind, each.evidence, each.month_nanos, each.month_nanos_low, each.month_nanos_high)
        for each in found.opportunities
    ]
    assert opportunities
    return [str(anatomy.anatomy.parts), opportunities, rows]


@pytest.mark.skipif(bool(why_not()), reason=why_not())
async def test_answers_are_the_same_on_both_databases(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Breakdowns from every source, the anatomy, the opportunities, the export, the proof."""
    url = postgres.new_database()
    (tmp_path / "other").mkdir()
    here = await _everything(tmp_path, follow_seconds=0.05)
    there = await _everything(
        tmp_path / "other", database_url=url, migrate_at_start=True, follow_seconds=0.05
    )
    assert here == there
