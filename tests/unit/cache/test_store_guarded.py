"""A store made harmless."""

import asyncio

import pytest

from services.cache.breaker import Breaker
from services.cache.store import Entry, StoreUnavailable
from services.cache.store_guarded import GuardedStore
from tests.fakes.cache_store_memory import MemoryStore


class Bench:
    """A guarded store over a fake one, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.inner = MemoryStore(lambda: self.now)
        self.reports: list[str | None] = []
        self.store = GuardedStore(
            self.inner,
            Breaker(lambda: self.now, failures_max=3, open_seconds=1.0),
            get_seconds_max=0.01,
            put_seconds_max=0.01,
            report=self.reports.append,
        )

    async def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(StoreUnavailable):
                await self.store.get_many(["a"])


async def test_a_hung_store_costs_its_limit_and_no_more() -> None:
    """A call to a store that hangs ends as StoreUnavailable instead of waiting for ever."""
    bench = Bench()
    bench.inner.hung = True
    async with asyncio.timeout(5):
        await bench.fail(1)


async def test_once_open_the_store_is_not_asked() -> None:
    """After three failures calls fail at once, without a round trip."""
    bench = Bench()
    bench.inner.away = True
    await bench.fail(5)
    assert bench.inner.round_trips == 3
    assert bench.reports == ["ConnectionError"]


async def test_it_comes_back_by_itself() -> None:
    """When the store answers again, the next trial closes the breaker and says so."""
    bench = Bench()
    bench.inner.away = True
    await bench.fail(3)
    bench.inner.away = False
    bench.now = 1.0
    await bench.store.put_many([Entry("a", b"1", 60_000)])
    assert await bench.store.get_many(["a"]) == [b"1"]
    assert bench.reports[-1] is None


async def test_a_full_store_does_not_open_the_breaker() -> None:
    """Entries that are refused one by one say nothing against look-ups."""
    bench = Bench()
    bench.inner.full = True
    for _ in range(5):
        outcomes = await bench.store.put_many([Entry("a", b"1", 60_000)])
        assert isinstance(outcomes[0], StoreUnavailable)
    assert await bench.store.get_many(["a"]) == [None]


async def test_a_cancelled_caller_is_no_failure() -> None:
    """Callers that leave early do not make the breaker open."""
    bench = Bench()
    bench.inner.hung = True
    for _ in range(5):
        call = asyncio.ensure_future(bench.store.get_many(["a"]))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    bench.inner.hung = False
    assert await bench.store.get_many(["a"]) == [None]


async def test_an_outage_is_found_and_ends_without_traffic() -> None:
    """The watch opens the breaker while nobody calls, and closes it when the store is back."""
    bench = Bench()
    bench.inner.away = True
    rounds = 0

    async def pause(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        bench.now += 0.25
        if rounds == 4:
            assert bench.reports == ["ConnectionError"]
            bench.inner.away = False
        if rounds == 12:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await bench.store.watch(pause)
    assert bench.reports[-1] is None
