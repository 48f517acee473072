"""One call of one candidate: on its span, owned by the hold, told to who remembers providers."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from opentelemetry.trace import Span, SpanKind
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis import names
from chassis.deadline import Deadline
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
from gateway.upstreams.upstreams import Leave, Upstreams

Piece = ProviderDelta | ProviderEnd
# As many as one settlement takes (ledger.v1.SettleItem.attempts).
ATTEMPTS_MAX = 16


@dataclass(slots=True)
class Try:
    """One call of one candidate."""

    candidate: router_pb.Candidate
    number: int
    span: Span
    leave: Leave
    kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL
    error: ProviderError | None = None
    # When the answer was whole or had failed, in nanoseconds since 1970. 0: not yet.
    answered_ns: int = 0
    # The gateway ended the stream, for the hold was used up.
    cut: bool = False
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
    # Whether a slow call may get a second one beside it: the hold covers both.
    hedged: bool = False


class Line:
    """The line to providers."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        upstreams: Upstreams,
        telemetry: Telemetry,
        new_id: Callable[[], str],
    ) -> None:
        self._providers = providers
        self._upstreams = upstreams
        self._telemetry = telemetry
        self._new_id = new_id

    def open(
        self, ask: Ask, hold: OwnedHold, candidate: router_pb.Candidate, kind: entry_pb2.EntryKind
    ) -> Try | None:
        """A try about to be made; the hold ends its span. None: its breaker is open."""
        leave = self._upstreams.leave(
            candidate.provider, candidate.upstream_model, streams=ask.streams
        )
        if leave is None:
            ask.span.add_event(names.EVENT_BREAKER_SKIPPED, whom(candidate))
            return None
        if kind not in (entry_pb2.ENTRY_KIND_RETRY, entry_pb2.ENTRY_KIND_HEDGE):
            self._upstreams.called(candidate.provider)
        hold.begun += 1
        number = hold.begun
        attempt = Try(candidate, number, self._open_span(ask, candidate, number), leave, kind)
        hold.tries.append(attempt)
        return attempt

    async def called(
        self, ask: Ask, hold: OwnedHold, chain: Chain, attempt: Try
    ) -> tuple[Try, ProviderAnswer] | None:
        """One call. None: it failed, and `attempt.error` says how."""
        try:
            with self._on_the_line(ask, hold, attempt):
                provider = self._providers[attempt.candidate.provider]
                answer = await provider.complete(_call(ask, attempt), chain.deadline)
                self._upstreams.answered(attempt.leave)
                attempt.answered_ns = time.time_ns()
                return attempt, answer
        except (ProviderUnavailable, ProviderRefused):
            return None

    async def pieces(self, ask: Ask, hold: OwnedHold, attempt: Try) -> AsyncGenerator[Piece, None]:
        """The pieces of one call; none when it fails before the first. Raises: ProviderFailed."""
        begun = False
        try:
            with self._on_the_line(ask, hold, attempt):
                provider = self._providers[attempt.candidate.provider]
                stream = provider.stream(_call(ask, attempt), ask.deadline)
                async with aclosing(stream) as pieces:
                    async for piece in pieces:
                        if not begun:
                            begun = True
                            self._upstreams.answered(attempt.leave)
                        if isinstance(piece, ProviderEnd):
                            attempt.answered_ns = time.time_ns()
                        yield piece
        except (ProviderUnavailable, ProviderRefused) as error:
            if begun:
                reason = str(error.reason)
                raise ProviderFailed(error.provider, reason, attempt.number) from None

    @contextmanager
    def _on_the_line(self, ask: Ask, hold: OwnedHold, attempt: Try) -> Iterator[None]:
        """One call under way: owned by the hold until it is known what it took.
        `attempt.error` has what the provider raised."""
        hold.under_way[attempt.number] = self._cancelled(ask, attempt)
        try:
            yield
        except (ProviderUnavailable, ProviderRefused) as error:
            attempt.error = error
            raise
        finally:
            if not attempt.answered_ns:
                self._note_ended(ask, attempt)
            _mark_if_failed(attempt)

    def _note_ended(self, ask: Ask, attempt: Try) -> None:
        if self._upstreams.ended(attempt.leave, attempt.error):
            ask.span.add_event(names.EVENT_BREAKER_OPENED, whom(attempt.candidate))

    def note_failed(self, ask: Ask, hold: OwnedHold, attempt: Try) -> None:
        """Books a call that brought nothing."""
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

    def _open_span(self, ask: Ask, candidate: router_pb.Candidate, number: int) -> Span:
        return self._telemetry.child(
            f"{ask.operation} {candidate.upstream_model}",
            ask.span,
            SpanKind.CLIENT,
            {
                names.GEN_AI_OPERATION: ask.operation,
                names.GEN_AI_PROVIDER: candidate.provider,
                names.GEN_AI_REQUEST_MODEL: candidate.upstream_model,
                names.GEN_AI_REQUEST_MAX_TOKENS: candidate.output_tokens_max,
                names.ATTEMPT_NUMBER: number,
            },
        )


def _may_be_billed(error: ProviderError | None) -> bool:
    """Whether the provider took the prompt and may have done the work."""
    return error is not None and error.billed is Billed.UNKNOWN


def whom(candidate: router_pb.Candidate) -> dict[str, str]:
    """The provider and its model, for events."""
    return {
        names.GEN_AI_PROVIDER: candidate.provider,
        names.GEN_AI_REQUEST_MODEL: candidate.upstream_model,
    }


def _call(ask: Ask, attempt: Try) -> ProviderCall:
    candidate = attempt.candidate
    return ProviderCall(
        candidate.upstream_model,
        ask.sent,
        candidate.output_tokens_max,
        partition=ask.attribution.tenant,
    )


def _mark_if_failed(attempt: Try) -> None:
    """Spans end with their hold, when it is known what each try cost."""
    if attempt.error is not None:
        mark_failed(attempt.span, str(attempt.error.reason))
    elif isinstance(sys.exception(), GeneratorExit | asyncio.CancelledError):
        if not attempt.cut:
            mark_failed(attempt.span, "CALLER_GONE")
    else:
        return
    attempt.answered_ns = time.time_ns()
