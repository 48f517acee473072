"""Runs a batch's counts: small ones at once, big ones on threads, each within its deadline.

tiktoken lets go of the GIL while it counts, so threads do help with long texts. With short ones
they hurt: two threads that hand the GIL back and forth starved the loop for 60 ms. So what is
small is counted where it is, what is middling has one thread, and only bulk has several; bulk
cannot hold up the others that way either.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from chassis.deadline import Deadline, DeadlinePassed
from services.tokenizer.engines.port import Checkpoint

ResultT = TypeVar("ResultT")

# 8 KiB of English take 0.2 ms, of the worst text (blanks) 1.3 ms. The loop gets a turn after
# each such slice.
SLICE_BYTES_MAX: Final = 8 * 1024
# A batch counts so much on the loop (English: 1.7 ms in slices); the rest goes to a thread.
INLINE_BYTES_MAX: Final = 64 * 1024
# Items that share one trip to the middle thread; a bigger one is bulk and goes alone.
GROUP_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Job(Generic[ResultT]):
    """One item's work. `work` is given a checkpoint to call now and then; it may raise."""

    size_bytes: int
    deadline: Deadline
    work: Callable[[Checkpoint], ResultT]


class _Group(Generic[ResultT]):
    """Jobs that one thread does in order, and a way to tell it that nobody waits any more."""

    def __init__(self, jobs: Sequence[Job[ResultT]], places: list[int], *, bulk: bool) -> None:
        self.jobs = jobs
        self.places = places
        self.bulk = bulk
        self.abandoned = False

    def run(self) -> list[ResultT | Exception]:
        return [self._run_one(self.jobs[place]) for place in self.places]

    def _run_one(self, job: Job[ResultT]) -> ResultT | Exception:
        def checkpoint() -> None:
            if self.abandoned or job.deadline.passed:
                raise DeadlinePassed

        return _outcome(job, checkpoint)


class Workers:
    """One thread for middling work and `bulk_threads_max` for bulk.

    `close` when no call is under way.
    """

    def __init__(self, bulk_threads_max: int) -> None:
        self._middle = ThreadPoolExecutor(1, thread_name_prefix="count-middle")
        self._bulk = ThreadPoolExecutor(bulk_threads_max, thread_name_prefix="count-bulk")

    async def run(self, jobs: Sequence[Job[ResultT]]) -> list[ResultT | Exception]:
        """One result or exception a job, in order; DeadlinePassed where the time was up first.

        Returns no later than the last deadline, whatever the threads are busy with. Cancelled or
        late, it leaves no thread busy for longer than it takes to count one part.
        """
        inline, groups = _plan(jobs)
        outcomes: list[ResultT | Exception | None] = [None] * len(jobs)
        loop = asyncio.get_running_loop()
        flying = {
            loop.run_in_executor(self._bulk if group.bulk else self._middle, group.run): group
            for group in groups
        }
        try:
            await _run_inline(jobs, inline, outcomes)
            await _gather(jobs, flying, outcomes)
        finally:
            for future, group in flying.items():
                group.abandoned = True
                future.cancel()
        return [DeadlinePassed() if outcome is None else outcome for outcome in outcomes]

    async def close(self) -> None:
        """Waits for the threads to end."""
        for threads in (self._middle, self._bulk):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)


def _plan(jobs: Sequence[Job[ResultT]]) -> tuple[list[int], list[_Group[ResultT]]]:
    """(places to run inline, groups for threads)."""
    inline: list[int] = []
    groups: list[_Group[ResultT]] = []
    middle: _Group[ResultT] | None = None
    inline_bytes = middle_bytes = 0
    for place, job in enumerate(jobs):
        size = job.size_bytes
        if size <= SLICE_BYTES_MAX and inline_bytes + size <= INLINE_BYTES_MAX:
            inline_bytes += size
            inline.append(place)
        elif size > GROUP_BYTES_MAX:
            groups.append(_Group(jobs, [place], bulk=True))
        else:
            if middle is None or middle_bytes + size > GROUP_BYTES_MAX:
                middle, middle_bytes = _Group(jobs, [], bulk=False), 0
                groups.append(middle)
            middle.places.append(place)
            middle_bytes += size
    return inline, groups


async def _run_inline(
    jobs: Sequence[Job[ResultT]], places: list[int], outcomes: list[ResultT | Exception | None]
) -> None:
    slice_bytes = 0
    for place in places:
        job = jobs[place]
        if slice_bytes and slice_bytes + job.size_bytes > SLICE_BYTES_MAX:
            slice_bytes = 0
            await asyncio.sleep(0)
        slice_bytes += job.size_bytes

        def checkpoint(deadline: Deadline = job.deadline) -> None:
            if deadline.passed:
                raise DeadlinePassed

        outcomes[place] = _outcome(job, checkpoint)


async def _gather(
    jobs: Sequence[Job[ResultT]],
    flying: "dict[asyncio.Future[list[ResultT | Exception]], _Group[ResultT]]",
    outcomes: list[ResultT | Exception | None],
) -> None:
    """Fills in what the threads answer, until all have or nobody's time is left."""
    if not flying:
        return
    places = [place for group in flying.values() for place in group.places]
    last = max(jobs[place].deadline.left_seconds() for place in places)
    done, _ = await asyncio.wait(flying, timeout=max(last, 0.0))
    for future in done:
        for place, outcome in zip(flying[future].places, future.result(), strict=True):
            outcomes[place] = outcome


def _outcome(job: Job[ResultT], checkpoint: Checkpoint) -> ResultT | Exception:
    try:
        checkpoint()
        return job.work(checkpoint)
    except Exception as error:
        return error
