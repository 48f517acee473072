"""Who works on jobs: looks for those that nobody has, takes them, goes on where they stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from catalog.batching import BatchConfig
from gateway.batches.files import Files
from gateway.batches.job import Job
from gateway.batches.lines import LineFile
from gateway.batches.runner import Kit, Runner
from gateway.batches.store import JobFolder, Jobs
from gateway.batches.words import ENDED

_log = logging.getLogger("gateway.batches")

LOOK_SECONDS = 2.0
# A job whose work failed is taken up again after this.
AGAIN_SECONDS = 5.0
SWEEP_SECONDS = 3_600.0
STOP_SECONDS_MAX = 5.0


class Workers:
    """The jobs that this gateway works on."""

    def __init__(
        self,
        jobs: Jobs,
        files: Files,
        config: BatchConfig,
        *,
        make_kit: Callable[[], Kit],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` gives seconds since 1970."""
        self._jobs = jobs
        self._files = files
        self._config = config
        self._kit = make_kit()
        self._now = now
        self._awake = asyncio.Event()
        self._working: dict[str, asyncio.Task[None]] = {}
        # Jobs known to have ended: not looked at again.
        self._ended: set[str] = set()
        self._loop: asyncio.Task[None] | None = None
        self._swept = 0.0

    def start(self) -> None:
        """Begins to look for work."""
        self._loop = asyncio.create_task(self._look())

    def wake(self) -> None:
        """There is work."""
        self._awake.set()

    async def stop(self) -> None:
        """Lets go of all jobs; whoever starts next goes on with them."""
        tasks = [task for task in (self._loop, *self._working.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)

    async def _look(self) -> None:
        while True:
            self._awake.clear()
            try:
                await self._take_jobs()
                if self._now() - self._swept >= SWEEP_SECONDS:
                    self._swept = self._now()
                    await asyncio.to_thread(self._sweep)
            except OSError as error:
                _log.warning("batches cannot be read", extra={"error_type": type(error).__name__})
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._awake.wait()

    async def _take_jobs(self) -> None:
        for folder in await asyncio.to_thread(self._open_jobs):
            if len(self._working) >= self._config.jobs_max:
                return
            if folder.batch_id in self._working or not await asyncio.to_thread(folder.lock):
                continue
            task = asyncio.create_task(self._work(folder))
            self._working[folder.batch_id] = task

    def _open_jobs(self) -> list[JobFolder]:
        found = []
        for folder in self._jobs.all():
            if folder.batch_id in self._ended or folder.batch_id in self._working:
                continue
            with suppress(OSError):
                if folder.state().state in ENDED:
                    self._ended.add(folder.batch_id)
                else:
                    found.append(folder)
        return found

    async def _work(self, folder: JobFolder) -> None:
        """One job, until it ends, or something keeps it from going on for now."""
        job: Job | None = None
        try:
            spec = await asyncio.to_thread(folder.spec)
            job = Job(folder, spec, LineFile(folder.lines, self._config.line_bytes_max))
            await asyncio.to_thread(job.open)
            await Runner(self._kit, job).run()
        except Exception as error:
            # Types only: texts may hold what was asked.
            _log.error(
                "a batch stopped and is taken up again",
                extra={"batch": folder.batch_id, "error_type": _types(error)},
            )
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            if job is not None:
                await job.log.close()
            folder.unlock()
            self._working.pop(folder.batch_id, None)
            self._awake.set()

    def _sweep(self) -> None:
        """Takes away what is older than `batch_seconds_kept_max`. Blocks."""
        for folder in self._jobs.all():
            with contextlib.suppress(OSError):
                state = folder.state()
                age = self._now() - state.end_time.seconds
                if state.state in ENDED and age > self._config.batch_seconds_kept_max:
                    self._jobs.drop(folder)
        self._files.sweep()


def _types(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(sorted({_types(each) for each in error.exceptions}))
    return type(error).__name__
