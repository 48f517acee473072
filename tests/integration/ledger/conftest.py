"""A ledger on a real socket, over a real SQLite file, with a clock that tests set."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc
from spendgate.ledger.v1 import reading_service_pb2_grpc as reading_rpc

from chassis.health import Health
from chassis.server import running
from services.ledger.settings import LedgerSettings
from services.ledger.sql.sqlite import SqliteDatabase
from services.ledger.verify import Difference, verify
from services.ledger.wiring import build
from tests.fakes.ledger_clock import SetClock
from tests.unit.ledger.making import FLEET, new_id

PEPPER = "pepper of the tests"


class Ledger:
    """The service as its callers see it, and the file under it."""

    def __init__(
        self, channel: grpc.aio.Channel, path: Path, clock: SetClock, health: Health, address: str
    ) -> None:
        self.address = ""
        self.stub = rpc.LedgerServiceStub(channel)
        self.reading = reading_rpc.ReadingServiceStub(channel)
        self.path = path
        self.address = address
        self.clock = clock
        self.health = health

    async def reserve(self, *items: pb.ReserveItem) -> Sequence[pb.ReserveResult]:
        return (await self.stub.Reserve(pb.ReserveRequest(items=items), timeout=30)).results

    async def settle(self, *items: pb.SettleItem) -> Sequence[pb.SettleResult]:
        return (await self.stub.Settle(pb.SettleRequest(items=items), timeout=30)).results

    async def release(self, *items: pb.ReleaseItem) -> Sequence[pb.ReleaseResult]:
        return (await self.stub.Release(pb.ReleaseRequest(items=items), timeout=30)).results

    async def record(self, *items: pb.RecordItem) -> Sequence[pb.RecordResult]:
        return (await self.stub.Record(pb.RecordRequest(items=items), timeout=30)).results

    async def hold(self, item: pb.ReserveItem) -> hold_pb2.Hold:
        (result,) = await self.reserve(item)
        assert result.HasField("hold"), result.error
        return result.hold

    async def charge(self, item: pb.SettleItem) -> pb.Settlement:
        (result,) = await self.settle(item)
        assert result.HasField("settlement"), result.error
        return result.settlement

    async def book(self, item: pb.RecordItem) -> entry_pb2.Entry:
        (result,) = await self.record(item)
        assert result.HasField("entry"), result.error
        return result.entry

    async def budget(self, budget_id: str, limit_nanos: int, **more: Any) -> budget_pb2.Budget:
        """A budget of the tenant "acme", for a lifetime unless told otherwise."""
        window = more.pop("window", budget_pb2.BUDGET_WINDOW_LIFETIME)
        other = {
            name: more.pop(name)
            for name in ("unit", "mode", "time_zone", "rolling")
            if name in more
        }
        request = pb.CreateBudgetRequest(budget_id=budget_id, window=window, **other)
        if request.unit in (0, budget_pb2.BUDGET_UNIT_NANO_USD):
            request.limit_nanos = limit_nanos
        else:
            request.limit_amount = limit_nanos
        request.scope.CopyFrom(budget_pb2.BudgetScope(tenant="acme", **more))
        return (await self.stub.CreateBudget(request, timeout=30)).budget

    async def standing(self, budget_id: str) -> tuple[int, int]:
        """Settled and reserved of a budget, in its unit."""
        request = pb.GetBudgetRequest(tenant="acme", budget_id=budget_id)
        budget = (await self.stub.GetBudget(request, timeout=30)).budget
        return budget.settled_amount, budget.reserved_amount

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows straight from the file."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=5)) as connection:
            return connection.execute(statement).fetchall()

    def change(self, statement: str) -> None:
        """Behind the service's back."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=5)) as connection:
            connection.execute(statement)
            connection.commit()

    async def differences(self) -> Sequence[Difference]:
        """What the books do not agree on."""
        database = SqliteDatabase(f"sqlite:///{self.path}", wait_seconds=5)
        try:
            return await verify(database)
        finally:
            await database.close()


def reserve_item(tokens: int, model: str = "cheap", **more: Any) -> pb.ReserveItem:
    """A hold for `model` reading `tokens`, for ann's chat at acme."""
    item = pb.ReserveItem(hold_id=new_id(), request_id=new_id())
    item.attribution.CopyFrom(
        entry_pb2.Attribution(tenant="acme", project="web", user="ann", feature="chat")
    )
    item.worst_cases.add(model=model).usage.input_tokens = tokens
    item.MergeFrom(pb.ReserveItem(**more))
    return item


def an_attempt(tokens: int, model: str = "cheap", **more: Any) -> entry_pb2.Attempt:
    """A call that read `tokens`; without tokens one that failed unbilled."""
    made = entry_pb2.Attempt(
        entry_id=new_id(),
        kind=entry_pb2.ENTRY_KIND_CALL,
        outcome=entry_pb2.ATTEMPT_OUTCOME_OK if tokens else entry_pb2.ATTEMPT_OUTCOME_FAILED,
        attempt_number=1,
        model_asked="auto",
        model_used=model,
        provider="somewhere",
        usage_source=entry_pb2.USAGE_SOURCE_REPORTED if tokens else entry_pb2.USAGE_SOURCE_NONE,
        latency_ms=100,
    )
    if tokens:
        made.usage.input_tokens = tokens
    made.MergeFrom(entry_pb2.Attempt(**more))
    return made


def settle_item(hold_id: str, *attempts: entry_pb2.Attempt) -> pb.SettleItem:
    return pb.SettleItem(hold_id=hold_id, attempts=attempts)


def hit_item(tokens: int, **more: Any) -> pb.RecordItem:
    """A cache hit that saved a call of `tokens`."""
    attempt = an_attempt(
        0,
        kind=entry_pb2.ENTRY_KIND_CACHE_HIT,
        outcome=entry_pb2.ATTEMPT_OUTCOME_OK,
        counterfactuals=[
            entry_pb2.Counterfactual(cause=entry_pb2.SAVING_CAUSE_CACHE, model="cheap")
        ],
    )
    attempt.attempt_number = 0
    attempt.counterfactuals[0].usage.input_tokens = tokens
    item = pb.RecordItem(request_id=new_id(), attempt=attempt)
    item.attribution.CopyFrom(
        entry_pb2.Attribution(tenant="acme", project="web", user="ann", feature="chat")
    )
    item.MergeFrom(pb.RecordItem(**more))
    return item


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo of a status."""
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details), status
    return info


def detail_of(status: status_pb2.Status, kind: Any) -> Any:
    """A detail of a status."""
    found = kind()
    assert any(detail.Unpack(found) for detail in status.details), status
    return found


async def refusal(call: Any) -> status_pb2.Status:
    """The status that a unary call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    assert status is not None
    return status


@asynccontextmanager
async def running_ledger(folder: Path, clock: SetClock, **settings: Any) -> AsyncIterator[Ledger]:
    """The service over the books in `folder`; `fleet_more` is added to the fleet file."""
    fleet = folder / "fleet.yaml"
    environ = settings.pop("environ", {})
    await asyncio.to_thread(fleet.write_text, FLEET + settings.pop("fleet_more", ""))
    path = folder / "ledger.db"
    given = {
        "database_url": f"sqlite:///{path}",
        "key_pepper": PEPPER,
        "config": fleet,
        # Tests of sweeping set their own; elsewhere it must not do what is tested.
        "sweep_seconds": 3600,
        **settings,
    }
    async with (
        running(
            "ledger", LedgerSettings(**given), partial(build, clock=clock, environ=environ)
        ) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield Ledger(channel, path, clock, service.health, service.address)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: SetClock) -> AsyncIterator[Ledger]:
    """The service with its defaults; its books must agree with themselves at the end."""
    async with running_ledger(tmp_path, clock) as service:
        yield service
        assert await service.differences() == []
