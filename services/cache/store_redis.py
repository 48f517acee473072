"""Answers in Redis: plain strings with a time to live."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.cache.store import Entry, StoreUnavailable

CONNECTIONS_MAX = 32

ResultT = TypeVar("ResultT")


class RedisStore:
    """The port over one Redis (8 or newer), by a redis://, rediss:// or unix:// URL."""

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

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        """One MGET."""
        found = await _asked(self._redis.mget(places))
        return [value if isinstance(value, bytes) else None for value in found]

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        """One pipeline of SETs."""
        pipeline = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipeline.set(entry.place, entry.value, px=entry.ttl_ms)
        outcomes = await _asked(pipeline.execute(raise_on_error=False))
        return [_refusal(outcome) for outcome in outcomes]

    async def remove_many(self, places: Sequence[str]) -> None:
        """One UNLINK."""
        await _asked(self._redis.unlink(*places))

    async def ping(self) -> None:
        """One PING."""
        await _asked(self._redis.ping())

    async def close(self) -> None:
        """Closes every connection."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


async def _asked(call: Awaitable[ResultT]) -> ResultT:
    try:
        return await call
    except (exceptions.RedisError, OSError) as error:
        raise StoreUnavailable(_kind(error)) from None


def _kind(error: BaseException) -> str:
    """The type of what was at the root. Not its text: Redis quotes arguments in its messages."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


def _refusal(outcome: object) -> StoreUnavailable | None:
    return StoreUnavailable(type(outcome).__name__) if isinstance(outcome, Exception) else None
