"""Any store, made harmless: a time limit on each call and a breaker around all of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.cache.breaker import Breaker
from services.cache.store import AnswerStore, Entry, StoreUnavailable

ResultT = TypeVar("ResultT")

# Three of these and their time-outs are under a second: a hang without traffic is found too.
WATCH_SECONDS = 0.25

# Told None when the store is well, else why it is not.
Report = Callable[[str | None], None]


class GuardedStore:
    """Wraps a store. Every call ends within its limit, and a store that is away is not asked."""

    def __init__(
        self,
        store: AnswerStore,
        breaker: Breaker,
        *,
        get_seconds_max: float,
        put_seconds_max: float,
        report: Report,
    ) -> None:
        self._store = store
        self._breaker = breaker
        self._get_seconds_max = get_seconds_max
        self._put_seconds_max = put_seconds_max
        self._report = report

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        """As the port says; at most `get_seconds_max`."""
        return await self._guarded(lambda: self._store.get_many(places), self._get_seconds_max)

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        """As the port says; at most `put_seconds_max`."""
        return await self._guarded(lambda: self._store.put_many(entries), self._put_seconds_max)

    async def remove_many(self, places: Sequence[str]) -> None:
        """As the port says; at most `put_seconds_max`."""
        await self._guarded(lambda: self._store.remove_many(places), self._put_seconds_max)

    async def ping(self) -> None:
        """As the port says; at most `get_seconds_max`."""
        await self._guarded(self._store.ping, self._get_seconds_max)

    async def close(self) -> None:
        """As the port says."""
        await self._store.close()

    async def watch(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Asks the store now and then, for ever: an outage is found, and ends, without traffic."""
        while True:
            with contextlib.suppress(StoreUnavailable):  # the breaker has been told
                await self.ping()
            await pause(WATCH_SECONDS)

    async def _guarded(self, call: Callable[[], Awaitable[ResultT]], seconds_max: float) -> ResultT:
        if not self._breaker.admits():
            raise StoreUnavailable("BreakerOpen")
        try:
            async with asyncio.timeout(seconds_max):
                result = await call()
        except TimeoutError:
            raise self._failed("Timeout") from None
        except StoreUnavailable as error:
            raise self._failed(error.why) from None
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        self._report(None)
        return result

    def _failed(self, why: str) -> StoreUnavailable:
        self._breaker.failed()
        if not self._breaker.closed:
            self._report(why)
        return StoreUnavailable(why)
