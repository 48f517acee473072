"""What every store of answers must do (services/cache/store.py)."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded.redis import RedisServer
from services.cache.breaker import Breaker
from services.cache.link_redis import RedisLink
from services.cache.store import AnswerStore, Entry, StoreUnavailable
from services.cache.store_guarded import GuardedStore
from services.cache.store_redis import RedisStore
from tests.fakes.cache_store_memory import MemoryStore

LONG_MS = 60_000


@pytest.fixture(params=["memory", "redis", "guarded redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnswerStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with RedisServer(tmp_path / "redis") as server:
        redis = RedisStore(RedisLink(server.url, connect_seconds_max=5))
        guarded = GuardedStore(
            redis,
            Breaker(time.monotonic),
            get_seconds_max=10,
            put_seconds_max=10,
            report=lambda why: None,
        )
        yield redis if request.param == "redis" else guarded
        await redis.close()


async def test_answers_come_in_the_order_of_the_places(store: AnswerStore) -> None:
    """Each place gets its own value or None, in the order asked, twice when asked twice."""
    await store.put_many([Entry("a", b"1", LONG_MS), Entry("c", b"3", LONG_MS)])
    assert await store.get_many(["c", "b", "a", "c"]) == [b"3", None, b"1", b"3"]


async def test_any_bytes_come_back_as_they_were(store: AnswerStore) -> None:
    """Values are bytes: NUL, line ends, what is no UTF-8, and nothing at all survive."""
    values = [b"", b"\x00\xff\r\n$-1\r\n", bytes(range(256)) * 4096]
    entries = [Entry(str(number), value, LONG_MS) for number, value in enumerate(values)]
    await store.put_many(entries)
    assert await store.get_many(["0", "1", "2"]) == values


async def test_the_last_value_stays(store: AnswerStore) -> None:
    """A second value at a place takes the first one's room."""
    await store.put_many([Entry("a", b"1", LONG_MS)])
    await store.put_many([Entry("a", b"2", LONG_MS)])
    assert await store.get_many(["a"]) == [b"2"]


async def test_a_value_lapses(store: AnswerStore) -> None:
    """After its time a value is gone, and its neighbour stays."""
    await store.put_many([Entry("a", b"1", 30), Entry("b", b"2", LONG_MS)])
    async with asyncio.timeout(10):
        while await store.get_many(["a"]) != [None]:
            await asyncio.sleep(0.01)
    assert await store.get_many(["b"]) == [b"2"]


async def test_what_is_removed_is_gone(store: AnswerStore) -> None:
    """Removing drops the named places only; a place that holds nothing is no error."""
    await store.put_many([Entry("a", b"1", LONG_MS), Entry("b", b"2", LONG_MS)])
    await store.remove_many(["a", "never"])
    assert await store.get_many(["a", "b"]) == [None, b"2"]


async def test_closing_twice_is_no_error(store: AnswerStore) -> None:
    """close() may be called again by whoever cleans up."""
    await store.ping()
    await store.close()
    await store.close()


async def test_many_callers_at_once_get_their_own(store: AnswerStore) -> None:
    """Calls that overlap never get one another's values."""

    async def one(number: int) -> bool:
        place, value = f"p{number}", str(number).encode()
        await store.put_many([Entry(place, value, LONG_MS)])
        return await store.get_many([place]) == [value]

    assert all(await asyncio.gather(*(one(number) for number in range(200))))


async def test_a_redis_that_is_gone_is_an_error_not_a_miss(tmp_path: Path) -> None:
    """Every call of the Redis store raises StoreUnavailable when nothing answers."""
    async with RedisServer(tmp_path / "redis") as server:
        store = RedisStore(RedisLink(server.url, connect_seconds_max=5))
        await store.ping()
        await server.kill()
        for call in (
            lambda: store.get_many(["a"]),
            lambda: store.put_many([Entry("a", b"1", LONG_MS)]),
            lambda: store.remove_many(["a"]),
            store.ping,
        ):
            with pytest.raises(StoreUnavailable):
                await call()
        await store.close()


async def test_a_full_redis_refuses_and_still_reads(tmp_path: Path) -> None:
    """Out of memory fails the entries that do not fit, one by one; look-ups go on."""
    options = {"maxmemory": "3mb", "maxmemory-policy": "noeviction"}
    async with RedisServer(tmp_path / "redis", options=options) as server:
        store = RedisStore(RedisLink(server.url, connect_seconds_max=5))
        await store.put_many([Entry("a", b"1", LONG_MS)])
        heavy = [Entry(f"h{number}", b"x" * 500_000, LONG_MS) for number in range(12)]
        outcomes = await store.put_many(heavy)
        assert outcomes[0] is None
        assert isinstance(outcomes[-1], StoreUnavailable)
        assert await store.get_many(["a"]) == [b"1"]
        await store.close()
