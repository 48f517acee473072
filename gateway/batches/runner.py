"""One job from its file to its results. Stopped anywhere, it goes on from its log."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from opentelemetry.trace import Span, SpanKind
from spendgate.gateway.v1 import batch_pb2 as batch_pb

from catalog.batching import BatchConfig
from catalog.prices import PriceBook
from chassis import names
from chassis.errors import RemoteError, StatusError
from chassis.telemetry import Telemetry, ending
from gateway.batches.calls import Calls
from gateway.batches.endpoint import Endpoint
from gateway.batches.files import Files
from gateway.batches.holds import RENEW_SECONDS, ChunkHolds
from gateway.batches.items import passes
from gateway.batches.job import Job
from gateway.batches.lines import LineRules, faults
from gateway.batches.log import EventKind
from gateway.batches.output import write_results
from gateway.batches.planning import Planner
from gateway.batches.progress import Chunk
from gateway.batches.results import Results
from gateway.batches.rows import Rows
from gateway.batches.words import ERRORS_TOLD_MAX, Fault

CHECKED_AT_ONCE = 64
WATCH_SECONDS = 1.0
EXPIRED = ("batch_expired", "the job's time was up before this line was answered")
CANCELLED = ("batch_cancelled", "the job was cancelled before this line was answered")


@dataclass(frozen=True)
class Kit:
    """What a job is worked on with."""

    files: Files
    planner: Planner
    holds: ChunkHolds
    calls: Calls
    endpoint: Endpoint
    results: Results
    rows: Rows
    book: PriceBook
    config: BatchConfig
    prompt_bytes_max: int
    telemetry: Telemetry


class Runner:
    """Works on one job."""

    def __init__(self, kit: Kit, job: Job) -> None:
        self._kit = kit
        self._job = job
        # Set when the job is to end: cancelled, or its time is up.
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """To its end. Raises: whatever keeps it from going on for now."""
        job = self._job
        if job.progress.ended:
            await job.tell_end()
            return
        await asyncio.to_thread(job.lines.index, self._kit.config.items_max)
        watch = asyncio.create_task(self._watch())
        try:
            if not job.progress.checked and not await self._check():
                return
            if not await self._begin():
                return
            await self._chunks()
            await self._finish()
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _check(self) -> bool:
        """Every line, before anything is spent. False: the job has failed."""
        job, config = self._job, self._kit.config
        total = len(job.lines)
        if total == 0:
            await job.fail([Fault(0, "empty_file", "the file has no line")])
            return False
        if total > config.items_max:
            message = f"the file has more than {config.items_max} lines"
            await job.fail([Fault(0, "too_many_lines", message)])
            return False
        rules = LineRules(
            self._kit.book, self._kit.prompt_bytes_max, job.spec.identity, job.spec.options
        )
        found: list[Fault] = []
        count = 0
        seen: set[str] = set()
        for start in range(1, total + 1, CHECKED_AT_ONCE):
            numbers = iter(range(start, min(start + CHECKED_AT_ONCE, total + 1)))
            fresh = await asyncio.to_thread(faults, job.lines, numbers, rules, seen)
            count += len(fresh)
            found += fresh[: ERRORS_TOLD_MAX - len(found)]
        if found:
            await job.fail(found, count)
            return False
        await job.note(EventKind.CHECKED, total=total)
        return True

    async def _begin(self) -> bool:
        """The plan, and the money for it. False: it cannot be had, the job has failed."""
        job, kit = self._job, self._kit
        state = batch_pb.BATCH_STATE_IN_PROGRESS
        if job.state.state != batch_pb.BATCH_STATE_CANCELLING:
            await job.tell(state)
        await kit.rows.book(job, sorted(job.progress.unbooked))
        if not job.progress.planned and not self._stop.is_set():
            with self._span("batch plan", {names.BATCH_ITEMS: job.progress.counts.total}) as span:
                await kit.planner.plan(job, span)
        chunks = self._undone()
        if job.progress.begun:
            await kit.holds.renew(job, chunks)
            return True
        try:
            await kit.holds.take(job, chunks)
        except StatusError as error:
            if passes(error):
                raise
            reason = RemoteError(error.status).reason
            await job.fail([Fault(0, reason.lower(), error.status.message)])
            return False
        await job.note(EventKind.BEGUN)
        await job.tell()
        return True

    async def _chunks(self) -> None:
        """All chunks: those at providers' endpoints at once, those by calls one after another."""
        undone = self._undone()
        by_calls = iter([chunk for chunk in undone if not chunk.by_endpoint])

        async def one_after_another() -> None:
            for chunk in by_calls:
                await self._chunk(chunk)

        async with asyncio.TaskGroup() as tasks:
            for chunk in undone:
                if chunk.by_endpoint:
                    tasks.create_task(self._chunk(chunk))
            tasks.create_task(one_after_another())

    async def _chunk(self, chunk: Chunk) -> None:
        job, kit = self._job, self._kit
        attributes: dict[str, str | int] = {
            names.BATCH_CHUNK: chunk.number,
            names.BATCH_ITEMS: len(chunk.lines),
            names.GEN_AI_REQUEST_MODEL: chunk.model,
            names.GEN_AI_PROVIDER: chunk.provider,
        }
        way = "endpoint" if chunk.by_endpoint else "calls"
        with self._span(f"batch {way} {chunk.model}", attributes) as span:
            if chunk.by_endpoint:
                taken = await kit.endpoint.run(job, chunk, span, self._stop)
                if not taken or job.progress.left(chunk):
                    await job.note(EventKind.BY_CALLS, chunk=chunk.number)
            if not self._stop.is_set():
                await kit.calls.run(job, chunk, span, self._stop)
        if not job.progress.left(chunk):
            # In this order: a hold that a crash leaves is given back by whoever goes on.
            kit.holds.release(job, chunk)
            await job.note(EventKind.DONE, chunk=chunk.number)
            await job.tell()

    async def _finish(self) -> None:
        """Result files, and the job's end."""
        job, kit = self._job, self._kit
        total = job.progress.counts.total
        left = [line for line in range(1, total + 1) if line not in job.progress.answered]
        state = batch_pb.BATCH_STATE_COMPLETED
        if left and job.folder.cancelled:
            state = batch_pb.BATCH_STATE_CANCELLED
            await kit.results.given_up(job, left, *CANCELLED)
        elif left:
            state = batch_pb.BATCH_STATE_EXPIRED
            await kit.results.given_up(job, left, *EXPIRED)
        for chunk in self._undone():
            kit.holds.release(job, chunk)
            await job.note(EventKind.DONE, chunk=chunk.number)
        await job.tell(batch_pb.BATCH_STATE_FINALIZING)
        await write_results(job, kit.files)
        await job.end(state)

    async def _watch(self) -> None:
        """Looks for the job's end, keeps readers informed, renews holds."""
        job = self._job
        since_renewal = 0.0
        while True:
            if job.folder.cancelled and not self._stop.is_set():
                self._stop.set()
                await self._quietly(lambda: job.tell(batch_pb.BATCH_STATE_CANCELLING))
            if job.left_seconds() <= 0:
                self._stop.set()
            await asyncio.sleep(WATCH_SECONDS)
            since_renewal += WATCH_SECONDS
            if job.progress.begun:
                await self._quietly(job.tell)
                if since_renewal >= RENEW_SECONDS:
                    since_renewal = 0.0
                    await self._quietly(lambda: self._kit.holds.renew(job, self._undone()))

    async def _quietly(self, step: Callable[[], Awaitable[None]]) -> None:
        # A full disk must not end the watch; what matters is written, and fails, elsewhere.
        with contextlib.suppress(OSError):
            await step()

    def _undone(self) -> list[Chunk]:
        return [chunk for chunk in self._job.progress.chunks.values() if not chunk.done]

    def _span(
        self, name: str, attributes: dict[str, str | int]
    ) -> contextlib.AbstractContextManager[Span]:
        told = {names.BATCH_ID: self._job.batch_id, names.TENANT: self._job.spec.tenant}
        return ending(
            self._kit.telemetry.start(
                name, self._job.spec.traceparent, SpanKind.INTERNAL, {**told, **attributes}
            )
        )
