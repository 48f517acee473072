"""A cache service on a real socket, over a real Redis 8."""

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis.asyncio
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc
from spendgate.chat.v1 import chat_pb2

from chassis.health import Health
from chassis.server import running
from cli.embedded.redis import RedisServer
from services.cache.settings import CacheSettings
from services.cache.wiring import build


class Cache:
    """The service as its callers see it, and the Redis under it."""

    def __init__(
        self, channel: grpc.aio.Channel, health: Health, server: RedisServer, address: str
    ) -> None:
        self.address = address
        self.channel = channel
        self.stub = rpc.CacheServiceStub(channel)
        self.health = health
        self.server = server

    async def look_up(self, *items: pb.LookupItem) -> Sequence[pb.LookupResult]:
        response = await self.stub.Lookup(pb.LookupRequest(items=items), timeout=30)
        return response.results

    async def find(self, item: pb.LookupItem) -> pb.Finding:
        (result,) = await self.look_up(item)
        assert result.HasField("finding"), result.error
        return result.finding

    async def keep(self, item: pb.LookupItem, answer: pb.Answer, **more: Any) -> pb.StoreResult:
        """Looks `item` up for its key, then stores `answer` there."""
        key = (await self.find(item)).key
        stored = pb.StoreItem(scope=item.scope, key=key, answer=answer, **more)
        response = await self.stub.Store(pb.StoreRequest(items=[stored]), timeout=30)
        return response.results[0]

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[redis.asyncio.Redis]:
        client = redis.asyncio.Redis.from_url(self.server.url)
        try:
            yield client
        finally:
            await client.aclose()


def ask(
    text: str = "What is the capital of France?",
    *,
    tenant: str = "acme",
    model: str = "auto",
    **more: Any,
) -> pb.LookupItem:
    """One user's question to look up."""
    prompt = chat_pb2.Prompt(
        messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)], **more
    )
    return pb.LookupItem(scope=pb.Scope(tenant=tenant), model=model, prompt=prompt)


def say(text: str = "Paris.") -> pb.Answer:
    """A finished answer."""
    choice = chat_pb2.Choice(
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
    )
    return pb.Answer(choices=[choice], model="gpt-5.4-mini")


@asynccontextmanager
async def running_cache(
    server: RedisServer, load: Any = None, **settings: Any
) -> AsyncIterator[Cache]:
    """The service over `server`, with settings beside the defaults."""
    # A busy test machine is no slow Redis: only tests of slowness take the real limit.
    # Models are loaded only by tests of semantic look-ups.
    given = {
        "redis_url": server.url,
        "redis_timeout_ms": 5_000,
        "redis_store_timeout_ms": 30_000,
        "semantic": False,
        **settings,
    }
    make = build if load is None else functools.partial(build, load=load)
    async with (
        running("cache", CacheSettings(**given), make) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield Cache(channel, service.health, server, service.address)


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A private Redis of this test."""
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def cache(redis_server: RedisServer) -> AsyncIterator[Cache]:
    """The service with its defaults."""
    async with running_cache(redis_server) as service:
        yield service
