"""The money of a job: held for each chunk from the plan to the chunk's end.

A hold lasts an hour, a job may last a day: so a chunk's hold is taken anew, under the next number,
before the one before is given back. What is held is the worst case at the standard price: what a
provider's batch leaves undone is called for the ordinary way. Items are booked as rows of their own
while the chunk is held, so the budget is short of nothing at any moment; with the chunk's end its
hold goes back.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from google.protobuf import duration_pb2
from spendgate.ledger.v1 import hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis.deadline import Deadline
from gateway.batches.items import PAUSE_SECONDS, PAUSE_SECONDS_MAX, passes
from gateway.batches.job import Job
from gateway.batches.log import Event, EventKind
from gateway.batches.planning import attribution_of, tokens_of
from gateway.batches.progress import Chunk
from gateway.batches.words import fixed_id
from gateway.errors import from_service
from gateway.ports import Services
from gateway.saga.books import Books

HOLD_SECONDS = 3_600
# Two renewals may fail.
RENEW_SECONDS = 1_000.0
RESERVE_SECONDS_MAX = 10.0
RESERVED_AT_ONCE = 64


class ChunkHolds:
    """Takes, renews and gives back."""

    def __init__(self, services: Services, books: Books) -> None:
        self._services = services
        self._books = books

    async def take(self, job: Job, chunks: Sequence[Chunk]) -> None:
        """Holds for all of them, or for none. Waits for a ledger that is away.

        Raises: what refuses it, under the gateway's domain.
        """
        try:
            for start in range(0, len(chunks), RESERVED_AT_ONCE):
                window = chunks[start : start + RESERVED_AT_ONCE]
                await asyncio.gather(*(self._patiently(job, chunk) for chunk in window))
        except BaseException:
            for chunk in chunks:
                self.release(job, chunk)
            raise

    async def renew(self, job: Job, chunks: Sequence[Chunk]) -> None:
        """Takes their holds anew, then gives the ones before back.

        Where the budget has no room for both at once, the one before goes back first. What cannot
        be held at all is spent all the same where a provider has it under way: then the charge
        says so in the books, as overage.
        """
        if not chunks:
            return
        await job.note_all(
            [
                Event(EventKind.HELD, {"chunk": chunk.number, "generation": chunk.generation + 1})
                for chunk in chunks
            ]
        )
        for chunk in chunks:
            try:
                await self._reserve(job, chunk)
            except Exception as error:
                if passes(error):
                    continue  # the one before lasts until the next renewal
                await self._swap(job, chunk)
            else:
                # And the one before that: a crash may have left it.
                for back in (1, 2):
                    self._release(job, chunk, chunk.generation - back)

    def release(self, job: Job, chunk: Chunk) -> None:
        """Gives back what is held for a chunk, without waiting."""
        chunk.held_nanos = 0
        self._release(job, chunk, chunk.generation)
        self._release(job, chunk, chunk.generation - 1)

    async def _swap(self, job: Job, chunk: Chunk) -> None:
        deadline = Deadline.after(RESERVE_SECONDS_MAX)
        for item in _releases(job, chunk, chunk.generation - 1):
            with suppress(Exception):
                await self._services.release(item, deadline)
        try:
            await self._reserve(job, chunk)
        except Exception:
            chunk.held_nanos = 0

    async def _patiently(self, job: Job, chunk: Chunk) -> None:
        pause = PAUSE_SECONDS
        while True:
            try:
                await self._reserve(job, chunk)
            except Exception as error:
                if not passes(error) or job.left_seconds() <= pause:
                    raise
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _reserve(self, job: Job, chunk: Chunk) -> None:
        deadline = Deadline.after(RESERVE_SECONDS_MAX)
        held: list[hold_pb2.Hold] = []
        for place, (who, tokens) in enumerate(chunk.worst):
            item = ledger_pb.ReserveItem(
                traceparent=job.spec.traceparent,
                hold_id=_hold_id(job, chunk, chunk.generation, place),
                request_id=f"{job.batch_id}-chunk-{chunk.number}",
                attribution=attribution_of(who),
                worst_cases=[
                    ledger_pb.WorstCase(
                        model=chunk.model, usage=tokens_of(tokens), provider=chunk.provider
                    )
                ],
                hold_duration=duration_pb2.Duration(seconds=HOLD_SECONDS),
            )
            try:
                held.append(await self._services.reserve(item, deadline))
            except Exception as error:
                raise from_service("ledger", error) from None
        chunk.held_nanos = sum(hold.held_nanos for hold in held)

    def _release(self, job: Job, chunk: Chunk, generation: int) -> None:
        for item in _releases(job, chunk, generation):
            self._books.release_soon(item)


def _releases(job: Job, chunk: Chunk, generation: int) -> list[ledger_pb.ReleaseItem]:
    if generation < 1:
        return []
    return [
        ledger_pb.ReleaseItem(
            hold_id=_hold_id(job, chunk, generation, place), tenant=job.spec.tenant
        )
        for place in range(len(chunk.worst))
    ]


def _hold_id(job: Job, chunk: Chunk, generation: int, place: int) -> str:
    return fixed_id(job.batch_id, "chunk", chunk.number, "hold", generation, place)
