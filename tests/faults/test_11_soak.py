"""T11: streams that are given up, errors, new connections, over and over: nothing piles up.

SPENDGATE_SOAK_STREAMS=20000 for the full size (`make faults`).
"""

import asyncio
import os
from pathlib import Path

import grpc
import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import bearer, prompt_of, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(3600)]
STREAMS = int(os.environ.get("SPENDGATE_SOAK_STREAMS", "240"))
AT_ONCE = 24
FULL = STREAMS >= 5_000
# What a process may keep of one RPC at full size, once warm.
KEPT_BYTES_MAX = 100 if FULL else 60_000
SPARE_BYTES = 2 * 2**20


def kept(process):
    """(resident bytes, open files) of a process."""
    place = Path(f"/proc/{process.pid}")
    pages = int((place / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list((place / "fd").iterdir()))


async def given_up(house, secret, n):
    """A stream left in the middle, on a connection of its own now and then; or an error."""
    model = ("well-slow", "fail-500", "fail-400")[n % 3]
    async with grpc.aio.insecure_channel(
        house.address("gateway"), options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        call = channel.unary_stream(
            "/spendgate.gateway.v1.GatewayService/StreamComplete",
            request_serializer=gateway_pb.StreamCompleteRequest.SerializeToString,
            response_deserializer=gateway_pb.StreamCompleteResponse.FromString,
        )(
            gateway_pb.StreamCompleteRequest(model=model, prompt=prompt_of(f"soak {n}")),
            timeout=20,
            metadata=bearer(secret),
        )
        try:
            async for _ in call:
                call.cancel()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass


async def many(house, secret, first, count):
    for at in range(first, first + count, AT_ONCE):
        await asyncio.gather(*(given_up(house, secret, n) for n in range(at, at + AT_ONCE)))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
async def test_nothing_piles_up(house, tenant):
    """Memory a request, files and holds are flat after a warm-up; every stream that had begun is
    charged."""
    if house.envoy is None:
        pytest.skip("no envoy")
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**14)
    await many(house, secret, 0, max(AT_ONCE, STREAMS // 4))
    await asyncio.sleep(0.5)
    before = {name: kept(house.children[name]) for name in house.processes}
    await many(house, secret, 10**6, STREAMS)

    async def no_holds():
        return (await house.spent(tenant, "company"))[1] == 0

    await until(no_holds, seconds_max=30)
    await asyncio.sleep(0.5)
    for name in house.processes:
        memory, files = kept(house.children[name])
        grown = memory - before[name][0] - SPARE_BYTES
        assert grown / STREAMS < KEPT_BYTES_MAX, (name, grown)
        assert files <= before[name][1] + 4, name
    assert (await house.spent(tenant, "company"))[0] > 0
