"""Reads entries, a batch in one round trip; what cannot be read is removed."""

import asyncio
import logging
from collections.abc import Iterable

from services.cache.store import AnswerStore, StoreUnavailable
from services.cache.value import BadValue, Codec, Kept

_log = logging.getLogger("spendgate.cache.reading")

# Opening takes some 2 us a KiB; what could take 1 ms goes to a thread.
BYTES_ON_LOOP_MAX = 256 * 1024


class Reader:
    """Entries by their places."""

    def __init__(self, store: AnswerStore, codec: Codec) -> None:
        self._store = store
        self._codec = codec
        self._removals: set[asyncio.Task[None]] = set()

    async def read(self, wanted: Iterable[str]) -> dict[str, Kept]:
        """The entries at these places. Places with none, or with bytes that are no entry, are
        left out; the latter are removed.

        Raises StoreUnavailable.
        """
        order = sorted(set(wanted))
        if not order:
            return {}
        values = await self._store.get_many(order)
        there = [
            (place, value) for place, value in zip(order, values, strict=True) if value is not None
        ]
        if sum(len(value) for _, value in there) > BYTES_ON_LOOP_MAX:
            # A codec is one thread's at a time.
            kept, rotten = await asyncio.to_thread(_unpack_all, Codec.like(self._codec), there)
        else:
            kept, rotten = _unpack_all(self._codec, there)
        if rotten:
            self._remove(rotten)
        return kept

    async def close(self) -> None:
        """Waits for removals under way."""
        await asyncio.gather(*self._removals, return_exceptions=True)

    def _remove(self, places: list[str]) -> None:
        """Off the caller's path; a removal that fails is made up for by the next look-up."""
        _log.warning("values that cannot be read are removed", extra={"count": len(places)})
        task = asyncio.create_task(self._removed(places))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _removed(self, places: list[str]) -> None:
        try:
            await self._store.remove_many(places)
        except StoreUnavailable as error:
            _log.warning("they were not removed", extra={"why": error.why})


def _unpack_all(codec: Codec, there: list[tuple[str, bytes]]) -> tuple[dict[str, Kept], list[str]]:
    kept: dict[str, Kept] = {}
    rotten: list[str] = []
    for place, value in there:
        try:
            kept[place] = codec.unpack(place, value)
        except BadValue:
            rotten.append(place)
    return kept, rotten
