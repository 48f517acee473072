"""Reserve and settle on one hot budget and on a thousand: group commit against call by call.

Both run the ledger's own rules and statements in this process, with the same callers, in turns.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from spendgate.ledger.v1 import budget_pb2, entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from catalog.config import parse_config
from catalog.prices import PriceBook
from services.ledger import convert
from services.ledger.rules.pricing import CatalogPrices
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import Database, RevisionConflict
from services.ledger.sql.journal import Journal
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.verify import verify
from services.ledger.wiring import open_database, wall_clock
from services.ledger.writer import GroupCommit

TENANT = "acme"
MODEL = "cheap"
LIMIT_NANOS = 10**17
FLEET = f"""
providers: {{somewhere: {{base_url: "http://127.0.0.1:1/v1"}}}}
models:
  {MODEL}:
    provider: somewhere
    price: {{input_usd_per_million: "1", output_usd_per_million: "2"}}
"""

Submit = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: pairs of reserve and settle a second, and how long a caller waited for a pair."""

    pairs_per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over the rounds."""

    database: str
    budgets: int
    callers: int
    grouped: Measured
    naive: Measured

    @property
    def times(self) -> float:
        """How many times as many bookings group commit does."""
        return self.grouped.pairs_per_second / self.naive.pairs_per_second


async def compare(
    name: str, url: str, *, budgets: int, callers: int, pairs: int, rounds: int
) -> Comparison:
    """`pairs` bookings a round by group commit; the naive rounds do a tenth, being slower."""
    database = open_database(url, wait_seconds=30)
    try:
        await database.prepare(upgrade)
        await database.write(lambda conn: make_months(conn, wall_clock()))
        await _make_budgets(database, budgets)
        journal = Journal(database, CatalogPrices(PriceBook(parse_config(FLEET))), wall_clock)
        writer = GroupCommit(journal.transact, conflict=RevisionConflict)
        naive, grouped = [], []
        await _round(writer.submit, budgets, callers, min(pairs, 2 * callers))
        for _ in range(rounds):
            naive.append(await _round(_alone(journal), budgets, callers, max(callers, pairs // 10)))
            grouped.append(await _round(writer.submit, budgets, callers, pairs))
        await writer.close()
        if await verify(database):
            raise SystemExit("the books do not agree with themselves")
    finally:
        await database.close()
    return Comparison(name, budgets, callers, _medians(grouped), _medians(naive))


def _alone(journal: Journal) -> Submit:
    """A transaction for each command, tried again when another came between."""

    async def submit(command: Any) -> Any:
        while True:
            try:
                (outcome,) = await journal.transact([command])
            except RevisionConflict:
                continue
            return outcome

    return submit


async def _round(submit: Submit, budgets: int, callers: int, pairs: int) -> Measured:
    left = iter(range(pairs))
    waits: list[float] = []

    async def caller() -> None:
        for number in left:
            reserve, settle = _commands(f"f{number % budgets}")
            began = time.perf_counter()
            for command in (reserve, settle):
                outcome = await submit(command)
                if isinstance(outcome, Exception):
                    raise outcome
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - began
    cuts = quantiles(waits, n=100)
    return Measured(pairs / seconds, 1000 * cuts[49], 1000 * cuts[98])


def _commands(feature: str) -> tuple[Any, Any]:
    hold = pb.ReserveItem(hold_id=str(uuid.uuid4()), request_id=str(uuid.uuid4()))
    hold.attribution.CopyFrom(
        entry_pb2.Attribution(tenant=TENANT, project="web", user="ann", feature=feature)
    )
    hold.worst_cases.add(model=MODEL).usage.input_tokens = 1000
    charge = pb.SettleItem(hold_id=hold.hold_id)
    attempt = charge.attempts.add(
        entry_id=str(uuid.uuid4()),
        kind=entry_pb2.ENTRY_KIND_CALL,
        outcome=entry_pb2.ATTEMPT_OUTCOME_OK,
        attempt_number=1,
        model_asked="auto",
        model_used=MODEL,
        provider="somewhere",
        usage_source=entry_pb2.USAGE_SOURCE_REPORTED,
        latency_ms=100,
    )
    attempt.usage.input_tokens = 700
    return convert.from_pb_reserve(hold), convert.from_pb_settle(charge)


async def _make_budgets(database: Database, budgets: int) -> None:
    """One for each feature; every call counts against exactly one."""
    store = BudgetStore(database, wall_clock)
    for number in range(budgets):
        request = pb.CreateBudgetRequest(
            budget_id=f"b{number}",
            window=budget_pb2.BUDGET_WINDOW_MONTH,
            limit_nanos=LIMIT_NANOS,
        )
        scope = budget_pb2.BudgetScope(tenant=TENANT, feature=f"f{number}")
        request.scope.CopyFrom(scope)
        await store.create(convert.from_pb_new_budget(request))


def _medians(rounds: Sequence[Measured]) -> Measured:
    return Measured(
        median(each.pairs_per_second for each in rounds),
        median(each.p50_ms for each in rounds),
        median(each.p99_ms for each in rounds),
    )
