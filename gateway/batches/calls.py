"""A chunk by ordinary calls at low priority."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

from opentelemetry.trace import Span
from spendgate.ledger.v1 import entry_pb2, hold_pb2

from catalog.batching import BatchConfig
from chassis.errors import InvalidFields, StatusError
from gateway.batches.gate import Gate
from gateway.batches.items import PAUSE_SECONDS, PAUSE_SECONDS_MAX, Items, passes
from gateway.batches.job import Job
from gateway.batches.lines import Line
from gateway.batches.progress import Chunk
from gateway.batches.results import Result, Results
from gateway.errors import ProviderFailed
from gateway.limits.limits import Limits
from gateway.limits.rules import RateLimited
from gateway.privacy.guard import work_for
from gateway.providers.port import ProviderRefused
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.calling import Caller
from gateway.saga.hold import OwnedHold

# What no other try can mend.
_FINAL = (ProviderRefused, InvalidFields, StatusError)


class Calls:
    """Answers the lines of a chunk, one call each."""

    def __init__(
        self,
        items: Items,
        results: Results,
        *,
        caller: Caller,
        limits: Limits,
        books: Books,
        gate: Gate,
        config: BatchConfig,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`chance` gives a number between two, for pauses."""
        self._chance = chance
        self._items = items
        self._results = results
        self._caller = caller
        self._limits = limits
        self._books = books
        self._gate = gate
        self._config = config

    async def run(self, job: Job, chunk: Chunk, span: Span, stop: asyncio.Event) -> None:
        """Every line of the chunk has its result when this returns, unless `stop` was set."""
        left = iter(job.progress.left(chunk))

        async def one_after_another() -> None:
            for line in left:
                if stop.is_set():
                    return
                await self._item(job, chunk, line, span, stop)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._config.calls_max, len(chunk.lines))):
                tasks.create_task(one_after_another())

    async def _item(
        self, job: Job, chunk: Chunk, number: int, span: Span, stop: asyncio.Event
    ) -> None:
        line = await asyncio.to_thread(job.lines.read, number, job.spec.options)
        failed: list[entry_pb2.Attempt] = []
        tries = 0
        pause = PAUSE_SECONDS
        while not stop.is_set():
            ask = self._items.open(job, line, span)
            try:
                async with self._gate.turn():
                    made = await self._once(job, chunk, line, ask, failed)
            except RateLimited as error:
                await _sleep(stop, error.retry_seconds or pause)
                continue
            except _FINAL as error:
                if not passes(error):
                    await self._give_up(job, line, ask, error, failed)
                    return
            except Exception as error:
                if not passes(error):
                    tries += 1
                    if tries >= self._config.item_tries_max:
                        await self._give_up(job, line, ask, error, failed)
                        return
            else:
                await self._results.keep(job, [made])
                return
            await _sleep(stop, pause * self._chance(0.5, 1))
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _once(
        self, job: Job, chunk: Chunk, line: Line, ask: Ask, failed: list[entry_pb2.Attempt]
    ) -> Result:
        """One call, with the retries that any request has. Failed tries are left in `failed`."""
        if await self._items.prepare(job, ask):
            return await self._results.from_cache(job, line, ask)
        work_for(ask.attribution.tenant)
        candidate = self._items.decided(ask, chunk, line.number)
        # It only gathers what is tried: the chunk's hold stands for it, rows book it.
        tried = OwnedHold(hold_pb2.Hold(), self._books, ask)
        async with self._limits.at_door(ask), self._limits.at_model(ask):
            try:
                attempt, given = await self._caller.complete(ask, tried)
            except ProviderFailed:
                failed.extend(tried.attempts)
                raise
            except ProviderRefused:
                failed.extend(tried.attempts)
                raise
            finally:
                # Its tries end here; what they cost is known when their rows are booked.
                tried.tell(None)
        return await self._results.from_provider(
            job,
            line,
            ask,
            candidate,
            given,
            kind=attempt.kind,
            failed=[*failed, *tried.attempts],
        )

    async def _give_up(
        self,
        job: Job,
        line: Line,
        ask: Ask,
        error: Exception,
        failed: Sequence[entry_pb2.Attempt],
    ) -> None:
        made = await self._results.refused(job, line.number, error, rows=failed, ask=ask)
        await self._results.keep(job, [made])


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
