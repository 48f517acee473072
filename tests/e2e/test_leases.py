"""Leases through the whole fleet: the ledger may go away, and its hard limits hold."""

import asyncio

import grpc
import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from tests.e2e.house import House

LEASES = "ledger: {leases: {enabled: true, calls_before: 2, seconds: 300}}\n"
OFF = pb.CACHE_MODE_OFF


async def test_callers_go_on_in_their_slices_while_the_ledger_is_away(tmp_path):
    """Those without a hard limit, to the end of their slice; those with one are refused. When it is
    back all is booked once, and what a gateway has goes back when it stops."""
    async with House(tmp_path, LEASES) as house:
        soft, hard = await house.key("soft"), await house.key("hard")
        await house.budget("hard", "limit", 10**9)
        for n in range(4):
            for secret in (soft, hard):
                await house.complete(secret, f"hello {n}", cache_mode=OFF)
            await asyncio.sleep(0.1)

        assert "AcquireLease" in house.log("ledger").read_text()
        spent = await house.spent("hard", "limit")
        house.kill("ledger")
        first = (await house.complete(soft, "away 1", cache_mode=OFF)).summary
        assert first.booking_pending
        assert (await house.complete(soft, "away 2", cache_mode=OFF)).summary.booking_pending
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.complete(hard, "away 3", cache_mode=OFF)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        await house.restart("ledger")

        async def booked():
            return bool(await house.entries("soft", first.request_id))

        async with asyncio.timeout(20):
            while not await booked():
                await asyncio.sleep(0.1)
        (entry,) = await house.entries("soft", first.request_id)
        assert not entry.late
        await house.complete(hard, "back", cache_mode=OFF)
        assert await house.spent("hard", "limit") > spent
