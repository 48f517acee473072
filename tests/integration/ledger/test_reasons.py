"""Every reason of the contract is provoked over a real socket, and looks as the contract says."""

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from spendgate.ledger.v1 import budget_pb2, error_reason_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    detail_of,
    hit_item,
    info_of,
    refusal,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.integration.ledger.test_leases import LEASE_ID, name, wish
from tests.unit.ledger.making import new_id

PREFIX = "ERROR_REASON_"
HOLD_ID = new_id()

Provoke = Callable[[Ledger], Awaitable[status_pb2.Status]]


async def _items_invalid(ledger: Ledger) -> status_pb2.Status:
    return await refusal(ledger.stub.Settle(pb.SettleRequest()))


async def _request_invalid(ledger: Ledger) -> status_pb2.Status:
    item = reserve_item(1)
    item.attribution.tenant = ""
    return (await ledger.reserve(item))[0].error


async def _page_invalid(ledger: Ledger) -> status_pb2.Status:
    request = pb.ListEntriesRequest(tenant="acme", page_size=1001)
    return await refusal(ledger.stub.ListEntries(request))


async def _id_reused(ledger: Ledger) -> status_pb2.Status:
    await ledger.hold(reserve_item(1, hold_id=HOLD_ID))
    return (await ledger.reserve(reserve_item(2, hold_id=HOLD_ID)))[0].error


async def _hold_unknown(ledger: Ledger) -> status_pb2.Status:
    return (await ledger.settle(settle_item(HOLD_ID, an_attempt(1))))[0].error


async def _hold_resolved(ledger: Ledger) -> status_pb2.Status:
    await ledger.hold(reserve_item(1, hold_id=HOLD_ID))
    await ledger.release(pb.ReleaseItem(hold_id=HOLD_ID))
    return (await ledger.settle(settle_item(HOLD_ID, an_attempt(1))))[0].error


async def _usage_impossible(ledger: Ledger) -> status_pb2.Status:
    await ledger.hold(reserve_item(1, hold_id=HOLD_ID))
    attempt = an_attempt(1)
    attempt.usage.output_tokens = -1
    return (await ledger.settle(settle_item(HOLD_ID, attempt)))[0].error


async def _model_unpriced(ledger: Ledger) -> status_pb2.Status:
    await ledger.hold(reserve_item(1, "unpriced", hold_id=HOLD_ID))
    return (await ledger.settle(settle_item(HOLD_ID, an_attempt(1, "unpriced"))))[0].error


async def _budget_exceeded(ledger: Ledger) -> status_pb2.Status:
    await ledger.budget("company", 1)
    return (await ledger.reserve(reserve_item(1)))[0].error


async def _budget_downgrade(ledger: Ledger) -> status_pb2.Status:
    await ledger.budget(
        "thrift", 0, unit=budget_pb2.BUDGET_UNIT_REQUESTS, mode=budget_pb2.BUDGET_MODE_DOWNGRADE
    )
    return (await ledger.reserve(reserve_item(1)))[0].error


async def _budget_unknown(ledger: Ledger) -> status_pb2.Status:
    request = pb.GetBudgetRequest(tenant="acme", budget_id="none")
    return await refusal(ledger.stub.GetBudget(request))


async def _key_invalid(ledger: Ledger) -> status_pb2.Status:
    return await refusal(ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret="sg_nonsense")))


async def _key_unknown(ledger: Ledger) -> status_pb2.Status:
    request = pb.DisableKeyRequest(tenant="acme", key_id="none")
    return await refusal(ledger.stub.DisableKey(request))


async def _lease_refused(ledger: Ledger) -> status_pb2.Status:
    await ledger.budget("company", 1)
    return await refusal(ledger.stub.AcquireLease(wish()))


async def _lease_fenced(ledger: Ledger) -> status_pb2.Status:
    await ledger.stub.ReturnLease(pb.ReturnLeaseRequest(lease=name(), tenant="acme"))
    return await refusal(ledger.stub.AcquireLease(wish()))


async def _deadline_passed(ledger: Ledger) -> status_pb2.Status:
    return (await ledger.reserve(reserve_item(1, timeout_ms=-1)))[0].error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Another process holds the books."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def _books_unavailable(ledger: Ledger) -> status_pb2.Status:
    with _locked(ledger.path):
        return (await ledger.reserve(reserve_item(1)))[0].error


# reason -> (how to provoke it, code, metadata)
REASONS: dict[str, tuple[Provoke, grpc.StatusCode, dict[str, str]]] = {
    "ITEMS_INVALID": (
        _items_invalid,
        grpc.StatusCode.INVALID_ARGUMENT,
        {"itemCount": "0", "itemCountMax": "256"},
    ),
    "REQUEST_INVALID": (_request_invalid, grpc.StatusCode.INVALID_ARGUMENT, {}),
    "PAGE_INVALID": (_page_invalid, grpc.StatusCode.INVALID_ARGUMENT, {}),
    "ID_REUSED": (_id_reused, grpc.StatusCode.ALREADY_EXISTS, {"id": HOLD_ID}),
    "HOLD_UNKNOWN": (_hold_unknown, grpc.StatusCode.NOT_FOUND, {"holdId": HOLD_ID}),
    "HOLD_RESOLVED": (
        _hold_resolved,
        grpc.StatusCode.FAILED_PRECONDITION,
        {"holdId": HOLD_ID, "state": "RELEASED"},
    ),
    "USAGE_IMPOSSIBLE": (_usage_impossible, grpc.StatusCode.INVALID_ARGUMENT, {}),
    "MODEL_UNPRICED": (
        _model_unpriced,
        grpc.StatusCode.FAILED_PRECONDITION,
        {"model": "unpriced"},
    ),
    "BUDGET_EXCEEDED": (
        _budget_exceeded,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        {
            "budgetId": "company",
            "unit": "NANO_USD",
            "limit": "1",
            "left": "1",
            "needed": "1000",
            "limitNanos": "1",
            "leftNanos": "1",
            "neededNanos": "1000",
        },
    ),
    "BUDGET_DOWNGRADE": (
        _budget_downgrade,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        {"budgetId": "thrift", "unit": "REQUESTS", "limit": "0", "left": "0", "needed": "1"},
    ),
    "BUDGET_UNKNOWN": (_budget_unknown, grpc.StatusCode.NOT_FOUND, {"budgetId": "none"}),
    "LEASE_REFUSED": (
        _lease_refused,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        {"budgetId": "company", "why": "LAST_OF_BUDGET"},
    ),
    "LEASE_FENCED": (
        _lease_fenced,
        grpc.StatusCode.FAILED_PRECONDITION,
        {"leaseId": LEASE_ID, "epoch": "1"},
    ),
    "KEY_INVALID": (_key_invalid, grpc.StatusCode.UNAUTHENTICATED, {}),
    "KEY_UNKNOWN": (_key_unknown, grpc.StatusCode.NOT_FOUND, {"keyId": "none"}),
    "DEADLINE_PASSED": (_deadline_passed, grpc.StatusCode.DEADLINE_EXCEEDED, {}),
    "BOOKS_UNAVAILABLE": (_books_unavailable, grpc.StatusCode.UNAVAILABLE, {}),
}
WITH_FIELDS = {
    "ITEMS_INVALID": "items",
    "REQUEST_INVALID": "attribution.tenant",
    "PAGE_INVALID": "page_size",
    "USAGE_IMPOSSIBLE": "attempts[0].usage.output_tokens",
}


def test_every_reason_of_the_contract_has_its_test() -> None:
    """A reason that the contract gains must be provoked here."""
    told = {name.removeprefix(PREFIX) for name, _ in error_reason_pb2.ErrorReason.items()}
    assert told - {"UNSPECIFIED"} == set(REASONS)


@pytest.mark.parametrize("reason", REASONS)
async def test_a_refusal_looks_as_the_contract_says(
    reason: str, tmp_path: Path, clock: SetClock
) -> None:
    """Code, reason, domain, metadata and the fields at fault; the books stay right."""
    provoke, code, metadata = REASONS[reason]
    async with running_ledger(tmp_path, clock, database_wait_seconds=0.05) as ledger:
        status = await provoke(ledger)
        assert await ledger.differences() == []
    info = info_of(status)
    assert (info.reason, info.domain) == (reason, "ledger.spendgate")
    assert status.code == code.value[0]
    assert dict(info.metadata) == metadata
    if reason in WITH_FIELDS:
        bad = detail_of(status, error_details_pb2.BadRequest)
        assert bad.field_violations[0].field == WITH_FIELDS[reason]
    if reason == "BOOKS_UNAVAILABLE":
        assert detail_of(status, error_details_pb2.RetryInfo).retry_delay.seconds == 1


async def test_a_locked_database_loses_nothing_and_does_nothing_by_half(
    tmp_path: Path, clock: SetClock
) -> None:
    """Refused with UNAVAILABLE for every verb; the same commands succeed afterwards, once."""
    async with running_ledger(tmp_path, clock, database_wait_seconds=0.05) as ledger:
        await ledger.budget("company", 100_000)
        item, hit = reserve_item(20), hit_item(3)
        await ledger.hold(item)
        charge = settle_item(item.hold_id, an_attempt(7))
        with _locked(ledger.path):
            for results in (
                await ledger.settle(charge),
                await ledger.record(hit),
                await ledger.release(pb.ReleaseItem(hold_id=item.hold_id)),
            ):
                assert info_of(results[0].error).reason == "BOOKS_UNAVAILABLE"
            key = pb.CreateKeyRequest(key_id="k", tenant="acme")
            status = await refusal(ledger.stub.CreateKey(key))
            assert info_of(status).reason == "BOOKS_UNAVAILABLE"
            # Reading goes on.
            assert await ledger.standing("company") == (0, 20_000)
        await ledger.charge(charge)
        await ledger.book(hit)
        assert await ledger.standing("company") == (7_000, 0)
        assert await ledger.differences() == []


async def test_health_follows_the_database(tmp_path: Path, clock: SetClock) -> None:
    """NOT_SERVING while it is locked, SERVING again without a restart."""
    import asyncio

    async with running_ledger(
        tmp_path, clock, database_wait_seconds=0.05, sweep_seconds=0.05
    ) as ledger:
        assert ledger.health.serving
        async with asyncio.timeout(20):
            with _locked(ledger.path):
                while ledger.health.serving:
                    await asyncio.sleep(0.01)
            while not ledger.health.serving:
                await asyncio.sleep(0.01)


async def test_a_row_that_cannot_be_kept_fails_alone(ledger: Ledger) -> None:
    """Ten hits of a billion dollars in one hour are more than a sum can hold: the tenth fails,
    everything around it in the same transaction is booked."""
    items = []
    for number in range(10):
        huge = hit_item(1)
        huge.attempt.counterfactuals[0].model = "dear"
        huge.attempt.counterfactuals[0].usage.input_tokens = 10**12
        items += [huge, hit_item(number + 1)]
    results = await ledger.record(*items)
    failed = [place for place, result in enumerate(results) if result.HasField("error")]
    assert failed == [18]
    status = results[18].error
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "rollup" not in str(status)
    again = await ledger.record(*items[:18], *items[19:])
    assert all(result.HasField("entry") for result in again)
    assert ledger.query("SELECT count(*) FROM entry") == [(19,)]
