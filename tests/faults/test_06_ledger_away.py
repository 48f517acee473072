"""T6: the ledger is away: nothing is admitted uncounted, nothing answered is lost."""

import asyncio

import grpc
import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import bearer, prompt_of, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_was_answered_is_booked_later(house, tenant):
    """Answers under way go out marked as pending; new requests are refused; afterwards each is on
    the books once, to the nano."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    await house.complete(secret, "warm up", model="cheap")
    calls = [
        asyncio.create_task(house.complete(secret, f"under way {n}", model="late"))
        for n in range(8)
    ]
    started = house.upstream.calls["late"]
    async with asyncio.timeout(10):
        await house.upstream.until(lambda: house.upstream.calls["late"] >= started + 8 or all(
            task.done() for task in calls))  # fmt: skip
    house.freeze("ledger")
    try:
        answers = await asyncio.gather(*calls)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.gateway.Complete(
                gateway_pb.CompleteRequest(model="cheap", prompt=prompt_of("a new one")),
                timeout=1.5,
                metadata=bearer(secret),
            )
    finally:
        house.thaw("ledger")
    pending = [answer for answer in answers if answer.summary.booking_pending]
    assert pending
    assert caught.value.code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
    requests = {answer.summary.request_id for answer in answers}

    async def all_booked():
        entries = await house.entries(tenant)
        return requests <= {entry.request_id for entry in entries} and entries

    entries = await until(all_booked)
    late = [entry for entry in entries if entry.attempt.model_used == "late"]
    assert len(late) == 8
    assert sum(entry.cost_nanos for entry in late) == sum(a.summary.cost_nanos for a in answers)

    async def settled():
        spent, reserved = await house.spent(tenant, "company")
        booked = sum(entry.cost_nanos for entry in await house.entries(tenant))
        return reserved == 0 and spent == booked

    await until(settled, seconds_max=30)
