"""Group commit: commands that arrive while a transaction runs share the next one.

There is no timer: an idle ledger commits a lone command at once, a busy one commits many
together, and the disk sets the pace.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chassis.deadline import Deadline, DeadlinePassed
from services.ledger.rules.apply import Outcome
from services.ledger.rules.commands import Answer, Command, Reserve
from services.ledger.rules.refusals import BooksUnavailable

_log = logging.getLogger("ledger.writer")

BATCH_COMMANDS_MAX = 256
QUEUE_COMMANDS_MAX = 16_384
CONFLICT_TRIES_MAX = 4

Transact = Callable[[Sequence[Command]], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True, slots=True)
class _Job:
    command: Command
    deadline: Deadline | None
    future: "asyncio.Future[Answer | Exception]"

    def answer(self, outcome: Answer | Exception) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class GroupCommit:
    """The one way of commands to the books. Make it inside the running loop."""

    def __init__(
        self,
        transact: Transact,
        *,
        conflict: type[Exception],
        batch_commands_max: int = BATCH_COMMANDS_MAX,
        queue_commands_max: int = QUEUE_COMMANDS_MAX,
    ) -> None:
        """`transact` must do all commands or, raising, none; raising `conflict` asks for
        another try."""
        self._transact = transact
        self._conflict = conflict
        self._batch_max = batch_commands_max
        self._queue_max = queue_commands_max
        self._queue: deque[_Job] = deque()
        self._work = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run())

    def submit(
        self, command: Command, deadline: Deadline | None = None
    ) -> "asyncio.Future[Answer | Exception]":
        """The outcome of `command`, once it is on disk: an answer or an exception as a value.

        A command is done whatever becomes of who asked for it; only a Reserve that nobody waits
        for any more, or whose deadline passed, is dropped while it is still in the queue.
        """
        future: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()
        job = _Job(command, deadline, future)
        if self._closing or len(self._queue) >= self._queue_max:
            job.answer(BooksUnavailable("stopping" if self._closing else "too many wait"))
            return future
        self._queue.append(job)
        self._work.set()
        return future

    async def close(self) -> None:
        """Does what is queued, then stops."""
        self._closing = True
        self._work.set()
        await self._task

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            # Lets everything that became ready in the same turn of the loop get in line first.
            await asyncio.sleep(0)
            jobs = self._take()
            if jobs:
                await self._commit_or_tell(jobs)
            elif self._closing:
                return
            else:
                self._work.clear()

    def _take(self) -> list[_Job]:
        """The next batch, in order of arrival."""
        jobs: list[_Job] = []
        while self._queue and len(jobs) < self._batch_max:
            job = self._queue.popleft()
            if isinstance(job.command, Reserve):
                if job.future.cancelled():
                    continue
                if job.deadline is not None and job.deadline.passed:
                    job.answer(DeadlinePassed())
                    continue
            jobs.append(job)
        return jobs

    async def _commit_or_tell(self, jobs: list[_Job]) -> None:
        """Commits; whatever goes wrong here, nobody waits for ever and the writer lives on."""
        try:
            await self._commit(jobs)
        except Exception as error:
            _log.error("the writer stumbled", extra={"error_type": type(error).__name__})
            for job in jobs:
                job.answer(error)

    async def _commit(self, jobs: list[_Job]) -> None:
        """Commits a batch. When a command spoils it, halves it until that one stands alone."""
        try:
            outcomes = await self._try([job.command for job in jobs])
        except BooksUnavailable as error:
            for job in jobs:
                job.answer(error)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].answer(error)
                return
            _log.error(
                "a command spoiled its transaction; its neighbours are tried again without it",
                extra={"commands": len(jobs), "error_type": type(error).__name__},
            )
            half = len(jobs) // 2
            await self._commit(jobs[:half])
            await self._commit(jobs[half:])
        else:
            for job, outcome in zip(jobs, outcomes, strict=True):
                job.answer(outcome)

    async def _try(self, commands: list[Command]) -> Sequence[Outcome]:
        for _ in range(CONFLICT_TRIES_MAX):
            try:
                return await self._transact(commands)
            except self._conflict:
                continue
        raise BooksUnavailable("another ledger keeps changing the same balances")
