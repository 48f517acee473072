import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from chassis.deadline import Deadline, DeadlinePassed
from services.tokenizer.engines.port import Checkpoint
from services.tokenizer.workers import (
    GROUP_BYTES_MAX,
    INLINE_BYTES_MAX,
    SLICE_BYTES_MAX,
    Job,
    Workers,
)

BIG = SLICE_BYTES_MAX + 1


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(bulk_threads_max=2)
    yield workers
    await workers.close()


def job(
    size_bytes: int, work: Callable[[Checkpoint], object], seconds: float = 60.0
) -> Job[object]:
    return Job(size_bytes, Deadline.after(seconds), work)


async def test_outcomes_come_in_the_jobs_order(workers: Workers) -> None:
    """Small and big, on the loop or on threads: every job gets its own outcome."""
    sizes = [1, BIG, 5, BIG * 10, SLICE_BYTES_MAX, 0, *[4096] * 40, BIG]
    jobs = [job(size, lambda _, place=place: place) for place, size in enumerate(sizes)]
    assert await workers.run(jobs) == list(range(len(sizes)))


async def test_big_jobs_leave_the_loop_alone(workers: Workers) -> None:
    """Big jobs, and small ones beyond what a batch may count on the loop, run on threads."""
    here = threading.get_ident()
    small = [job(4096, lambda _: threading.get_ident()) for _ in range(40)]
    big = [job(BIG, lambda _: threading.get_ident()) for _ in range(3)]
    ran_on = await workers.run([*small, *big])
    on_loop = INLINE_BYTES_MAX // 4096
    assert ran_on[:on_loop] == [here] * on_loop
    assert here not in ran_on[on_loop:]
    assert len(set(ran_on[on_loop:])) == 1


async def test_bulk_does_not_hold_up_the_rest(workers: Workers) -> None:
    """While every bulk thread is busy, what is smaller is still counted."""
    release = threading.Event()
    bulk = [job(GROUP_BYTES_MAX + 1, lambda _: release.wait()) for _ in range(4)]
    stuck = asyncio.create_task(workers.run(bulk))
    try:
        await asyncio.sleep(0)
        assert await workers.run([job(BIG, lambda _: "middle"), job(1, lambda _: "small")]) == [
            "middle",
            "small",
        ]
        assert not stuck.done()
    finally:
        release.set()
    assert await stuck == [True] * 4


async def test_the_loop_turns_between_slices(workers: Workers) -> None:
    """Other tasks get their turn while a batch is counted on the loop."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = await workers.run([job(4096, lambda _: turns) for _ in range(16)])
    task.cancel()
    assert len(set(seen)) == 8  # two jobs of 4 KiB a slice


async def test_one_bad_job_does_not_fail_its_neighbours(workers: Workers) -> None:
    """An exception is the outcome of the job that raised it."""

    def fail(_: Checkpoint) -> object:
        raise ValueError

    outcomes = await workers.run(
        [job(1, fail), job(1, lambda _: 1), job(BIG, fail), job(BIG, lambda _: 2)]
    )
    assert [type(outcome) for outcome in outcomes] == [ValueError, int, ValueError, int]


async def test_a_passed_deadline_starts_no_work(workers: Workers) -> None:
    """A job whose time is up is answered so and never started."""
    started: list[int] = []
    outcomes = await workers.run(
        [
            job(1, started.append, seconds=-1),
            job(BIG, started.append, seconds=-1),
            job(1, lambda _: "in time"),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [DeadlinePassed, DeadlinePassed, str]
    assert started == []


async def test_a_stuck_thread_holds_nobody_beyond_the_deadline(workers: Workers) -> None:
    """The batch is answered when the last deadline passes, though a thread is still busy."""
    release = threading.Event()
    try:
        outcomes = await workers.run(
            [job(BIG, lambda _: release.wait(), seconds=0.05), job(1, lambda _: "done")]
        )
    finally:
        release.set()
    assert [type(outcome) for outcome in outcomes] == [DeadlinePassed, str]


async def test_work_ends_at_its_checkpoint_when_nobody_waits(workers: Workers) -> None:
    """A cancelled batch stops its threads at the next checkpoint."""
    began, ended = threading.Event(), threading.Event()

    def count_on(checkpoint: Checkpoint) -> object:
        began.set()
        try:
            while True:
                checkpoint()
        finally:
            ended.set()

    task = asyncio.create_task(workers.run([job(BIG, count_on)]))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 10)


async def test_an_item_out_of_time_stops_at_its_checkpoint(workers: Workers) -> None:
    """A job that outlives its deadline is stopped, on the loop as on a thread."""

    def count_on(checkpoint: Checkpoint) -> object:
        while True:
            checkpoint()

    outcomes = await workers.run([job(1, count_on, 0.02), job(BIG, count_on, 0.02)])
    assert [type(outcome) for outcome in outcomes] == [DeadlinePassed, DeadlinePassed]
