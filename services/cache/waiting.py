"""Waits for an answer that another caller is getting."""

import asyncio
from collections.abc import Awaitable, Callable

from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.deadline import Deadline
from services.cache import places
from services.cache.fingerprint import scope_tag
from services.cache.leases import Leases, Wanted
from services.cache.near.search import may_have
from services.cache.reading import Reader
from services.cache.record import Recorder
from services.cache.store import StoreUnavailable

# How often it is looked whether the leader is done: seldom enough to cost nothing beside a call
# to a provider, often enough not to be felt.
POLL_SECONDS_FIRST = 0.01
POLL_SECONDS_MAX = 0.1
# What the answer needs to travel back in.
MARGIN_SECONDS = 0.02


class Waiting:
    """The verb Await."""

    def __init__(
        self,
        reader: Reader,
        leases: Leases,
        recorder: Recorder,
        *,
        new_token: Callable[[], str],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reader = reader
        self._leases = leases
        self._recorder = recorder
        self._new_token = new_token
        self._pause = pause

    async def wait(self, request: pb.AwaitRequest, deadline: Deadline) -> pb.Finding:
        """A hit; a miss with the lease; a miss without one: the time was up, or the store is
        away and nobody can wait for anybody."""
        tag = scope_tag(request.scope.tenant, request.scope.project, request.scope.user)
        pause_seconds = POLL_SECONDS_FIRST
        try:
            while True:
                held = await self._leases.held(tag, request.key)
                found = None if held else await self._free(request, tag)
                if found is not None:
                    return found
                if deadline.left_seconds() < pause_seconds + MARGIN_SECONDS:
                    return pb.Finding(outcome=pb.OUTCOME_MISS, key=request.key, led_elsewhere=True)
                await self._pause(pause_seconds)
                pause_seconds = min(POLL_SECONDS_MAX, pause_seconds * 1.5)
        except StoreUnavailable:
            return pb.Finding(outcome=pb.OUTCOME_BYPASSED, key=request.key)

    async def _free(self, request: pb.AwaitRequest, tag: str) -> pb.Finding | None:
        """Nobody holds the lease: the answer is there, or the caller leads. None: another one
        was faster to take it."""
        place = places.entry(tag, request.key)
        kept = (await self._reader.read([place])).get(place)
        if kept is not None and may_have(kept, request.user):
            found = pb.Finding(
                outcome=pb.OUTCOME_EXACT,
                key=request.key,
                answer=kept.entry.answer,
                entry_key=request.key,
                entry_feature=kept.entry.feature,
            )
            found.store_time.FromMilliseconds(kept.store_time_ms)
            self._recorder.hit_after_waiting(request.scope.tenant, request.feature, found)
            return found
        wanted = Wanted(tag, request.key, self._new_token(), request.lease_ms)
        (got,) = await self._leases.acquire([wanted])
        if not got:
            return None
        return pb.Finding(outcome=pb.OUTCOME_MISS, key=request.key, lease=wanted.token)
