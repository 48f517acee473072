"""How items end: what goes into the log for each, and what that means for who asked the same."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.trace import Span
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from gateway.batches.items import Items, told
from gateway.batches.job import Job
from gateway.batches.lines import Line
from gateway.batches.log import Event
from gateway.batches.progress import BY_CALL, BY_ENDPOINT, CACHE, DUPLICATE, FAILED
from gateway.batches.rows import Rows, answered_event
from gateway.openai.errors import HttpError
from gateway.openai.wire import render_answer
from gateway.providers.port import ProviderAnswer
from gateway.saga.ask import Ask
from gateway.saga.cached import Cached


@dataclass(frozen=True, slots=True)
class Result:
    """What is to be noted of a line, and of those that ask the same."""

    events: list[Event]
    # Hands the answer to the cache: once it is noted, or a crash between the two would let a line
    # be answered by the cache that was paid for and never booked.
    store: Callable[[], None] | None = None


class Results:
    """Makes results and sees that they are booked."""

    def __init__(self, items: Items, rows: Rows, cached: Cached) -> None:
        self._items = items
        self._rows = rows
        self._cached = cached

    async def from_cache(self, job: Job, line: Line, ask: Ask) -> Result:
        """The look-up found the answer; who asks the same has it too."""
        found = ask.finding.answer
        kind = entry_pb2.ENTRY_KIND_CACHE_HIT
        row = self._rows.served(ask, kind, found.model, found.usage)
        semantic = ask.finding.outcome == cache_pb.OUTCOME_SEMANTIC
        source = (
            gateway_pb.ANSWER_SOURCE_CACHE_SEMANTIC
            if semantic
            else gateway_pb.ANSWER_SOURCE_CACHE_EXACT
        )
        body = _body(ask, found.choices, found.model, "", found.usage, source=source)
        rows = self._rows.record(job, line.number, ask, [row])
        event = answered_event(line.number, line.custom_id, CACHE, rows=rows, body=body)
        return Result([event, *await self._duplicates(job, line, ask.span, found.choices, row)])

    async def from_provider(
        self,
        job: Job,
        line: Line,
        ask: Ask,
        candidate: router_pb.Candidate,
        given: ProviderAnswer,
        *,
        kind: entry_pb2.EntryKind,
        failed: Sequence[entry_pb2.Attempt] = (),
    ) -> Result:
        """A provider answered, after the tries that `failed`; who asks the same has it too. The
        answer goes to the cache."""
        made = await self._rows.answered(ask, candidate, given, kind)
        choices = list(given.choices)
        source = gateway_pb.ANSWER_SOURCE_PROVIDER
        body = _body(ask, choices, candidate.model, candidate.provider, made.usage, source=source)
        rows = self._rows.record(job, line.number, ask, [*failed, made])
        how = BY_ENDPOINT if kind == entry_pb2.ENTRY_KIND_BATCH_ITEM else BY_CALL
        event = answered_event(line.number, line.custom_id, how, rows=rows, body=body)
        others = await self._duplicates(job, line, ask.span, choices, made)
        return Result(
            [event, *others],
            lambda: self._cached.keep(ask, choices, candidate.model, made.usage),
        )

    async def refused(
        self,
        job: Job,
        line: int,
        error: Exception,
        *,
        rows: Sequence[entry_pb2.Attempt] = (),
        ask: Ask | None = None,
    ) -> Result:
        """An item that fails, and with it who asks the same. `rows`: tries that were made."""
        http = told(error)
        booked = self._rows.record(job, line, ask, rows) if ask is not None else []
        read = await asyncio.to_thread(job.lines.read, line, job.spec.options)
        events = [_refused(read, http, booked)]
        for number in job.progress.duplicates.get(line, ()):
            other = await asyncio.to_thread(job.lines.read, number, job.spec.options)
            events.append(_refused(other, http, []))
        return Result(events)

    async def given_up(self, job: Job, lines: Sequence[int], code: str, message: str) -> None:
        """Lines that nobody gets to any more."""
        events = []
        for number in lines:
            read = await asyncio.to_thread(job.lines.read, number, job.spec.options)
            error = {"code": code, "message": message}
            events.append(answered_event(number, read.custom_id, FAILED, status=0, error=error))
        if events:
            await job.note_all(events)

    async def keep(self, job: Job, made: Sequence[Result]) -> None:
        """Brings results to the disk, then books them."""
        told = [event for result in made for event in result.events]
        fresh = [each for each in told if each.told["line"] not in job.progress.answered]
        if not fresh:
            return
        await job.note_all(fresh)
        for result in made:
            if result.store is not None:
                result.store()
        await self._rows.book(job, [each.told["line"] for each in fresh])

    async def _duplicates(
        self,
        job: Job,
        line: Line,
        span: Span,
        choices: Sequence[chat_pb2.Choice],
        made: entry_pb2.Attempt,
    ) -> list[Event]:
        events = []
        for number in job.progress.duplicates.get(line.number, ()):
            other = await asyncio.to_thread(job.lines.read, number, job.spec.options)
            events.append(self._duplicate(job, other, span, choices, made))
        return events

    def _duplicate(
        self,
        job: Job,
        line: Line,
        span: Span,
        choices: Sequence[chat_pb2.Choice],
        made: entry_pb2.Attempt,
    ) -> Event:
        ask = self._items.open(job, line, span)
        kind = entry_pb2.ENTRY_KIND_SHARED_CALL
        # A hit used nothing itself: what it stands for is the first step of its chain.
        usage = made.usage if made.usage.ByteSize() else made.counterfactuals[0].usage
        row = self._rows.served(ask, kind, made.model_used, usage)
        source = gateway_pb.ANSWER_SOURCE_SHARED
        body = _body(ask, choices, made.model_used, made.provider, usage, source=source)
        rows = self._rows.record(job, line.number, ask, [row])
        return answered_event(line.number, line.custom_id, DUPLICATE, rows=rows, body=body)


def _refused(line: Line, http: HttpError, rows: Any) -> Event:
    return answered_event(
        line.number, line.custom_id, FAILED, rows=rows, status=http.status, body=http.body
    )


def _body(
    ask: Ask,
    choices: Sequence[chat_pb2.Choice],
    model: str,
    provider: str,
    usage: chat_pb2.TokenUsage,
    *,
    source: gateway_pb.AnswerSource,
) -> dict[str, Any]:
    """A chat completion as the HTTP door would tell it; what it cost is put in at the end."""
    summary = gateway_pb.Summary(
        request_id=ask.request_id, model=model, provider=provider, source=source, usage=usage
    )
    response = gateway_pb.CompleteResponse(choices=choices, summary=summary)
    return {
        **render_answer(response, cast(gateway_pb.CacheMode, ask.cache_mode), 0),
        "spendgate": None,
    }
