"""Redis, Valkey or a cluster of either, by a URL."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.cache.link import Command
from services.cache.store import StoreUnavailable

CONNECTIONS_MAX = 32

ResultT = TypeVar("ResultT")


class RedisLink:
    """The port over one server: redis://, rediss:// or unix://."""

    def __init__(self, url: str, *, connect_seconds_max: float) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=None,  # the guard's limit covers the wait for a connection too
            socket_connect_timeout=connect_seconds_max,
            socket_timeout=None,
            # A retry here would outlast the guard and hide failures from the breaker.
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """One pipeline."""
        return await _piped(self._redis.pipeline(transaction=False), commands)

    async def get_many(self, places: Sequence[str]) -> list[object]:
        """One MGET."""
        return list(await asked(self._redis.mget(places)))

    async def close(self) -> None:
        """Closes every connection."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


class ClusterLink:
    """The port over a Redis Cluster, found by the URL of any of its nodes.

    A pipeline is split by node and runs on all of them at once.
    """

    def __init__(self, url: str, *, connect_seconds_max: float) -> None:
        # Without nodes that answer it must start all the same: it connects at the first call.
        self._url = url
        self._connect_seconds_max = connect_seconds_max
        self._cluster: RedisCluster | None = None

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """One pipeline a node."""
        return await _piped(self._made().pipeline(transaction=False), commands)

    async def get_many(self, places: Sequence[str]) -> list[object]:
        """One GET a place, in one pipeline a node: places of several scopes share no slot."""
        return await self.run([("GET", place) for place in places])

    async def close(self) -> None:
        """Closes every connection."""
        if self._cluster is not None:
            await self._cluster.aclose()

    def _made(self) -> RedisCluster:
        if self._cluster is None:
            self._cluster = RedisCluster.from_url(
                self._url,
                socket_connect_timeout=self._connect_seconds_max,
                socket_timeout=None,
                retry=Retry(NoBackoff(), 1),  # one more: a slot that has moved is asked anew
            )
        return self._cluster


async def _piped(pipeline: Any, commands: Sequence[Command]) -> list[object]:
    for command in commands:
        pipeline.execute_command(*command)
    replies = await asked(pipeline.execute(raise_on_error=False))
    if replies and all(isinstance(reply, _GONE) for reply in replies):
        raise StoreUnavailable(kind_of(replies[0]))
    return [
        StoreUnavailable(type(reply).__name__) if isinstance(reply, Exception) else reply
        for reply in replies
    ]


# On a cluster a node that is away fails its own commands only.
_GONE = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ClusterDownError)


async def asked(call: Awaitable[ResultT]) -> ResultT:
    """What `call` brings. Raises StoreUnavailable."""
    try:
        return await call
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        raise StoreUnavailable(kind_of(error)) from None


def kind_of(error: BaseException) -> str:
    """The type of what was at the root. Not its text: Redis quotes arguments in its messages."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
