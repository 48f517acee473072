"""Redis killed, hung, flushed, full: requests go on, and nothing wrong is served after."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spendgate.cache.v1 import cache_service_pb2 as pb

from cli.embedded.redis import RedisServer
from tests.integration.cache.conftest import Cache, ask, running_cache, say


async def _until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not told():
            await asyncio.sleep(0.01)


def _part(cache: Cache) -> str:
    return cache.health.parts()["redis"][0]


@asynccontextmanager
async def hung(server: RedisServer) -> AsyncIterator[None]:
    """Redis takes bytes and answers nothing while the block runs."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_killed_and_started_again(redis_server: RedisServer) -> None:
    """Without Redis look-ups are bypassed and the service stays ready; it comes back by itself."""
    async with running_cache(redis_server) as cache:
        await cache.keep(ask(), say())
        await _until(lambda: _part(cache) == "ok")
        await redis_server.kill()
        for _ in range(5):
            finding = await cache.find(ask())
            assert finding.outcome == pb.OUTCOME_BYPASSED
            assert len(finding.key) == 64
        await _until(lambda: _part(cache) == "degraded")
        assert cache.health.serving
        await redis_server.start()
        await _until(lambda: _part(cache) == "ok")
        assert (await cache.find(ask())).outcome == pb.OUTCOME_MISS
        await cache.keep(ask(), say("again"))
        assert (await cache.find(ask())).answer == say("again")


async def test_the_service_starts_without_redis(redis_server: RedisServer) -> None:
    """A cache whose Redis is not there yet serves, says so, and uses it once it comes."""
    await redis_server.kill()
    async with running_cache(redis_server) as cache:
        assert (await cache.find(ask())).outcome == pb.OUTCOME_BYPASSED
        assert _part(cache) == "degraded"
        await redis_server.start()
        await _until(lambda: _part(cache) == "ok")
        assert (await cache.find(ask())).outcome == pb.OUTCOME_MISS


async def test_storing_while_away_is_refused(redis_server: RedisServer) -> None:
    """An answer that Redis cannot take fails with UNAVAILABLE and its reason."""
    async with running_cache(redis_server) as cache:
        await redis_server.kill()
        stored = await cache.keep(ask(), say())
        info = error_details_pb2.ErrorInfo()
        assert stored.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert stored.error.details[0].Unpack(info)
        assert info.reason == "STORE_UNAVAILABLE"


async def test_a_hang_without_traffic_is_found(redis_server: RedisServer) -> None:
    """Redis that hangs while nobody asks is told by health, and so is its return."""
    async with running_cache(redis_server, redis_timeout_ms=50) as cache:
        await _until(lambda: _part(cache) == "ok")
        async with hung(redis_server):
            await _until(lambda: _part(cache) == "degraded")
        await _until(lambda: _part(cache) == "ok")


async def test_a_hang_under_load_serves_nothing_wrong(redis_server: RedisServer) -> None:
    """Hung and back, again and again under load: every answer is the asker's own or none."""
    async with running_cache(redis_server, redis_timeout_ms=50) as cache:
        for number in range(40):
            await cache.keep(ask(f"question {number}"), say(f"answer {number}"))
        outcomes: set[int] = set()
        stop = asyncio.Event()

        async def caller(number: int) -> None:
            while not stop.is_set():
                finding = await cache.find(ask(f"question {number}"))
                outcomes.add(finding.outcome)
                if finding.outcome == pb.OUTCOME_EXACT:
                    assert finding.answer == say(f"answer {number}")
                await asyncio.sleep(0.005)

        callers = [asyncio.create_task(caller(number)) for number in range(40)]
        for _ in range(3):
            async with hung(redis_server):
                await _until(lambda: _part(cache) == "degraded")
            await _until(lambda: _part(cache) == "ok")
        stop.set()
        await asyncio.gather(*callers)
        assert outcomes >= {pb.OUTCOME_EXACT, pb.OUTCOME_BYPASSED}
        assert (await cache.find(ask("question 7"))).answer == say("answer 7")


async def test_flushed_is_a_miss(cache: Cache) -> None:
    """An emptied Redis is an empty cache and nothing more."""
    await cache.keep(ask(), say())
    async with cache.redis() as client:
        await client.flushall()
    assert (await cache.find(ask())).outcome == pb.OUTCOME_MISS
    assert _part(cache) == "ok"


async def test_health_over_the_wire_stays_serving(redis_server: RedisServer) -> None:
    """The service's own name answers SERVING with and without Redis."""
    async with running_cache(redis_server) as cache:
        await redis_server.kill()
        await _until(lambda: _part(cache) == "degraded")
        stub = health_pb2_grpc.HealthStub(cache.channel)
        for name in ("", "readiness", "spendgate.cache.v1.CacheService"):
            told = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
            assert told.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_wrong_password_bypasses(redis_server: RedisServer) -> None:
    """A Redis that refuses us is a Redis that is away; its words reach nobody."""
    url = redis_server.url.replace(redis_server.url.split("@")[0], "unix://:wrong")
    async with running_cache(redis_server, redis_url=url) as cache:
        assert (await cache.find(ask())).outcome == pb.OUTCOME_BYPASSED
        await _until(lambda: "AuthenticationError" in cache.health.parts()["redis"][1])


async def test_it_stops_while_redis_hangs(redis_server: RedisServer) -> None:
    """Stopping does not wait for a Redis that does not answer."""
    async with asyncio.timeout(30):
        async with running_cache(redis_server, redis_timeout_ms=50) as cache:
            await cache.find(ask())
            os.kill(redis_server.pid, signal.SIGSTOP)
