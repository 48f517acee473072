"""Gathers the calls that wait into one batch.

A batch takes off when there is a free flight; what arrives meanwhile waits and leaves together
when a flight returns. There is no timer: at concurrency 1 nothing waits, under load batches
grow by themselves (docs/decisions/0001-batch-native-hops.md has the measurements).
"""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from chassis.deadline import Deadline, DeadlinePassed

# Places of callers that have gone, kept before they are swept.
GONE_MAX = 64

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class QueueFull(Exception):
    """Too many calls wait already."""

    def __init__(self, waiting_max: int) -> None:
        super().__init__(f"{waiting_max} calls wait already")
        self.waiting_max = waiting_max


class CoalescerClosed(Exception):
    """The coalescer takes no calls any more."""


class BatchBroken(Exception):
    """The other side answered with another number of results than there were items."""


class _Waiting(Generic[ItemT, ResultT]):
    __slots__ = ("deadline", "future", "item", "queued", "size_bytes")

    def __init__(
        self,
        item: ItemT,
        deadline: Deadline,
        future: "asyncio.Future[ResultT]",
        size_bytes: int,
    ) -> None:
        self.item = item
        self.deadline = deadline
        self.future = future
        self.size_bytes = size_bytes
        self.queued = True


class Coalescer(Generic[ItemT, ResultT]):
    """Turns single calls into batches for `send`.

    `send(items, timeout_seconds)` answers one result an item, in order; when it raises, every
    caller of that batch gets a copy of the exception, other batches none. `stamp(item, seconds)`
    is told an item's time left just before it leaves. A caller whose deadline passes or that is
    cancelled while it waits leaves the queue; its neighbours do not notice.
    """

    def __init__(
        self,
        send: Callable[[Sequence[ItemT], float], Awaitable[Sequence[ResultT]]],
        *,
        stamp: Callable[[ItemT, float], None] | None = None,
        size_of: Callable[[ItemT], int] | None = None,
        items_max: int = 128,
        batch_bytes_max: int = 3 * 1024 * 1024,
        waiting_max: int = 10_000,
        flights_max: int = 1,
        linger_seconds: float = 0.0,
    ) -> None:
        """`linger_seconds`: how long the first of a batch waits for more, for work that nobody
        waits for; a full batch leaves at once."""
        self._send = send
        self._linger_seconds = linger_seconds
        self._stamp = stamp
        self._size_of = size_of
        self._items_max = items_max
        self._batch_bytes_max = batch_bytes_max
        self._waiting_max = waiting_max
        self._flights_max = flights_max
        self._queue: deque[_Waiting[ItemT, ResultT]] = deque()
        # Of those in the queue, how many still wait: who has gone takes no room.
        self._waiting_count = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._take_off_planned = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls that have not left yet."""
        return self._waiting_count

    async def call(self, item: ItemT, deadline: Deadline) -> ResultT:
        """The result for `item`.

        Raises: DeadlinePassed, QueueFull, CoalescerClosed, BatchBroken, and what `send` raises.
        """
        if self._closed:
            raise CoalescerClosed
        if self._waiting_count >= self._waiting_max:
            raise QueueFull(self._waiting_max)
        left = deadline.left_seconds()
        if left <= 0:
            raise DeadlinePassed
        loop = asyncio.get_running_loop()
        size = self._size_of(item) if self._size_of else 0
        future: asyncio.Future[ResultT] = loop.create_future()
        waiting = _Waiting(item, deadline, future, size)
        self._queue.append(waiting)
        self._waiting_count += 1
        self._plan_take_off(loop)
        alarm = loop.call_later(left, _expire, future)
        try:
            return await future
        finally:
            alarm.cancel()
            self._leave(waiting)

    async def close(self) -> None:
        """Fails what waits, lets the flights under way end."""
        self._closed = True
        while self._queue:
            waiting = self._pop()
            if not waiting.future.done():
                waiting.future.set_exception(CoalescerClosed())
        if self._flights:
            await asyncio.gather(*self._flights, return_exceptions=True)

    def _plan_take_off(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._flights) >= self._flights_max:
            return
        if self._linger_seconds and self._waiting_count < self._items_max:
            if not self._take_off_planned:
                self._take_off_planned = True
                loop.call_later(self._linger_seconds, self._take_off)
        elif not self._take_off_planned or self._waiting_count == self._items_max:
            # One turn of the loop later, so that callers woken together leave together.
            self._take_off_planned = True
            loop.call_soon(self._take_off)

    def _take_off(self) -> None:
        self._take_off_planned = False
        while self._queue and len(self._flights) < self._flights_max:
            batch = self._next_batch()
            if not batch:
                return
            flight = asyncio.get_running_loop().create_task(self._fly(batch))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._take_off()

    def _next_batch(self) -> list[_Waiting[ItemT, ResultT]]:
        batch: list[_Waiting[ItemT, ResultT]] = []
        size = 0
        while self._queue and len(batch) < self._items_max:
            waiting = self._queue[0]
            if batch and size + waiting.size_bytes > self._batch_bytes_max:
                break
            self._pop()
            if waiting.future.done():  # cancelled or out of time while it waited
                continue
            size += waiting.size_bytes
            batch.append(waiting)
        return batch

    def _pop(self) -> _Waiting[ItemT, ResultT]:
        waiting = self._queue.popleft()
        if waiting.queued:
            waiting.queued = False
            self._waiting_count -= 1
        return waiting

    def _leave(self, waiting: _Waiting[ItemT, ResultT]) -> None:
        """Whoever goes while it is queued makes room at once; its place is swept now and then."""
        if not waiting.queued:
            return
        waiting.queued = False
        self._waiting_count -= 1
        if len(self._queue) > 2 * self._waiting_count + GONE_MAX:
            self._queue = deque(each for each in self._queue if each.queued)

    async def _fly(self, batch: list[_Waiting[ItemT, ResultT]]) -> None:
        longest = 0.0
        for waiting in batch:
            left = max(waiting.deadline.left_seconds(), 0.001)
            longest = max(longest, left)
            if self._stamp is not None:
                self._stamp(waiting.item, left)
        try:
            results = await self._send([waiting.item for waiting in batch], longest)
            if len(results) != len(batch):
                raise BatchBroken
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.future.cancel()
            raise
        except Exception as error:
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(_copy_of(error))
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)


def _copy_of(error: Exception) -> Exception:
    """One a caller: raised from several tasks, a single one would collect all their frames."""
    try:
        return copy.copy(error)
    except Exception:
        return error


def _expire(future: "asyncio.Future[ResultT]") -> None:
    if not future.done():
        future.set_exception(DeadlinePassed())
