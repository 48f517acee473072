"""Calls the chosen model, tries again where it may help, goes down the fallback chain."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from spendgate.ledger.v1 import entry_pb2

from catalog.resilience import RetryConfig, TooLong
from chassis import names
from chassis.deadline import DeadlinePassed
from chassis.telemetry import Telemetry
from gateway.errors import CircuitOpen, ProviderFailed
from gateway.providers.port import (
    Provider,
    ProviderAnswer,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
)
from gateway.saga.ask import Ask
from gateway.saga.hedging import Hedging
from gateway.saga.hold import OwnedHold
from gateway.saga.line import ATTEMPTS_MAX, Chain, Line, Piece, Try
from gateway.saga.refit import Refit
from gateway.upstreams.upstreams import Upstreams


class Caller:
    """Gets an answer from one of a decision's candidates."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        retry: RetryConfig,
        telemetry: Telemetry,
        new_id: Callable[[], str],
        chance: Callable[[], float] = random.random,
        *,
        upstreams: Upstreams,
        refit: Refit,
    ) -> None:
        """`chance` gives numbers from 0 to 1, for the jitter between tries."""
        self._line = Line(providers, upstreams, telemetry, new_id)
        self._hedging = Hedging(self._line, upstreams, retry.hedge, new_id)
        self._retry = retry
        self._chance = chance
        self._upstreams = upstreams
        self._refit = refit

    async def complete(
        self, ask: Ask, hold: OwnedHold, chain: Chain | None = None
    ) -> tuple[Try, ProviderAnswer]:
        """The first whole answer; failed tries are left on the hold. Default: the decision's chain.

        Raises: ProviderRefused; ProviderFailed after the last try; DeadlinePassed.
        """
        chain = chain or self._decided(ask)
        last: Try | None = None
        async with aclosing(self._tries(ask, hold, chain)) as tries:
            async for attempt in tries:
                last = attempt
                found = await self._hedging.called(ask, hold, chain, attempt)
                if found is not None:
                    return found
        raise self._given_up(ask, hold, chain, last)

    async def stream(self, ask: Ask, hold: OwnedHold) -> AsyncGenerator[tuple[Try, Piece], None]:
        """The pieces of the first answer that begins; once it has, nothing is tried again.

        Raises like complete(), and ProviderFailed when the answer breaks off.
        """
        chain = self._decided(ask)
        last: Try | None = None
        async with aclosing(self._tries(ask, hold, chain)) as tries:
            async for attempt in tries:
                last = attempt
                begun = False
                async with aclosing(self._hedging.pieces(ask, hold, chain, attempt)) as pieces:
                    async for winner, piece in pieces:
                        begun = True
                        yield winner, piece
                if begun:
                    return
        raise self._given_up(ask, hold, chain, last)

    def _decided(self, ask: Ask) -> Chain:
        candidates = (ask.decision.chosen, *ask.decision.fallbacks)
        return Chain(candidates, ask.deadline, self._retry.attempts_max, hedged=ask.hedged)

    async def _tries(self, ask: Ask, hold: OwnedHold, chain: Chain) -> AsyncGenerator[Try, None]:
        """Every try the rules allow; whoever takes one sets its error before the next."""
        tries_max = min(chain.tries_max, self._retry.attempts_max)
        window = 0  # of a model that the prompt did not fit
        called = False
        for candidate in chain.candidates:
            if window and not self._refit.takes_more(candidate, window):
                continue
            for again in range(tries_max):
                attempt = self._line.open(ask, hold, candidate, _kind(called, again))
                if attempt is None:
                    break
                called = True
                yield attempt
                error = attempt.error
                if error is None:
                    return
                self._line.note_failed(ask, hold, attempt)
                if hold.begun >= ATTEMPTS_MAX:
                    return
                if isinstance(error, ProviderRefused):
                    if not self._may_be_longer(ask, error):
                        return
                    if self._retry.too_long is TooLong.FIT:
                        with ask.place.worked():
                            shorter = await self._refit.shorten(ask, candidate)
                        if not shorter:
                            return
                        continue
                    window = self._refit.window_of(candidate, ask)
                    break
                if not isinstance(error, ProviderUnavailable):
                    return
                last = again + 1 == tries_max
                if last or not await self._paused(ask, chain, again, error):
                    break

    def _may_be_longer(self, ask: Ask, error: ProviderRefused) -> bool:
        """Whether another model, or a shorter prompt, may do where this one refused."""
        if error.reason != Refusal.CONTEXT_TOO_LONG or self._retry.too_long is TooLong.REFUSE:
            return False
        ask.span.add_event(names.EVENT_TOO_LONG, {names.GEN_AI_PROVIDER: error.provider})
        return True

    async def _paused(self, ask: Ask, chain: Chain, again: int, error: ProviderUnavailable) -> bool:
        """Waits as long as is due before the same model is called again. False: it is not."""
        pause = self._pause_seconds(again, error)
        if not error.retryable_here or pause is None:
            return False
        if pause >= chain.deadline.left_seconds():
            return False
        if not self._upstreams.may_retry(error.provider, "retry"):
            ask.span.add_event(names.EVENT_RETRIES_USED_UP, {names.GEN_AI_PROVIDER: error.provider})
            return False
        await asyncio.sleep(pause)
        return True

    def _pause_seconds(self, again: int, error: ProviderUnavailable) -> float | None:
        """Exponential backoff with full jitter, or what the provider asks for.

        None: it asks for longer than the operator will wait.
        """
        asked = error.retry_after_seconds
        if asked is not None and not error.elsewhere_ready:
            return asked if asked <= self._retry.retry_after_seconds_max else None
        ceiling: float = self._retry.backoff_seconds * 2**again
        return min(ceiling, self._retry.backoff_seconds_max) * self._chance()

    def _given_up(self, ask: Ask, hold: OwnedHold, chain: Chain, last: Try | None) -> Exception:
        if last is not None and isinstance(last.error, ProviderRefused):
            return last.error
        if ask.deadline.passed:
            return DeadlinePassed()
        if last is None or last.error is None:
            waits = [
                (self._upstreams.left_seconds(each.provider, each.upstream_model), each.provider)
                for each in chain.candidates
            ]
            left_seconds, provider = min(waits)
            return CircuitOpen(provider, left_seconds)
        failed = last.error
        return ProviderFailed(failed.provider, str(failed.reason), len(hold.attempts))


def _kind(called: bool, again: int) -> entry_pb2.EntryKind:
    """What a try is: the first, the same model again, or another in its stead."""
    if again:
        return entry_pb2.ENTRY_KIND_RETRY
    return entry_pb2.ENTRY_KIND_FALLBACK if called else entry_pb2.ENTRY_KIND_CALL
