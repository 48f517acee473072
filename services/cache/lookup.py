"""Finds answers that were paid for already, a batch in one round trip."""

import asyncio
import logging
from collections.abc import Sequence

from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.errors import InvalidFields
from services.cache.checks import check_lookup
from services.cache.fingerprint import fingerprint, is_cacheable, place, scope_tag
from services.cache.prose import CaseFolding
from services.cache.store import AnswerStore, StoreUnavailable
from services.cache.value import BadValue, unpack

_log = logging.getLogger("spendgate.cache.lookup")

# Naming a prompt takes some 20 us and 20 us a KiB at worst; what could take 1 ms goes to a thread.
PROMPTS_ON_LOOP_MAX = 32
BYTES_ON_LOOP_MAX = 32 * 1024

# A prompt's fingerprint ("" when it may not be cached) and its place.
_Named = tuple[str, str]


class Lookup:
    """The verb Lookup. `folding`, `temperature_max` and `unset_temperature` are the operator's
    policy."""

    def __init__(
        self,
        store: AnswerStore,
        *,
        folding: CaseFolding,
        temperature_max: float,
        unset_temperature: bool = True,
    ) -> None:
        self._store = store
        self._folding = folding
        self._temperature_max = temperature_max
        self._unset_temperature = unset_temperature
        self._removals: set[asyncio.Task[None]] = set()

    async def find(self, items: Sequence[pb.LookupItem]) -> list[pb.Finding | Exception]:
        """A finding or InvalidFields for each item, in order. A store that is away bypasses."""
        named = await self._name_all(items)
        wanted = {name[1] for name in named if not isinstance(name, Exception) and name[1]}
        places = sorted(wanted)
        try:
            values = dict(zip(places, await self._get(places), strict=True))
        except StoreUnavailable:
            return [_without_store(name) for name in named]
        rotten: list[str] = []
        findings = [_finding(name, values, rotten) for name in named]
        if rotten:
            self._remove(rotten)
        return findings

    async def close(self) -> None:
        """Waits for removals under way."""
        await asyncio.gather(*self._removals, return_exceptions=True)

    async def _name_all(self, items: Sequence[pb.LookupItem]) -> list[_Named | Exception]:
        size = sum(item.ByteSize() for item in items)
        if len(items) > PROMPTS_ON_LOOP_MAX or size > BYTES_ON_LOOP_MAX:
            return await asyncio.to_thread(lambda: [self._name(item) for item in items])
        return [self._name(item) for item in items]

    def _name(self, item: pb.LookupItem) -> _Named | Exception:
        try:
            check_lookup(item)
        except InvalidFields as error:
            return error
        if not is_cacheable(
            item.prompt, self._temperature_max, unset_temperature=self._unset_temperature
        ):
            return "", ""
        name = fingerprint(item.model, item.prompt, self._folding)
        scope = item.scope
        return name, place(scope_tag(scope.tenant, scope.project, scope.user), name)

    async def _get(self, places: list[str]) -> list[bytes | None]:
        return await self._store.get_many(places) if places else []

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


def _without_store(name: _Named | Exception) -> pb.Finding | Exception:
    if isinstance(name, Exception):
        return name
    if not name[0]:
        return pb.Finding(outcome=pb.OUTCOME_NOT_CACHEABLE)
    return pb.Finding(outcome=pb.OUTCOME_BYPASSED, key=name[0])


def _finding(
    name: _Named | Exception, values: dict[str, bytes | None], rotten: list[str]
) -> pb.Finding | Exception:
    if isinstance(name, Exception):
        return name
    key, where = name
    if not key:
        return pb.Finding(outcome=pb.OUTCOME_NOT_CACHEABLE)
    value = values[where]
    if value is None:
        return pb.Finding(outcome=pb.OUTCOME_MISS, key=key)
    try:
        kept = unpack(where, value)
    except BadValue:
        rotten.append(where)
        return pb.Finding(outcome=pb.OUTCOME_MISS, key=key)
    found = pb.Finding(outcome=pb.OUTCOME_EXACT, key=key, answer=kept.answer)
    found.store_time.FromMilliseconds(kept.store_time_ms)
    return found
