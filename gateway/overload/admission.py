"""Who may begin, who waits, who is sent away before any work is done.

A request holds a place while the fleet works for it, and none while it waits for a provider or
for another request: those take seconds and no work of ours. Coming back from a provider it takes
its place at once, beyond the limit if it must: its answer is paid for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from opentelemetry import metrics

from chassis import names
from chassis.deadline import Deadline, DeadlinePassed
from gateway.errors import Overloaded
from gateway.overload.limit import AdaptiveLimit
from gateway.overload.shares import FairQueue, Rooms

RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 30.0
_meter = metrics.get_meter("spendgate")
_shed = _meter.create_counter(
    names.METRIC_SHED, unit="{request}", description="Requests sent away before any work, by why."
)
_limit = _meter.create_gauge(
    names.METRIC_WORK_LIMIT, unit="{request}", description="Requests worked on at once, at most."
)
_waited = _meter.create_histogram(
    names.METRIC_ADMISSION_WAIT,
    unit="s",
    description="From a request's arrival to the beginning of its work.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)


class Place:
    """A request's place among those that are worked on."""

    def __init__(self, of: "Admission | None", tenant: str) -> None:
        self._of = of
        self._tenant = tenant
        self._away = 0
        self._began = of.clock() if of is not None else 0.0
        self._worked_seconds = 0.0
        self._measured = False

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While the block runs the request only waits, and somebody else has its place."""
        self._leave()
        try:
            yield
        finally:
            self._come_back()

    @contextmanager
    def worked(self) -> Iterator[None]:
        """Within lent(): while the block runs there is work again, for a request that waited."""
        self._come_back()
        try:
            yield
        finally:
            self._leave()

    def end(self) -> None:
        """The request has ended; what goes on in its name has no place."""
        of, self._of = self._of, None
        if of is not None and not self._away:
            of.gone(self._tenant)

    def measured(self) -> None:
        """The work up to here is what the limit learns from: all of it but writing the books."""
        if self._of is None or self._measured:
            return
        self._measured = True
        seconds = self._worked_seconds
        if not self._away:
            seconds += self._of.clock() - self._began
        self._of.learn(seconds)

    def _leave(self) -> None:
        if self._of is None:
            return
        self._away += 1
        if self._away == 1:
            self._worked_seconds += self._of.clock() - self._began
            self._of.gone(self._tenant)

    def _come_back(self) -> None:
        if self._of is None:
            return
        self._away -= 1
        if self._away == 0:
            self._began = self._of.clock()
            self._of.back(self._tenant)


# What is asked on behalf of a request that was let in needs no place of its own.
NO_PLACE = Place(None, "")


class Admission:
    """The places, the waiting room before them, and the room for all that is under way."""

    def __init__(
        self,
        limit: AdaptiveLimit,
        *,
        requests_max: int,
        waiting_max: int,
        wait_seconds_max: float,
        weights: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds that never go back."""
        self.clock = clock
        self._limit = limit
        self._requests_max = requests_max
        self._wait_seconds_max = wait_seconds_max
        self._rooms = Rooms(requests_max, weights)
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(waiting_max, weights)
        self._at_work = 0
        # Requests begun a second, of late: how soon a place may be free.
        self._begun_a_second = 0.0
        self._begun_at = clock()

    @property
    def under_way(self) -> int:
        """Requests let in and not ended."""
        return self._rooms.taken

    @property
    def at_work(self) -> int:
        """Those of them that hold a place."""
        return self._at_work

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return self._queue.waiting

    def take_over(self, weights: Mapping[str, int]) -> None:
        """Tenants weigh this from now on, those that wait already too."""
        self._rooms.take_over(weights)
        self._queue.take_over(weights)

    @asynccontextmanager
    async def admitted(self, tenant: str, deadline: Deadline) -> AsyncIterator[Place]:
        """A place while the block runs. Raises: Overloaded, before anything was done;
        DeadlinePassed while waiting."""
        if not self._rooms.enter(tenant):
            raise self._refused("FULL")
        try:
            arrived = self.clock()
            await self._turn(tenant, deadline)
            _waited.record(self.clock() - arrived)
            place = Place(self, tenant)
            try:
                yield place
            finally:
                place.end()
        finally:
            self._rooms.leave(tenant)

    def learn(self, seconds: float) -> None:
        """A request's own work took so long."""
        before = self._limit.value
        self._limit.note(seconds, self._at_work)
        if self._limit.value != before:
            _limit.set(self._limit.value)
            self._fill()

    def gone(self, tenant: str) -> None:
        """A place is free."""
        self._at_work -= 1
        self._queue.ended(tenant)
        self._fill()

    def back(self, tenant: str) -> None:
        """A place is taken, free or not."""
        self._at_work += 1
        self._queue.started(tenant)

    async def _turn(self, tenant: str, deadline: Deadline) -> None:
        """Takes a place, now or after waiting for it."""
        if self._at_work < self._limit.value and not self._queue.waiting:
            self._begin(tenant)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone = self._queue.put(tenant, turn)
        if gone is not None and not gone.done():
            gone.set_exception(self._refused("QUEUE_FULL"))
        try:
            async with asyncio.timeout(min(self._wait_seconds_max, deadline.left_seconds())):
                await turn
        except TimeoutError:
            if not self._gave_up(tenant, turn):
                return
            error = DeadlinePassed() if deadline.passed else self._refused("WAITED")
            raise error from None
        except asyncio.CancelledError:
            if not self._gave_up(tenant, turn):
                self.gone(tenant)
            raise

    def _gave_up(self, tenant: str, turn: "asyncio.Future[None]") -> bool:
        """Waits no longer. False: the place was given at that very moment."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            return False
        self._queue.remove(tenant, turn)
        return True

    def _begin(self, tenant: str) -> None:
        self.back(tenant)
        now = self.clock()
        # Exponentially weighted with a second's memory.
        gap = max(now - self._begun_at, 1e-6)
        keep = max(0.0, 1.0 - gap)
        self._begun_a_second = keep * self._begun_a_second + (1 - keep) / gap
        self._begun_at = now

    def _fill(self) -> None:
        """Gives free places to who waits."""
        while self._at_work < self._limit.value and (found := self._queue.pop()) is not None:
            tenant, turn = found
            if not turn.done():
                self._begin(tenant)
                turn.set_result(None)

    def _refused(self, why: str) -> Overloaded:
        _shed.add(1, {names.ERROR_TYPE: why})
        seconds = self._queue.waiting / max(self._begun_a_second, 1.0)
        seconds = min(max(seconds, RETRY_SECONDS_MIN), RETRY_SECONDS_MAX)
        return Overloaded(self._requests_max, seconds)
