"""Budgets and keys through the gateway's port: an admin's own tenant, on a real ledger."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from spendgate.ledger.v1 import budget_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.server import Outfit, Room, running
from chassis.settings import ServiceSettings
from gateway import desk
from gateway.audit import Audit
from gateway.door import Identity
from gateway.errors import ERRORS, KeyInvalid
from tests.fakes.audit_lines import AuditLines
from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import info_of, refusal, running_ledger

ADMIN = Identity(tenant="acme", key_id="root", admin=True)
LINES = AuditLines()
CALLERS = {
    "Bearer admin": ADMIN,
    "Bearer caller": dataclasses.replace(ADMIN, admin=False),
    "Bearer viewer": dataclasses.replace(ADMIN, admin=False, viewer=True),
}


class _Books:
    """The real ledger, as the gateway's services reach it."""

    def __init__(self, address: str) -> None:
        self._link = Link(address, desk.SERVICE_NAME, None)
        self._stub = self._link.stub(rpc.LedgerServiceStub)

    async def ask_ledger(self, method: str, request: Any, deadline: Deadline) -> Any:
        return await self._link.call(getattr(self._stub, method), request, deadline)

    async def close(self) -> None:
        await self._link.close()


async def _authenticate(authorization: str | None) -> Identity:
    if authorization not in CALLERS:
        raise KeyInvalid
    return CALLERS[authorization]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[rpc.LedgerServiceStub]:
    async with running_ledger(tmp_path, SetClock()) as ledger:
        books = _Books(ledger.address)

        async def build(settings: ServiceSettings, outfit: Outfit) -> Room:
            return Room(
                servicers=[(desk.add_to_server, desk.Desk(books, Audit(LINES)))],
                service_names=[desk.SERVICE_NAME],
                errors=ERRORS,
                authenticate=_authenticate,
                cleanups=[("books", books.close)],
            )

        async with (
            running("gateway", ServiceSettings(), build) as service,
            grpc.aio.insecure_channel(service.address) as channel,
        ):
            yield rpc.LedgerServiceStub(channel)


def _as(who: str) -> dict[str, Any]:
    return {"metadata": [("authorization", f"Bearer {who}")], "timeout": 30}


async def test_an_admin_manages_its_tenant(door: rpc.LedgerServiceStub) -> None:
    """Named or not; the books under it are those of the ledger."""
    request = pb.CreateBudgetRequest(
        budget_id="all", window=budget_pb2.BUDGET_WINDOW_DAY, limit_nanos=10
    )
    made = await door.CreateBudget(request, **_as("admin"))
    assert made.budget.scope.tenant == "acme"
    listed = await door.ListBudgets(pb.ListBudgetsRequest(tenant="acme"), **_as("admin"))
    assert [budget.budget_id for budget in listed.budgets] == ["all"]
    key = await door.CreateKey(pb.CreateKeyRequest(key_id="shop"), **_as("admin"))
    rotated = await door.RotateKey(pb.RotateKeyRequest(key_id="shop"), **_as("admin"))
    assert key.secret != rotated.secret
    report = await door.Report(pb.ReportRequest(), **_as("admin"))
    assert report.total.request_count == 0


async def test_what_admins_do_is_written_down(door: rpc.LedgerServiceStub) -> None:
    """Who, what, to what, with what outcome; what was refused too, and never a secret."""
    LINES.clear()
    key = await door.CreateKey(pb.CreateKeyRequest(key_id="till"), **_as("admin"))
    await refusal(door.DisableKey(pb.DisableKeyRequest(key_id="till"), **_as("caller")))
    await refusal(door.RotateKey(pb.RotateKeyRequest(key_id="none"), **_as("admin")))
    assert [(line["what"], line["target"], line["outcome"]) for line in LINES] == [
        ("ledger.CreateKey", "till", "OK"),
        ("ledger.DisableKey", "till", "ADMIN_REQUIRED"),
        ("ledger.RotateKey", "none", "KEY_UNKNOWN"),
    ]
    assert all((line["tenant"], line["caller"]) == ("acme", "root") for line in LINES)
    assert key.secret not in str(LINES)


async def test_a_viewer_reads_its_tenant_and_changes_nothing(
    door: rpc.LedgerServiceStub,
) -> None:
    """Each method is either a reading one or refused."""
    listed = await door.ListBudgets(pb.ListBudgetsRequest(), **_as("viewer"))
    assert list(listed.budgets) == []
    for method in desk.FORWARDED.keys() - desk.READS:
        call = getattr(door, method)(getattr(pb, f"{method}Request")(), **_as("viewer"))
        assert info_of(await refusal(call)).reason == "ADMIN_REQUIRED", method


async def test_the_ledgers_refusals_come_through(door: rpc.LedgerServiceStub) -> None:
    """With its own reasons."""
    status = await refusal(door.GetBudget(pb.GetBudgetRequest(budget_id="none"), **_as("admin")))
    assert (info_of(status).reason, info_of(status).domain) == (
        "BUDGET_UNKNOWN",
        "ledger.spendgate",
    )


@pytest.mark.parametrize(
    ("who", "tenant", "reason"),
    [
        ("admin", "other", "REQUEST_INVALID"),
        ("caller", "acme", "ADMIN_REQUIRED"),
        ("nobody", "acme", "KEY_INVALID"),
    ],
)
async def test_nobody_else_is_let_in(
    door: rpc.LedgerServiceStub, who: str, tenant: str, reason: str
) -> None:
    """Every method, wherever its request names the tenant."""

    async def ask(method: str, path: tuple[str, ...]) -> str:
        request = getattr(pb, f"{method}Request")()
        place = request
        for name in path[:-1]:
            place = getattr(place, name)
        setattr(place, path[-1], tenant)
        return str(info_of(await refusal(getattr(door, method)(request, **_as(who)))).reason)

    told = await asyncio.gather(*(ask(*each) for each in desk.FORWARDED.items()))
    assert set(told) == {reason}


@pytest.mark.parametrize("method", ["Reserve", "Settle", "ResolveKey", "VerifyBooks", "Reprice"])
async def test_what_moves_money_is_not_to_be_had(door: rpc.LedgerServiceStub, method: str) -> None:
    """Not even for an admin."""
    request = getattr(pb, f"{method}Request")()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(door, method)(request, **_as("admin"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
