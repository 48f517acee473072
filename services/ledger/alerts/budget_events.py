"""Follows what happened to budgets: overages, and requests that broke a budget and went on.

Read on from a place of its own, in the order of their numbers; alerts and place are written in
one transaction, so that a crash loses none and tells none twice.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from services.ledger.alerts.watch import Watch
from services.ledger.insight.alert import BrokenBudget, budget_event
from services.ledger.insight.gather import settled_prefix
from services.ledger.reading.follow import GAP_SECONDS, ROWS_MAX, move_place, place_of
from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.rules.scopes import values_of
from services.ledger.rules.values import MICROS_PER_SECOND, Budget, EventKind
from services.ledger.sql import schema
from services.ledger.sql.database import Database
from services.ledger.sql.rows import from_budget_row

_log = logging.getLogger("ledger.alerts")
PLACE = "budget_events"


class BudgetEvents:
    """Raises the alerts of budget events. `clock` gives microseconds since 1970."""

    def __init__(self, database: Database, watch: Watch, clock: Callable[[], int]) -> None:
        self._database = database
        self._watch = watch
        self._clock = clock

    async def step(self) -> int:
        """Takes in the next events; how many. Raises: BooksUnavailable."""
        place, found, last = await self._database.read(self._next)
        if last == place:
            return 0
        raised = [alert for each in found for alert in budget_event(each)]

        def work(conn: Connection) -> None:
            # Of several ledgers one moves on.
            if move_place(conn, PLACE, place, last):
                self._watch.keep(conn, raised)

        await self._database.write(work)
        return len(found)

    def _next(self, conn: Connection) -> tuple[int, Sequence[BrokenBudget], int]:
        table, place = schema.budget_event, place_of(conn, PLACE)
        rows = (
            conn.execute(
                select(table)
                .where(table.c.event_no > place)
                .order_by(table.c.event_no)
                .limit(ROWS_MAX)
            )
            .mappings()
            .all()
        )
        count = settled_prefix(
            [(row["event_no"], row["event_us"]) for row in rows],
            place,
            now_us=self._clock(),
            gap_us=GAP_SECONDS * MICROS_PER_SECOND,
        )
        rows = rows[:count]
        budgets = _budgets(conn, {row["budget_number"] for row in rows})
        found = [_broken(row, budgets[row["budget_number"]]) for row in rows]
        return place, found, rows[-1]["event_no"] if rows else place


def _broken(row: Any, budget: Budget) -> BrokenBudget:
    return BrokenBudget(
        kind=EventKind(row["kind"]),
        tenant=row["tenant"],
        budget_id=row["budget_id"],
        number=row["budget_number"],
        window_start_us=row["window_start_us"],
        subject=", ".join(f"{n} {v}" for n, v in values_of(budget.scope, row["subject"])),
        unit=budget.unit,
        amount=row["amount"],
        limit_amount=row["limit_amount"],
        request_id=row["request_id"],
        event_us=row["event_us"],
    )


def _budgets(conn: Connection, numbers: set[int]) -> dict[int, Budget]:
    table = schema.budget
    rows = conn.execute(select(table).where(table.c.number.in_(sorted(numbers)))).mappings()
    return {row["number"]: from_budget_row(row) for row in rows}


async def follow_budget_events(events: BudgetEvents, *, seconds: float) -> None:
    """Follows; when nothing is left it looks again after `seconds`."""
    while True:
        try:
            while await events.step():
                pass
        except BooksUnavailable:
            _log.warning("the database does not answer; alerts of budgets wait")
        except Exception as error:
            _log.error("following budgets failed", extra={"error_type": type(error).__name__})
        await asyncio.sleep(seconds)
