"""Rates counted in this process: for one gateway, and for when Redis is away."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from gateway.limits.rules import (
    PARALLEL,
    SLOT_RETRY_SECONDS,
    Bucket,
    Level,
    Refused,
    Slot,
    price_of,
    refilled,
    wait_seconds,
)

PLACES_MAX = 100_000


class MemoryLimiter:
    """gateway.limits.port.Limiter. `clock` gives microseconds that never go back."""

    def __init__(self, clock: Callable[[], int], *, places_max: int = PLACES_MAX) -> None:
        """Of more than `places_max` buckets the one not used for longest is forgotten: full."""
        self._clock = clock
        self._places_max = places_max
        self._levels: OrderedDict[str, Level] = OrderedDict()
        self._calls: dict[str, dict[str, int]] = {}

    async def admit(
        self,
        buckets: Sequence[Bucket],
        slots: Sequence[Slot],
        call_id: str,
        slot_seconds: float,
    ) -> Refused | None:
        """See Limiter, as for every method here."""
        now_us = self._clock()
        levels: dict[str, int] = {}
        refused: list[Refused] = []
        for bucket in buckets:
            level = refilled(self._levels.get(bucket.place), bucket.per_minute, now_us)
            levels[bucket.place] = level - price_of(bucket)
            if levels[bucket.place] < 0:
                wait = wait_seconds(level, price_of(bucket), bucket.per_minute)
                refused.append(Refused(bucket.of, bucket.limit, bucket.per_minute, wait))
        for slot in slots:
            if len(self._under_way(slot.place, now_us)) >= slot.count_max:
                refused.append(Refused(slot.of, PARALLEL, slot.count_max, SLOT_RETRY_SECONDS))
        if refused:
            return max(refused, key=lambda each: each.retry_seconds)
        for place, level in levels.items():
            self._levels[place] = Level(level, now_us)
            self._levels.move_to_end(place)
        while len(self._levels) > self._places_max:
            self._levels.popitem(last=False)
        until_us = now_us + int(slot_seconds * 1_000_000)
        for slot in slots:
            self._calls.setdefault(slot.place, {})[call_id] = until_us
        return None

    async def leave(self, slots: Sequence[Slot], call_id: str) -> None:
        """Gives the places back."""
        for slot in slots:
            calls = self._calls.get(slot.place, {})
            calls.pop(call_id, None)
            if not calls:
                self._calls.pop(slot.place, None)

    async def close(self) -> None:
        """Nothing is held."""

    def _under_way(self, place: str, now_us: int) -> dict[str, int]:
        calls = {
            call_id: until_us
            for call_id, until_us in self._calls.get(place, {}).items()
            if until_us > now_us
        }
        if place in self._calls:
            self._calls[place] = calls
        return calls
