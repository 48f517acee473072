"""Redis slow, failed over, out of memory, with semantic look-ups on: requests go on."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from spendgate.cache.v1 import cache_service_pb2 as pb

from cli.embedded.redis import RedisServer
from tests.fakes.redis_proxy import RedisProxy
from tests.integration.cache.conftest import Cache, ask, running_cache, say
from tests.integration.cache.test_semantic import REWORDED, near, put, semantic_cache

PASSWORD = "the-same-on-both"


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not told():
            await asyncio.sleep(0.01)


def state(cache: Cache) -> str:
    return cache.health.parts()["redis"][0]


@asynccontextmanager
async def proxied(directory: Path, **options: str) -> AsyncIterator[tuple[RedisProxy, RedisServer]]:
    """A Redis on a unix socket, with a proxy before it."""
    directory.mkdir(parents=True)
    (directory / "password").write_text(PASSWORD)
    async with RedisServer(directory, options=options) as server:
        proxy = RedisProxy(str(directory / "redis.sock"), PASSWORD)
        async with proxy.running():
            yield proxy, server


async def test_a_slow_redis_is_left_alone(tmp_path: Path) -> None:
    """Over 50 ms a round trip: look-ups are bypassed, health says so, and it ends by itself."""
    async with proxied(tmp_path / "r") as (proxy, _):
        server: Any = proxy
        async with semantic_cache(server, redis_timeout_ms=50) as cache:
            await put(cache, near(), say())
            await until(lambda: state(cache) == "ok")
            proxy.delay_seconds = 0.06
            await until(lambda: state(cache) == "degraded")
            for text in ("q", REWORDED[0]):
                assert (await cache.find(near(text))).outcome == pb.OUTCOME_BYPASSED
            proxy.delay_seconds = 0.0
            await until(lambda: state(cache) == "ok")
            assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_SEMANTIC


async def test_a_failover_to_an_older_copy_serves_nothing_wrong(tmp_path: Path) -> None:
    """After a failover to a replica that lags, what it has is served and what it lost is a miss."""
    async with (
        proxied(tmp_path / "a") as (proxy, old),
        proxied(tmp_path / "b") as (_, new),
    ):
        server: Any = proxy
        async with semantic_cache(server, redis_timeout_ms=500) as cache:
            await put(cache, near(), say("Paris."))
            await _copy(old.url, new.url)
            await cache.keep(ask("stored after the copy"), say("lost"))
            proxy.turn_to(str(tmp_path / "b" / "redis.sock"))
            await old.kill()
            async with asyncio.timeout(30):
                while (await cache.find(near())).outcome != pb.OUTCOME_EXACT:
                    await asyncio.sleep(0.05)
            assert (await cache.find(near(REWORDED[0]))).answer == say("Paris.")
            assert (await cache.find(ask("stored after the copy"))).outcome == pb.OUTCOME_MISS
            await cache.keep(ask("and it goes on"), say("new"))
            assert (await cache.find(ask("and it goes on"))).answer == say("new")


async def _copy(source: str, target: str) -> None:
    """Everything, byte by byte, as replication would bring it."""
    old = redis.asyncio.Redis.from_url(source)
    new = redis.asyncio.Redis.from_url(target)
    for key in await old.keys("*"):
        ttl_ms = max(0, await old.pttl(key))
        await new.restore(key, ttl_ms, await old.dump(key))
    await old.aclose()
    await new.aclose()


async def test_out_of_memory_loses_stores_and_nothing_else(tmp_path: Path) -> None:
    """A full Redis refuses answers with the reason; look-ups, also semantic ones, go on."""
    options = {"maxmemory": "6mb", "maxmemory-policy": "noeviction"}
    async with (
        RedisServer(tmp_path / "redis", options=options) as server,
        semantic_cache(server, answer_bytes_max=2_000_000) as cache,
    ):
        await put(cache, near(), say("Paris."))
        refused = 0
        for number in range(40):
            noise = random_text(number)
            stored = await cache.keep(ask(f"q {number}"), say(noise))
            refused += stored.HasField("error")
        assert refused
        assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_SEMANTIC
        found = await cache.find(near("another question"))
        assert found.outcome == pb.OUTCOME_MISS
        item = ask("q")
        item.lease_ms = 1_000
        assert (await cache.find(item)).lease  # nobody is kept waiting by a full store
        assert state(cache) == "ok"


def random_text(seed: int) -> str:
    return random.Random(seed).randbytes(200_000).hex()


async def test_the_breaker_is_told_in_metrics(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gauge is 1 while the store answers and 0 while it is not asked."""
    told: list[int] = []
    monkeypatch.setattr("services.cache.wiring._store_up", _Gauge(told))
    async with running_cache(redis_server) as cache:
        await until(lambda: state(cache) == "ok")
        await redis_server.kill()
        await until(lambda: state(cache) == "degraded")
    assert told[0] == 1
    assert told[-1] == 0


class _Gauge:
    def __init__(self, told: list[int]) -> None:
        self._told = told

    def set(self, value: int) -> None:
        self._told.append(value)


async def test_flushed_with_neighbours(redis_server: RedisServer) -> None:
    """An emptied Redis is an empty cache, semantic answers included, and fills again."""
    async with semantic_cache(redis_server) as cache:
        await put(cache, near(), say())
        async with cache.redis() as client:
            await client.flushall()
        assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_MISS
        await put(cache, near(), say("again"))
        assert (await cache.find(near(REWORDED[0]))).answer == say("again")


async def test_models_that_do_not_load_leave_the_exact_cache(redis_server: RedisServer) -> None:
    """Without models the service serves the very same prompts, and says what is missing."""

    def load(threads: int) -> Any:
        raise ImportError("onnxruntime")

    async with running_cache(redis_server, load=load, semantic=True) as cache:
        await until(lambda: "not installed" in cache.health.parts()["semantic"][1])
        await cache.keep(ask(), say())
        assert (await cache.find(near())).outcome == pb.OUTCOME_EXACT
        assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_MISS
        assert cache.health.serving
