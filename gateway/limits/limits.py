"""Keeps rate limits: at the door for keys and users, after routing for tokens and models."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from catalog.limits import LimitConfig, LimitsConfig
from gateway.limits.port import Limiter, LimiterUnavailable
from gateway.limits.rules import REQUESTS, TOKENS, Bucket, RateLimited, Rates, Slot
from gateway.saga.ask import Ask

_log = logging.getLogger("gateway.limits")

# A place among the calls at once outlives the request's deadline by this, then it is free.
SLOT_SECONDS_MARGIN = 30.0
# How long the shared count is left alone after it failed.
AWAY_SECONDS = 1.0


class Limits:
    """The limits of keys, users and models of one fleet.

    When `shared` fails, `own` counts: each gateway then keeps the limits by itself.
    """

    def __init__(
        self,
        config: LimitsConfig,
        own: Limiter,
        shared: Limiter | None,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives seconds that never go back."""
        self.take_over(config)
        self._own = own
        self._shared = shared
        self._new_id = new_id
        self._clock = clock
        self._away_until = 0.0
        self._leaving: set[asyncio.Task[None]] = set()

    def take_over(self, config: LimitsConfig) -> None:
        """Other limits hold from now on; what was counted so far counts."""
        self._per_key = _rates(config.per_key)
        self._per_user = _rates(config.per_user)
        self._models = {name: _rates(limit) for name, limit in config.models.items()}

    @asynccontextmanager
    async def at_door(self, ask: Ask) -> AsyncIterator[None]:
        """Counts the request of its key and its user while the block runs. Raises: RateLimited."""
        whose = self._callers(ask)
        buckets = [
            Bucket(f"{place}:r", of, REQUESTS, rates.requests_per_minute, 1)
            for of, place, rates in whose
            if rates.requests_per_minute
        ]
        slots = [
            Slot(f"{place}:p", of, rates.parallel_calls_max)
            for of, place, rates in whose
            if rates.parallel_calls_max
        ]
        async with self._within(buckets, slots, ask):
            yield

    @asynccontextmanager
    async def at_model(self, ask: Ask) -> AsyncIterator[None]:
        """Counts the tokens that the request may take, and the chosen model's requests and calls
        at once. Raises: RateLimited."""
        model = ask.decision.chosen.model
        rates = self._models.get(model, Rates())
        tokens = ask.prepared.input.tokens + ask.decision.chosen.output_tokens_max
        place = _place("model", model)
        buckets = [
            Bucket(f"{where}:t", of, TOKENS, each.tokens_per_minute, tokens)
            for of, where, each in (*self._callers(ask), ("model", place, rates))
            if each.tokens_per_minute
        ]
        if rates.requests_per_minute:
            buckets.append(Bucket(f"{place}:r", "model", REQUESTS, rates.requests_per_minute, 1))
        slots = []
        if rates.parallel_calls_max:
            slots.append(Slot(f"{place}:p", "model", rates.parallel_calls_max))
        async with self._within(buckets, slots, ask):
            yield

    async def close(self) -> None:
        """Ends what is under way, then lets go of connections."""
        if self._leaving:
            await asyncio.wait(set(self._leaving))
        for limiter in (self._own, self._shared):
            if limiter is not None:
                await limiter.close()

    def _callers(self, ask: Ask) -> list[tuple[str, str, Rates]]:
        """Whose limits bind the caller: of what, where counted, how much."""
        who = ask.attribution
        found = [("key", _place("key", who.tenant, who.key_id), ask.key_rates.over(self._per_key))]
        if who.user:
            found.append(("user", _place("user", who.tenant, who.user), self._per_user))
        return found

    @asynccontextmanager
    async def _within(
        self, buckets: Sequence[Bucket], slots: Sequence[Slot], ask: Ask
    ) -> AsyncIterator[None]:
        if not buckets and not slots:
            yield
            return
        call_id = self._new_id()
        seconds = ask.deadline.left_seconds() + SLOT_SECONDS_MARGIN
        limiter = await self._admit(buckets, slots, call_id, seconds)
        try:
            yield
        finally:
            if slots:
                task = asyncio.create_task(_leave(limiter, slots, call_id))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def _admit(
        self, buckets: Sequence[Bucket], slots: Sequence[Slot], call_id: str, seconds: float
    ) -> Limiter:
        """Whoever counted it."""
        limiter = self._own
        if self._shared is not None and self._clock() >= self._away_until:
            limiter = self._shared
        try:
            refused = await limiter.admit(buckets, slots, call_id, seconds)
        except LimiterUnavailable as error:
            self._away_until = self._clock() + AWAY_SECONDS
            _log.warning("shared limits are away", extra={"error_type": str(error)})
            limiter = self._own
            refused = await limiter.admit(buckets, slots, call_id, seconds)
        if refused is not None:
            raise RateLimited(refused)
        return limiter


def _rates(config: LimitConfig) -> Rates:
    return Rates(
        config.requests_per_minute or 0,
        config.tokens_per_minute or 0,
        config.parallel_calls_max or 0,
    )


async def _leave(limiter: Limiter, slots: Sequence[Slot], call_id: str) -> None:
    try:
        await limiter.leave(slots, call_id)
    except LimiterUnavailable:
        # Its time runs out there.
        return


def _place(*names: str) -> str:
    """A name for a limit that holds no text of a caller's."""
    return hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()
