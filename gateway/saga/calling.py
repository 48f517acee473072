"""Calls the chosen model, tries again where it may help, goes down the fallback chain."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from opentelemetry.trace import Span, SpanKind
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.schema import RetryConfig
from chassis import names
from chassis.deadline import Deadline, DeadlinePassed
from chassis.telemetry import Telemetry, mark_failed
from gateway.errors import ProviderFailed
from gateway.providers.port import (
    Billed,
    Provider,
    ProviderAnswer,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
)
from gateway.saga import attempts
from gateway.saga.ask import Ask
from gateway.saga.hold import OwnedHold, Unfinished

# As many as one settlement takes (ledger.v1.SettleItem.attempts).
ATTEMPTS_MAX = 16


@dataclass(slots=True)
class Try:
    """One call of one candidate."""

    candidate: router_pb.Candidate
    number: int
    span: Span
    kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL
    error: ProviderError | None = None
    # When the answer was whole or had failed, in nanoseconds since 1970. 0: not yet.
    answered_ns: int = 0
    ended: bool = False

    def end(self, attributes: Mapping[str, int]) -> None:
        """Ends the span, once, as of the moment when the provider was done."""
        if not self.ended:
            self.ended = True
            if self.span.is_recording():
                self.span.set_attributes(attributes)
            # The settlement that told the cost is not the provider's time.
            self.span.end(end_time=self.answered_ns or time.time_ns())


@dataclass(frozen=True, slots=True)
class Chain:
    """Candidates to try in order, each so often, until a moment."""

    candidates: Sequence[router_pb.Candidate]
    deadline: Deadline
    tries_max: int


class Caller:
    """Gets an answer from one of a decision's candidates."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        retry: RetryConfig,
        telemetry: Telemetry,
        new_id: Callable[[], str],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` gives numbers from 0 to 1, for the jitter between tries."""
        self._providers = providers
        self._retry = retry
        self._telemetry = telemetry
        self._new_id = new_id
        self._chance = chance

    async def complete(
        self, ask: Ask, hold: OwnedHold, chain: Chain | None = None
    ) -> tuple[Try, ProviderAnswer]:
        """The first whole answer; failed tries are left on the hold. Default: the decision's chain.

        Raises: ProviderRefused; ProviderFailed after the last try; DeadlinePassed.
        """
        chain = chain or self._decided(ask)
        async for attempt in self._tries(ask, hold, chain):
            hold.under_way[attempt.number] = self._cancelled(ask, attempt)
            try:
                provider = self._providers[attempt.candidate.provider]
                answer = await provider.complete(_call(ask, attempt), chain.deadline)
            except ProviderUnavailable as error:
                attempt.error = error
                continue
            except ProviderRefused as error:
                attempt.error = error
                self._note_failed(ask, hold, attempt)
                raise
            finally:
                _mark_if_failed(attempt)
            attempt.answered_ns = time.time_ns()
            return attempt, answer
        raise self._given_up(ask, hold)

    async def stream(
        self, ask: Ask, hold: OwnedHold
    ) -> AsyncGenerator[tuple[Try, ProviderDelta | ProviderEnd], None]:
        """The pieces of the first answer that begins; once it has, nothing is tried again.

        Raises like complete(), and ProviderFailed when the answer breaks off.
        """
        async for attempt in self._tries(ask, hold, self._decided(ask)):
            begun = False
            hold.under_way[attempt.number] = self._cancelled(ask, attempt)
            try:
                provider = self._providers[attempt.candidate.provider]
                async with aclosing(provider.stream(_call(ask, attempt), ask.deadline)) as pieces:
                    async for piece in pieces:
                        begun = True
                        if isinstance(piece, ProviderEnd):
                            attempt.answered_ns = time.time_ns()
                        yield attempt, piece
                return
            except ProviderUnavailable as error:
                attempt.error = error
                if begun:
                    raise ProviderFailed(error.provider, error.reason, attempt.number) from None
            except ProviderRefused as error:
                attempt.error = error
                self._note_failed(ask, hold, attempt)
                raise
            finally:
                _mark_if_failed(attempt)
        raise self._given_up(ask, hold)

    def _decided(self, ask: Ask) -> Chain:
        candidates = (ask.decision.chosen, *ask.decision.fallbacks)
        return Chain(candidates, ask.deadline, self._retry.attempts_max)

    async def _tries(self, ask: Ask, hold: OwnedHold, chain: Chain) -> AsyncIterator[Try]:
        """Every try the rules allow; whoever takes one sets its error before the next."""
        tries_max = min(chain.tries_max, self._retry.attempts_max)
        for place, candidate in enumerate(chain.candidates):
            for again in range(tries_max):
                hold.begun += 1
                number = hold.begun
                span = self._open_span(ask, candidate, number)
                attempt = Try(candidate, number, span, _kind(place, again))
                hold.tries.append(attempt)
                yield attempt
                error = attempt.error
                if not isinstance(error, ProviderUnavailable):
                    return
                self._note_failed(ask, hold, attempt)
                pause = self._pause_seconds(again, error)
                if number >= ATTEMPTS_MAX:
                    return
                last = again + 1 == tries_max
                if last or not error.retryable_here or pause is None:
                    break
                if pause >= chain.deadline.left_seconds():
                    break
                await asyncio.sleep(pause)

    def _pause_seconds(self, again: int, error: ProviderUnavailable) -> float | None:
        """Exponential backoff with full jitter, or what the provider asks for.

        None: it asks for longer than the operator will wait.
        """
        asked = error.retry_after_seconds
        if asked is not None:
            return asked if asked <= self._retry.retry_after_seconds_max else None
        ceiling: float = self._retry.backoff_seconds * 2**again
        return min(ceiling, self._retry.backoff_seconds_max) * self._chance()

    def _note_failed(self, ask: Ask, hold: OwnedHold, attempt: Try) -> None:
        hold.under_way.pop(attempt.number, None)
        error = attempt.error
        reason = str(error.reason) if error is not None else ""
        hold.attempts.append(
            attempts.failed(
                ask,
                attempt.candidate,
                number=attempt.number,
                entry_id=self._new_id(),
                kind=attempt.kind,
                reason=reason,
                may_be_billed=_may_be_billed(error),
            )
        )

    def _cancelled(self, ask: Ask, attempt: Try) -> Unfinished:
        """A caller that goes away before anything came is noted, and charged nothing."""

        async def note() -> entry_pb2.Attempt:
            return attempts.failed(
                ask,
                attempt.candidate,
                number=attempt.number,
                entry_id=self._new_id(),
                kind=attempt.kind,
                reason="CALLER_GONE",
                outcome=entry_pb2.ATTEMPT_OUTCOME_CANCELLED,
            )

        return note

    def _given_up(self, ask: Ask, hold: OwnedHold) -> Exception:
        if ask.deadline.passed:
            return DeadlinePassed()
        last = hold.attempts[-1]
        return ProviderFailed(last.provider, last.error_reason, len(hold.attempts))

    def _open_span(self, ask: Ask, candidate: router_pb.Candidate, number: int) -> Span:
        return self._telemetry.child(
            f"chat {candidate.upstream_model}",
            ask.span,
            SpanKind.CLIENT,
            {
                names.GEN_AI_OPERATION: "chat",
                names.GEN_AI_PROVIDER: candidate.provider,
                names.GEN_AI_REQUEST_MODEL: candidate.upstream_model,
                names.GEN_AI_REQUEST_MAX_TOKENS: candidate.output_tokens_max,
                names.ATTEMPT_NUMBER: number,
            },
        )


def _may_be_billed(error: ProviderError | None) -> bool:
    """Whether the provider took the prompt and may have done the work."""
    return error is not None and error.billed is Billed.UNKNOWN


def _kind(place: int, again: int) -> entry_pb2.EntryKind:
    """What a try is: the first, the same model again, or another in its stead."""
    if again:
        return entry_pb2.ENTRY_KIND_RETRY
    return entry_pb2.ENTRY_KIND_FALLBACK if place else entry_pb2.ENTRY_KIND_CALL


def _call(ask: Ask, attempt: Try) -> ProviderCall:
    candidate = attempt.candidate
    return ProviderCall(candidate.upstream_model, ask.sent, candidate.output_tokens_max)


def _mark_if_failed(attempt: Try) -> None:
    """Spans end with their hold, when it is known what each try cost."""
    if attempt.error is not None:
        mark_failed(attempt.span, str(attempt.error.reason))
    elif isinstance(sys.exception(), GeneratorExit | asyncio.CancelledError):
        mark_failed(attempt.span, "CALLER_GONE")
    else:
        return
    attempt.answered_ns = time.time_ns()
