"""Any store, made harmless: a time limit on each call and a breaker around all of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from services.cache.breaker import Breaker
from services.cache.guard import Guard, Report
from services.cache.store import AnswerStore, Entry, StoreUnavailable

# Three of these and their time-outs are under a second: a hang without traffic is found too.
WATCH_SECONDS = 0.25


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
        self.guard = Guard(breaker, report)
        self._get_seconds_max = get_seconds_max
        self._put_seconds_max = put_seconds_max

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        """As the port says; at most `get_seconds_max`."""
        return await self.guard.call(lambda: self._store.get_many(places), self._get_seconds_max)

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        """As the port says; at most `put_seconds_max`."""
        return await self.guard.call(lambda: self._store.put_many(entries), self._put_seconds_max)

    async def remove_many(self, places: Sequence[str]) -> None:
        """As the port says; at most `put_seconds_max`."""
        await self.guard.call(lambda: self._store.remove_many(places), self._put_seconds_max)

    async def ping(self) -> None:
        """As the port says; at most `get_seconds_max`."""
        await self.guard.call(self._store.ping, self._get_seconds_max)

    async def close(self) -> None:
        """As the port says."""
        await self._store.close()

    async def watch(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Asks the store now and then, for ever: an outage is found, and ends, without traffic."""
        while True:
            with contextlib.suppress(StoreUnavailable):  # the breaker has been told
                await self.ping()
            await pause(WATCH_SECONDS)
