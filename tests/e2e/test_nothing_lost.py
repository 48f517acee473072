"""What was spent is booked, once, whoever dies."""

import asyncio

import grpc
import pytest

from tests.e2e.house import until


async def test_the_gateway_killed_before_settlement_books_once(own_house):
    """The provider has answered, the ledger has not; after the restart the entry is there."""
    secret = await own_house.key("acme")
    await own_house.budget("acme", "company", 10**12)
    warm = await own_house.complete(secret, "warm up", model="cheap")
    call = asyncio.create_task(own_house.complete(secret, "Slowly now", model="late"))
    async with asyncio.timeout(10):
        await own_house.upstream.until(lambda: own_house.upstream.calls["late"] == 1)
    own_house.freeze("ledger")
    outbox = own_house.folder / "outbox"
    size = sum(f.stat().st_size for f in outbox.iterdir())
    await until(lambda: sum(f.stat().st_size for f in outbox.iterdir()) > size)
    own_house.kill("gateway")
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    own_house.thaw("ledger")
    await own_house.restart("gateway")

    async def booked():
        return [e for e in await own_house.entries("acme") if e.attempt.model_used == "late"]

    entries = await until(booked)
    await asyncio.sleep(0.5)
    assert len(await booked()) == 1
    assert entries[0].cost_nanos > 0
    settled, reserved = await own_house.spent("acme", "company")
    assert settled == warm.summary.cost_nanos + entries[0].cost_nanos
    assert reserved == 0
