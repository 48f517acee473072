"""A line of a job as a request of the house: counted, looked up, routed, like any other."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import grpc
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel, Unpriced
from chassis.coalesce import CoalescerClosed, QueueFull
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import RemoteError, StatusError, code_of
from chassis.telemetry import Telemetry
from gateway.batches.job import Job
from gateway.batches.lines import Line
from gateway.batches.progress import Chunk
from gateway.batches.words import request_id_of
from gateway.errors import ERRORS, Overloaded, ServiceUnavailable
from gateway.openai.errors import HttpError, error_of
from gateway.saga.ask import Ask, open_ask
from gateway.saga.feedback import HITS
from gateway.saga.steps import Steps

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.5, 30.0
_PASSING_CODES = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED}
)


class Items:
    """Makes requests of lines."""

    def __init__(self, steps: Steps, fleet: Fleet, *, now: Callable[[], datetime]) -> None:
        """`now` gives the time in UTC, for prices."""
        self._steps = steps
        self._fleet = fleet
        self._now = now
        # An item opens no trace of its own: it is part of its job's.
        self._silent = Telemetry(NoOpTracer())

    def open(self, job: Job, line: Line, span: Span) -> Ask:
        """The request of a line, under `span`. It has the request id that it has in the books."""
        ask = open_ask(
            line.request,
            job.spec.identity,
            traceparent="",
            deadline=self.deadline(job),
            telemetry=self._silent,
            cache=self._fleet.config.cache,
            prompts=self._fleet.config.prompts,
            new_id=lambda: request_id_of(job.batch_id, line.number),
        )
        ask.span = NonRecordingSpan(span.get_span_context())
        # No lease is wanted: whoever else asks the same must not wait for a job.
        ask.streams = True
        return ask

    def deadline(self, job: Job) -> Deadline:
        """For one try of one item."""
        seconds = min(self._fleet.config.timeouts.request_seconds, job.left_seconds())
        return Deadline.after(seconds)

    async def prepare(self, job: Job, ask: Ask) -> bool:
        """Counts and looks up; True when the cache has the answer. Waits out what passes.

        Raises: what refuses the item itself.
        """
        await self._patiently(job, ask, lambda: self._steps.prepare_and_look_up(ask))
        return ask.finding.outcome in HITS

    async def recall(self, job: Job, ask: Ask) -> None:
        """Counts and looks up for an answer that is there and paid: waits for as long as it takes,
        and goes on without where the house refuses by now what it took before."""
        pause = PAUSE_SECONDS
        while True:
            ask.deadline = Deadline.after(self._fleet.config.timeouts.request_seconds)
            try:
                await self._steps.prepare_and_look_up(ask)
            except Exception as error:
                if not passes(error):
                    return
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def route(self, job: Job, ask: Ask) -> router_pb.Candidate:
        """The model to ask, one only: nothing else is held for. Waits out what passes."""
        await self._patiently(job, ask, lambda: self._steps.route(ask))
        return ask.decision.chosen

    def decided(self, ask: Ask, chunk: Chunk, line: int) -> router_pb.Candidate:
        """Writes the decision of the plan into `ask`."""
        chosen = router_pb.Candidate(
            model=chunk.model,
            provider=chunk.provider,
            upstream_model=chunk.upstream_model,
            output_tokens_max=chunk.lines[line],
        )
        ask.decision.CopyFrom(
            router_pb.Decision(
                chosen=chosen, explanation=chunk.explanation, baseline_model=chunk.baseline_model
            )
        )
        return chosen

    def has_batch_price(self, model: str) -> bool:
        """Whether it is known what the model costs at its provider's batch endpoint."""
        try:
            self._fleet.book.price_in("batch", model, self._now())
        except (UnknownModel, Unpriced):
            return False
        return True

    async def _patiently(self, job: Job, ask: Ask, step: Callable[[], Awaitable[None]]) -> None:
        pause = PAUSE_SECONDS
        while True:
            try:
                await step()
            except Exception as error:
                if not passes(error) or job.left_seconds() <= pause:
                    raise
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            ask.deadline = self.deadline(job)


def passes(error: Exception) -> bool:
    """Whether waiting may help: a service that is away or has too much to do."""
    if isinstance(error, ServiceUnavailable | Overloaded | QueueFull | CoalescerClosed):
        return True
    if isinstance(error, DeadlinePassed | TimeoutError):
        return True
    if isinstance(error, RemoteError):
        return error.code in _PASSING_CODES
    return isinstance(error, StatusError) and code_of(error.status) in _PASSING_CODES


def told(error: Exception) -> HttpError:
    """An item's error as OpenAI's API would tell it."""
    return error_of(ERRORS.to_status(error))
