"""Counts what the cache does, by tenant, day, feature and model, without slowing it down.

Counts gather here and go to Redis once a second in one round trip; a crash loses at most that
second. Nothing is scanned to read them.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from services.cache import places
from services.cache.link import Command, Link
from services.cache.store import StoreUnavailable

_log = logging.getLogger("spendgate.cache.tally")

FLUSH_SECONDS = 1.0
DAYS_KEPT = 100
DAY_MS = 24 * 3600 * 1000
# Feature and model are callers' words: they may not fill the store.
PAIRS_MAX = 2_000
TENANTS_MAX = 10_000
PENDING_MAX = 100_000
OTHER = "(other)"
SEPARATOR = "\x1f"
# Ages when served: under 1, 4, 16, 64, 256 minutes and so on.
AGE_SECONDS_FIRST, AGE_FACTOR, AGE_BUCKETS = 60, 4, 10


def age_bucket(age_ms: int) -> int:
    """The place of an age among hits_by_age."""
    bound_ms = AGE_SECONDS_FIRST * 1_000
    for bucket in range(AGE_BUCKETS - 1):
        if age_ms < bound_ms:
            return bucket
        bound_ms *= AGE_FACTOR
    return AGE_BUCKETS - 1


_Row = tuple[str, int, str, str]  # tenant, days since 1970, feature, model


class Tally:
    """Counters and other small notes on their way to Redis. `now_ms` is the wall clock."""

    def __init__(self, link: Link, now_ms: Callable[[], int]) -> None:
        self._link = link
        self._now_ms = now_ms
        self._pending: dict[_Row, Counter[str]] = {}
        self._notes: list[Command] = []
        self._known: dict[tuple[str, int], set[tuple[str, str]]] = {}

    def add(self, tenant: str, feature: str, model: str, **counts: int) -> None:
        """Adds to counters of today. Never fails; what is too much is dropped."""
        row = (tenant, self._now_ms() // DAY_MS, feature, model)
        pending = self._pending.get(row)
        if pending is None:
            row = (tenant, row[1], *self._bounded(tenant, row[1], feature, model))
            pending = self._pending.get(row)
        if pending is None:
            if len(self._pending) >= PENDING_MAX:
                return
            pending = self._pending[row] = Counter()
        for name, count in counts.items():
            pending[name] += count

    def note(self, command: Command) -> None:
        """A command that nobody waits for."""
        if len(self._notes) < PENDING_MAX:
            self._notes.append(command)

    async def flush(self) -> None:
        """Sends what gathered. What Redis does not take is kept for the next time."""
        pending, self._pending = self._pending, {}
        notes, self._notes = self._notes, []
        commands: list[Command] = []
        for (tenant, day, feature, model), counts in pending.items():
            where = places.counters(tenant, day_of(day * DAY_MS))
            commands += [
                ("HINCRBY", where, SEPARATOR.join((feature, model, name)), count)
                for name, count in counts.items()
                if count
            ]
            commands.append(("PEXPIRE", where, DAYS_KEPT * DAY_MS))
        if not commands and not notes:
            return
        try:
            await self._link.run(commands + notes)
        except StoreUnavailable as error:
            for row, counts in pending.items():
                self._pending.setdefault(row, Counter()).update(counts)
            _log.info("counters wait", extra={"why": error.why})

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Flushes for ever."""
        while True:
            await pause(FLUSH_SECONDS)
            await self.flush()

    def _bounded(self, tenant: str, day: int, feature: str, model: str) -> tuple[str, str]:
        known = self._known.get((tenant, day))
        if known is None:
            if len(self._known) >= TENANTS_MAX:
                self._known.clear()
            known = self._known[tenant, day] = set()
        pair = (feature.replace(SEPARATOR, " "), model.replace(SEPARATOR, " "))
        if pair not in known:
            if len(known) >= PAIRS_MAX:
                return OTHER, OTHER
            known.add(pair)
        return pair


def day_of(ms: int) -> str:
    """YYYYMMDD, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d")
