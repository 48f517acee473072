"""The coalescer on a send of the test's own: what leaves when, and who gets what."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from google.rpc import status_pb2

from chassis.coalesce import BatchBroken, Coalescer, CoalescerClosed, QueueFull
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import RemoteError


class Sends:
    """A send that answers `item * 2` for each item, when the test lets the batch land."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.seconds: list[float] = []
        self.failures: dict[int, Exception] = {}
        self._held = held
        self._landing: list[asyncio.Event] = []
        self._took_off = asyncio.Event()

    async def __call__(self, items: Sequence[int], timeout_seconds: float) -> Sequence[int]:
        number = len(self.batches)
        self.batches.append(list(items))
        self.seconds.append(timeout_seconds)
        landing = asyncio.Event()
        self._landing.append(landing)
        self._took_off.set()
        if self._held:
            await landing.wait()
        else:
            await asyncio.sleep(0)
        if number in self.failures:
            raise self.failures[number]
        return [item * 2 for item in items]

    async def flying(self, number: int) -> None:
        """Waits until that many batches have taken off."""
        while len(self.batches) < number:
            self._took_off.clear()
            await self._took_off.wait()

    def land(self, number: int) -> None:
        self._landing[number].set()


def soon() -> Deadline:
    return Deadline.after(60)


def calls(coalescer: Coalescer[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(coalescer.call(item, soon())) for item in items]


async def outcomes(tasks: Sequence[asyncio.Task[int]]) -> list[Any]:
    # A caller that nobody answers would hang; this ends the test instead.
    async with asyncio.timeout(10):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def turns(count: int = 10) -> None:
    """Lets the loop turn, without any time having to pass."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_64_callers_get_what_they_get_one_by_one():
    """Each of 64 concurrent callers gets the answer to its own item, call after call."""
    sends = Sends()
    coalescer = Coalescer(sends)
    one_by_one = [await coalescer.call(item, soon()) for item in range(64)]

    async def caller(number: int) -> list[int]:
        return [await coalescer.call(number + 64 * turn, soon()) for turn in range(5)]

    together = await asyncio.gather(*(caller(number) for number in range(64)))
    assert [answers[0] for answers in together] == one_by_one == [2 * n for n in range(64)]
    assert together == [[2 * (n + 64 * turn) for turn in range(5)] for n in range(64)]
    assert len(sends.batches) < 64 + 64 * 5 / 2  # they did leave together
    assert sorted(item for batch in sends.batches[64:] for item in batch) == list(range(320))


async def test_callers_woken_together_leave_together():
    """What is called in one turn of the loop is one batch, in the order of the calls."""
    sends = Sends()
    coalescer = Coalescer(sends)
    await outcomes(calls(coalescer, range(10)))
    assert sends.batches == [list(range(10))]


async def test_what_waits_leaves_when_the_flight_returns():
    """While a batch is under way nothing leaves; when it lands, all that waits leaves at once."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    first = calls(coalescer, [1])
    await sends.flying(1)
    waiting = calls(coalescer, [2, 3]) + calls(coalescer, [4])
    await turns()
    assert sends.batches == [[1]]
    sends.land(0)
    await sends.flying(2)
    assert sends.batches == [[1], [2, 3, 4]]
    sends.land(1)
    assert await outcomes(first + waiting) == [2, 4, 6, 8]


async def test_no_timer_holds_a_batch_back(monkeypatch: pytest.MonkeyPatch):
    """A lone call leaves in a turn or two of the loop: the only alarm set is its own deadline."""
    loop = asyncio.get_running_loop()
    alarms: list[float] = []
    call_later, call_at = loop.call_later, loop.call_at

    def later(delay: float, *args: Any, **more: Any) -> Any:
        alarms.append(delay)
        return call_later(delay, *args, **more)

    def at(when: float, *args: Any, **more: Any) -> Any:
        alarms.append(when - loop.time())
        return call_at(when, *args, **more)

    monkeypatch.setattr(loop, "call_later", later)
    monkeypatch.setattr(loop, "call_at", at)
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    task = asyncio.create_task(coalescer.call(1, soon()))
    await turns(3)
    assert sends.batches == [[1]]
    assert all(delay > 50 for delay in alarms)
    sends.land(0)
    assert await task == 2


async def test_a_batch_has_its_limits():
    """A batch is at most so many items and bytes; an item beyond the bytes goes alone."""
    sends = Sends()
    coalescer = Coalescer(sends, size_of=lambda item: item, items_max=4, batch_bytes_max=100)
    await outcomes(calls(coalescer, [1, 2, 3, 4, 5, 60, 60, 500, 1]))
    assert sends.batches == [[1, 2, 3, 4], [5, 60], [60], [500], [1]]


async def test_several_flights_fly_at_once():
    """With two flights allowed, a second batch need not wait for the first."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends, items_max=1, flights_max=2)
    tasks = calls(coalescer, [1, 2, 3])
    await sends.flying(2)
    await turns()
    assert sends.batches == [[1], [2]]
    sends.land(1)
    await sends.flying(3)
    sends.land(0)
    sends.land(2)
    assert await outcomes(tasks) == [2, 4, 6]


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("no"),
        RemoteError(status_pb2.Status(code=14, message="away")),
        DeadlinePassed(),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failing_send_fails_its_own_batch_only(failure: Exception):
    """Every caller of the failed batch gets that error as its own; batches around it none."""
    sends = Sends()
    sends.failures[1] = failure
    coalescer = Coalescer(sends, items_max=2)
    found = await outcomes(calls(coalescer, range(6)))
    assert found[:2] + found[4:] == [0, 2, 8, 10]
    assert [type(each) for each in found[2:4]] == [type(failure)] * 2
    assert [vars(each) for each in found[2:4]] == [vars(failure)] * 2
    assert found[2] is not found[3]  # each raises with a traceback of its own


async def test_an_answer_of_the_wrong_length_fails_the_batch():
    """With a result too few nobody can tell whose is whose, so nobody gets one."""

    async def send(items: Sequence[int], _: float) -> Sequence[int]:
        return items[1:]

    found = await outcomes(calls(Coalescer(send), [1, 2, 3]))
    assert [type(each) for each in found] == [BatchBroken] * 3


async def test_a_deadline_is_kept_while_waiting_and_while_flying():
    """A caller is answered when its time is up, wherever its item is; its neighbours go on."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    flying = asyncio.create_task(coalescer.call(1, Deadline.after(0.02)))
    neighbour = asyncio.create_task(coalescer.call(2, soon()))
    await sends.flying(1)
    waiting = asyncio.create_task(coalescer.call(3, Deadline.after(0.02)))
    patient = asyncio.create_task(coalescer.call(4, soon()))
    for late in (flying, waiting):
        with pytest.raises(DeadlinePassed):
            await late
    assert not neighbour.done()
    sends.land(0)
    await sends.flying(2)
    sends.land(1)
    assert await outcomes([neighbour, patient]) == [4, 8]
    assert sends.batches == [[1, 2], [4]]  # what was late never left


async def test_a_passed_deadline_is_refused_at_once():
    """An item whose time is up before it is called never leaves."""
    sends = Sends()
    coalescer = Coalescer(sends)
    with pytest.raises(DeadlinePassed):
        await coalescer.call(1, Deadline.after(0))
    await turns()
    assert sends.batches == []


async def test_an_item_is_told_its_own_time_left():
    """Each item is stamped with its own time just before it leaves; the send has the longest."""
    sends = Sends()
    stamps: dict[int, float] = {}
    coalescer: Coalescer[int, int] = Coalescer(sends, stamp=stamps.__setitem__)
    await asyncio.gather(
        coalescer.call(1, Deadline.after(10)), coalescer.call(2, Deadline.after(50))
    )
    assert 9 < stamps[1] <= 10
    assert 49 < stamps[2] <= 50
    assert 49 < sends.seconds[0] <= 50


async def test_a_cancelled_caller_leaves_the_batch():
    """Cancelled while it waits, an item is not sent; cancelled in flight, nobody else notices."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    flying = calls(coalescer, [1, 2])
    await sends.flying(1)
    waiting = calls(coalescer, [3, 4, 5])
    await turns()
    flying[0].cancel()
    waiting[1].cancel()
    await turns()
    sends.land(0)
    await sends.flying(2)
    sends.land(1)
    found = await outcomes(flying + waiting)
    assert isinstance(found[0], asyncio.CancelledError)
    assert isinstance(found[3], asyncio.CancelledError)
    assert [found[1], found[2], found[4]] == [4, 6, 10]
    assert sends.batches == [[1, 2], [3, 5]]


async def test_a_batch_of_nobody_is_not_sent():
    """When all that waited have gone, the flight's return sends nothing, and the next call does."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    first = calls(coalescer, [1])
    await sends.flying(1)
    gone = calls(coalescer, [2, 3])
    await turns()
    for task in gone:
        task.cancel()
    sends.land(0)
    await outcomes(first + gone)
    await turns()
    assert sends.batches == [[1]]
    last = calls(coalescer, [4])
    await sends.flying(2)
    sends.land(1)
    assert await outcomes(last) == [8]


async def test_a_full_queue_refuses_with_its_limit():
    """Beyond the bound a call is refused at once with the number; those that wait are answered."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends, waiting_max=2)
    first = calls(coalescer, [1])
    await sends.flying(1)
    waiting = calls(coalescer, [2, 3])
    await turns()
    with pytest.raises(QueueFull) as refused:
        await coalescer.call(4, soon())
    assert refused.value.waiting_max == 2
    assert "2" in str(refused.value)
    sends.land(0)
    await sends.flying(2)
    sends.land(1)
    assert await outcomes(first + waiting) == [2, 4, 6]


async def test_who_has_gone_takes_no_room_in_the_queue():
    """Cancelled and late callers make room at once, not only when the flight returns."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends, waiting_max=2)
    first = calls(coalescer, [1])
    await sends.flying(1)
    gone = calls(coalescer, [2])
    late = asyncio.create_task(coalescer.call(3, Deadline.after(0.01)))
    await turns()
    gone[0].cancel()
    with pytest.raises(DeadlinePassed):
        await late
    patient = calls(coalescer, [4, 5])
    await turns()
    assert not any(task.done() for task in patient)
    sends.land(0)
    await sends.flying(2)
    sends.land(1)
    assert await outcomes(first + patient) == [2, 8, 10]


async def test_closing_fails_who_waits_and_lets_the_flight_end():
    """On close the flight under way is answered, who waits is told, and nobody is let in."""
    sends = Sends(held=True)
    coalescer = Coalescer(sends)
    flying = calls(coalescer, [1])
    await sends.flying(1)
    waiting = calls(coalescer, [2, 3])
    await turns()
    closing = asyncio.create_task(coalescer.close())
    found = await outcomes(waiting)
    assert [type(each) for each in found] == [CoalescerClosed] * 2
    assert not closing.done()
    sends.land(0)
    await closing
    assert await outcomes(flying) == [2]
    with pytest.raises(CoalescerClosed):
        await coalescer.call(4, soon())
    assert sends.batches == [[1]]


class Uncopyable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


async def test_an_error_that_cannot_be_copied_reaches_every_caller():
    """Nobody is left waiting because an exception is an odd one."""

    async def send(items, seconds):
        raise Uncopyable(1, 2)

    coalescer = Coalescer(send)
    waiting = [asyncio.create_task(coalescer.call(n, Deadline.after(5))) for n in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Uncopyable] * 3


async def test_who_lingers_waits_for_more() -> None:
    """What nobody waits for gathers for a while; a full batch leaves at once."""
    sends = Sends()
    made: Coalescer[int, int] = Coalescer(sends, items_max=4, linger_seconds=30)
    calls = [asyncio.create_task(made.call(n, Deadline.after(60))) for n in range(3)]
    await asyncio.sleep(0.05)
    assert sends.batches == []
    calls.append(asyncio.create_task(made.call(3, Deadline.after(60))))
    assert await asyncio.gather(*calls) == [0, 2, 4, 6]
    assert sends.batches == [[0, 1, 2, 3]]


async def test_lingering_ends() -> None:
    """A batch that does not fill up leaves all the same."""
    sends = Sends()
    made: Coalescer[int, int] = Coalescer(sends, items_max=4, linger_seconds=0.02)
    assert await made.call(1, Deadline.after(60)) == 2
    assert await made.call(2, Deadline.after(60)) == 4
    assert sends.batches == [[1], [2]]
