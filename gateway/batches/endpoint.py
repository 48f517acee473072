"""A chunk by its provider's own batch endpoint, at batch price."""

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import aclosing

from opentelemetry.trace import Span
from spendgate.ledger.v1 import entry_pb2

from catalog.batching import BatchConfig
from chassis.deadline import Deadline
from gateway.batches.items import Items
from gateway.batches.job import Job
from gateway.batches.log import EventKind
from gateway.batches.planning import chunk_path
from gateway.batches.progress import Chunk
from gateway.batches.results import Result, Results
from gateway.errors import ProviderFailed
from gateway.providers.batch_port import BatchItemResult, BatchProvider, BatchStage
from gateway.providers.port import Billed, ProviderError, ProviderRefused, ProviderUnavailable
from gateway.saga import attempts

ASK_SECONDS_MAX = 60.0
MOVE_SECONDS_MAX = 900.0
WINDOW = 32


class Endpoint:
    """Hands chunks over and takes their results in."""

    def __init__(
        self,
        items: Items,
        results: Results,
        *,
        providers: Mapping[str, BatchProvider],
        config: BatchConfig,
    ) -> None:
        self._items = items
        self._results = results
        self._providers = providers
        self._config = config

    async def run(self, job: Job, chunk: Chunk, span: Span, stop: asyncio.Event) -> bool:
        """Takes in all that the provider answers. False: it would not have the chunk, which is
        to be called for. `stop` set, the provider is asked to end early; what it has done until
        then is paid, and taken in.
        """
        provider = self._providers.get(chunk.provider)
        if provider is None:
            return False  # the fleet file has changed since
        if not chunk.provider_batch_id and not await self._submit(job, chunk, provider, stop):
            return False
        if not await self._wait(job, chunk, provider, stop):
            return False
        await self._collect(job, chunk, provider, span)
        with contextlib.suppress(OSError):
            chunk_path(job, chunk.number).unlink(missing_ok=True)
        return True

    async def _submit(
        self, job: Job, chunk: Chunk, provider: BatchProvider, stop: asyncio.Event
    ) -> bool:
        """The provider has the chunk, once. Its name there is in the log before it is told: after
        a crash, or an answer that was lost, it is looked for and not handed over again."""
        name = f"{job.batch_id}-{chunk.number}"
        maybe_there = bool(chunk.name)
        if not maybe_there:
            await job.note(EventKind.SUBMITTING, chunk=chunk.number, name=name)
        while True:
            if stop.is_set() and not maybe_there:
                return False
            try:
                if maybe_there:
                    found = await provider.find(name, Deadline.after(ASK_SECONDS_MAX))
                    if found is not None:
                        await self._submitted(job, chunk, found)
                        return True
                    if stop.is_set():
                        return False
                deadline = Deadline.after(MOVE_SECONDS_MAX)
                made = await provider.submit(chunk_path(job, chunk.number), name, deadline)
            except ProviderRefused:
                return False
            except ProviderUnavailable as error:
                maybe_there = maybe_there or error.billed is Billed.UNKNOWN
                if not error.retryable_here and not maybe_there:
                    return False
                await asyncio.sleep(error.retry_after_seconds or self._config.poll_seconds)
                continue
            await self._submitted(job, chunk, made)
            return True

    async def _submitted(self, job: Job, chunk: Chunk, provider_batch_id: str) -> None:
        await job.note(EventKind.SUBMITTED, chunk=chunk.number, provider_batch_id=provider_batch_id)

    async def _wait(
        self, job: Job, chunk: Chunk, provider: BatchProvider, stop: asyncio.Event
    ) -> bool:
        """Until the provider has ended with it. False: it refused the whole."""
        asked = False
        while True:
            try:
                if stop.is_set() and not asked:
                    await provider.cancel(chunk.provider_batch_id, Deadline.after(ASK_SECONDS_MAX))
                    asked = True
                stage = await provider.look(
                    chunk.provider_batch_id, Deadline.after(ASK_SECONDS_MAX)
                )
            except ProviderRefused:
                # It ended meanwhile, or is not known any more; a look tells which.
                asked = True
                stage = await self._last_look(chunk, provider)
            except ProviderUnavailable:
                stage = BatchStage.UNDER_WAY
            if stage is not BatchStage.UNDER_WAY:
                return stage is BatchStage.ENDED
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.poll_seconds):
                    await (asyncio.sleep(self._config.poll_seconds) if asked else stop.wait())

    async def _last_look(self, chunk: Chunk, provider: BatchProvider) -> BatchStage:
        try:
            return await provider.look(chunk.provider_batch_id, Deadline.after(ASK_SECONDS_MAX))
        except ProviderError:
            return BatchStage.UNDER_WAY

    async def _collect(self, job: Job, chunk: Chunk, provider: BatchProvider, span: Span) -> None:
        """Takes results in, again from the start where the line breaks: what is there stays."""
        while True:
            try:
                deadline = Deadline.after(MOVE_SECONDS_MAX)
                async with aclosing(provider.results(chunk.provider_batch_id, deadline)) as found:
                    window: list[BatchItemResult] = []
                    async for result in found:
                        window.append(result)
                        if len(window) >= WINDOW:
                            await self._take(job, chunk, window, span)
                            window = []
                    await self._take(job, chunk, window, span)
            except ProviderError:
                await asyncio.sleep(self._config.poll_seconds)
            else:
                return

    async def _take(
        self, job: Job, chunk: Chunk, window: list[BatchItemResult], span: Span
    ) -> None:
        fresh: dict[int, BatchItemResult] = {}
        for result in window:
            line = int(result.item_id) if result.item_id.isdecimal() else 0
            if line in chunk.lines and line not in job.progress.answered and not result.lost:
                fresh[line] = result
        taken: list[Result] = await asyncio.gather(
            *(self._result(job, chunk, line, result, span) for line, result in fresh.items())
        )
        await self._results.keep(job, taken)

    async def _result(
        self, job: Job, chunk: Chunk, number: int, result: BatchItemResult, span: Span
    ) -> Result:
        line = await asyncio.to_thread(job.lines.read, number, job.spec.options)
        ask = self._items.open(job, line, span)
        # For the count, where the provider tells no tokens, and for the place in the cache.
        await self._items.recall(job, ask)
        candidate = self._items.decided(ask, chunk, number)
        kind = entry_pb2.ENTRY_KIND_BATCH_ITEM
        if result.answer is not None:
            return await self._results.from_provider(
                job, line, ask, candidate, result.answer, kind=kind
            )
        found = result.error or ProviderRefused(chunk.provider, http_status=0)
        failed = attempts.failed(
            ask,
            candidate,
            number=1,
            entry_id="",
            reason=str(found.reason),
            kind=kind,
            may_be_billed=found.billed is Billed.UNKNOWN,
        )
        error: Exception = found
        if not isinstance(found, ProviderRefused):
            error = ProviderFailed(chunk.provider, str(found.reason), 1)
        return await self._results.refused(job, number, error, rows=[failed], ask=ask)
