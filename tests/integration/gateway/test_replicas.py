"""Two gateways over one real cache: equal misses make one call, whoever dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.server import running
from cli.embedded.redis import RedisServer
from gateway.services_grpc import GrpcServices
from services.cache.settings import CacheSettings
from services.cache.wiring import build
from tests.fakes.saga_house import House

CACHE_METHODS = ("lookup", "store", "await_answer", "renew_lease", "report_wrong_hit")
LEASE_MS = 500


@asynccontextmanager
async def replica(address: str) -> AsyncIterator[House]:
    """A gateway's saga with everything else faked but the cache."""
    house = House(cache_lease_ms=LEASE_MS, cache_seconds_max=5)
    grpc = GrpcServices(
        tokenizer="127.0.0.1:1", cache=address, router="127.0.0.1:1", ledger="127.0.0.1:1",
        token=None,
    )  # fmt: skip
    services: Any = house.services
    for name in CACHE_METHODS:
        setattr(services, name, getattr(grpc, name))
    try:
        yield house
    finally:
        await house.books.drain()
        await grpc.close()


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[House, House]]:
    settings = {"redis_timeout_ms": 5_000, "semantic": False}
    async with (
        RedisServer(tmp_path / "redis") as server,
        running("cache", CacheSettings(redis_url=server.url, **settings), build) as cache,
        replica(cache.address) as one,
        replica(cache.address) as other,
    ):
        yield one, other


async def ask(house: House, text: str = "hello there", seconds: float = 30.0) -> pb.Summary:
    response = await house.complete(text, seconds=seconds)
    assert response.choices[0].message.content == "Hello there"
    return response.summary


async def test_equal_misses_on_two_gateways_make_one_call(replicas: tuple[House, House]) -> None:
    """Twenty concurrent equal requests, ten a gateway: the provider is called once."""
    one, other = replicas
    gate = asyncio.Event()
    for house in replicas:
        house.services.gate["reserve"] = gate
    asked = [asyncio.create_task(ask(house)) for house in replicas for _ in range(10)]
    async with asyncio.timeout(30):
        while not (one.services.asked["reserve"] or other.services.asked["reserve"]):
            await asyncio.sleep(0.01)
    await asyncio.sleep(2 * LEASE_MS / 1000)  # a lease that is not renewed would have lapsed
    gate.set()
    summaries = await asyncio.gather(*asked)
    assert len(one.provider.calls) + len(other.provider.calls) == 1
    sources = [summary.source for summary in summaries]
    assert sources.count(pb.ANSWER_SOURCE_PROVIDER) == 1
    assert pb.ANSWER_SOURCE_CACHE_EXACT in sources


async def test_a_dead_leader_frees_the_others(replicas: tuple[House, House]) -> None:
    """A leader that dies without a word is waited for no longer than its lease."""
    one, other = replicas
    one.services.gate["reserve"] = asyncio.Event()
    leading = asyncio.create_task(ask(one))
    async with asyncio.timeout(30):
        while not one.services.asked["reserve"]:
            await asyncio.sleep(0.01)
    # As a killed process would: no renewal and no farewell any more.

    async def silent(*_: Any) -> bool:
        await asyncio.Event().wait()
        return False

    one.services.renew_lease = silent  # type: ignore[method-assign]
    summary = await ask(other)
    assert summary.source == pb.ANSWER_SOURCE_PROVIDER
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    for task in list(one.books._tasks):
        task.cancel()


async def test_a_leader_that_fails_hands_over_at_once(replicas: tuple[House, House]) -> None:
    """Its failure may be its own: the other gateway calls for itself, without waiting it out."""
    one, other = replicas
    gate = one.services.gate["reserve"] = asyncio.Event()
    one.services.fail["reserve"] = RuntimeError("a budget of its own")
    failing = asyncio.create_task(ask(one))
    async with asyncio.timeout(30):
        while not one.services.asked["reserve"]:
            await asyncio.sleep(0.01)
    waiting = asyncio.create_task(ask(other))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    gate.set()
    with pytest.raises(RuntimeError):
        await failing
    assert (await waiting).source == pb.ANSWER_SOURCE_PROVIDER


async def test_another_question_waits_for_nobody(replicas: tuple[House, House]) -> None:
    """A lease is on one prompt of one scope."""
    one, other = replicas
    one.services.gate["reserve"] = asyncio.Event()
    leading = asyncio.create_task(ask(one))
    summary = await ask(other, "hello there, friend")
    assert summary.source == pb.ANSWER_SOURCE_PROVIDER
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
