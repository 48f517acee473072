"""Several deployments or keys of one provider behind the provider port: one a call, by weight.

One that fails, or says that it has too much to do, is left alone until its cooldown is over; when
all are, the one that is back first is called.
"""

import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from opentelemetry import metrics

from chassis import names
from chassis.deadline import Deadline
from gateway.providers.port import (
    Provider,
    ProviderAnswer,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderUnavailable,
    Unavailability,
)

_cooldowns = metrics.get_meter("spendgate").create_counter(
    names.METRIC_COOLDOWNS, unit="{time}", description="Deployments left alone for a while."
)
# What tells of one answer, not of the place.
_NO_COOLDOWN = frozenset({Unavailability.BAD_ANSWER, Unavailability.ANSWER_TOO_LARGE})
# A caller with a tiny deadline says nothing of the place.
TIMEOUT_COUNTS_SECONDS = 10.0


@dataclass(slots=True)
class Deployment:
    """One place to call."""

    adapter: Provider
    name: str
    weight: int
    cooldown_seconds: float
    cool_until: float = 0.0


class DeploymentPool:
    """gateway.providers.port.Provider."""

    def __init__(
        self,
        provider: str,
        deployments: Sequence[Deployment],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`clock` gives seconds that never go back, `chance` numbers from 0 to 1."""
        self._provider = provider
        self._deployments = deployments
        self._clock = clock
        self._chance = chance

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """The whole answer, from one of them. Raises: ProviderRefused, ProviderUnavailable."""
        chosen, begun = self._choose(), self._clock()
        try:
            return await chosen.adapter.complete(call, deadline)
        except ProviderUnavailable as error:
            self._note(chosen, error, begun)
            raise

    async def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The answer piece by piece, from one of them. Raises like complete()."""
        chosen, begun = self._choose(), self._clock()
        try:
            async with aclosing(chosen.adapter.stream(call, deadline)) as pieces:
                async for piece in pieces:
                    yield piece
        except ProviderUnavailable as error:
            self._note(chosen, error, begun)
            raise

    def _choose(self) -> Deployment:
        now = self._clock()
        ready = [each for each in self._deployments if each.cool_until <= now]
        if not ready:
            return min(self._deployments, key=lambda each: each.cool_until)
        at = self._chance() * sum(each.weight for each in ready)
        for each in ready:
            at -= each.weight
            if at < 0:
                return each
        return ready[-1]

    def _note(self, chosen: Deployment, error: ProviderUnavailable, begun: float) -> None:
        """Leaves `chosen` alone for a while, and says whether another is ready."""
        now = self._clock()
        timed_out = error.reason == Unavailability.TIMEOUT
        if error.reason not in _NO_COOLDOWN and (
            not timed_out or now - begun >= TIMEOUT_COUNTS_SECONDS
        ):
            asked = error.retry_after_seconds
            chosen.cool_until = now + (chosen.cooldown_seconds if asked is None else asked)
            _cooldowns.add(
                1, {names.GEN_AI_PROVIDER: self._provider, names.DEPLOYMENT: chosen.name}
            )
        error.elsewhere_ready = any(each.cool_until <= now for each in self._deployments)
