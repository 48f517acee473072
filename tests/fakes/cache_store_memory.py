"""A store of answers in a dict, with switches for what can go wrong."""

import asyncio
import time
from collections.abc import Callable, Sequence

from services.cache.store import Entry, StoreUnavailable


class MemoryStore:
    """The port over a dict. `clock` is in seconds; `away`, `hung` and `full` are its faults."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.values: dict[str, tuple[bytes, float]] = {}
        self.away = False
        self.hung = False
        self.full = False
        self.round_trips = 0

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        await self._answer()
        now = self._clock()
        kept = [self.values.get(place) for place in places]
        return [each[0] if each and each[1] > now else None for each in kept]

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        await self._answer()
        if self.full:
            return [StoreUnavailable("OutOfMemoryError")] * len(entries)
        for entry in entries:
            self.values[entry.place] = (entry.value, self._clock() + entry.ttl_ms / 1000)
        return [None] * len(entries)

    async def remove_many(self, places: Sequence[str]) -> None:
        await self._answer()
        for place in places:
            self.values.pop(place, None)

    async def ping(self) -> None:
        await self._answer()

    async def close(self) -> None:
        pass

    async def _answer(self) -> None:
        self.round_trips += 1
        if self.hung:
            await asyncio.Event().wait()
        if self.away:
            raise StoreUnavailable("ConnectionError")
