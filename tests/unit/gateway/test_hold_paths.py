"""A hold is resolved exactly once, whichever await its request dies at."""

import asyncio
from contextlib import aclosing

import pytest

from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.saga_house import House
from tests.unit.gateway.test_plan import planned

# More turns of the loop than any request of these takes.
TURNS_MAX = 60


async def _turn(task, turns):
    for _ in range(turns):
        if task.done():
            return
        await asyncio.sleep(0)


def _check(house):
    for hold_id, ways in house.services.resolutions().items():
        assert len(ways) == 1, f"hold {hold_id} was resolved by {ways}"
    if house.provider.answered:  # a whole answer is owed for: it is charged, never given back
        (settle,) = house.services.asked["settle"]
        assert settle.attempts[-1].usage.output_tokens > 0


@pytest.mark.parametrize("turns", range(TURNS_MAX))
@pytest.mark.parametrize("usage", ["reported", "missing"])
async def test_a_request_cancelled_at_any_await_leaves_no_hold(house, turns, usage):
    """Cancelled after so many turns of the loop, from arrival to answer."""
    if usage == "missing":
        house.provider.script = [None]
    task = asyncio.create_task(house.complete())
    await _turn(task, turns)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.books.drain()
    _check(house)


@pytest.mark.parametrize("turns", range(TURNS_MAX))
async def test_a_stream_cancelled_at_any_await_leaves_no_hold(house, turns):
    """The same for a stream under way."""

    async def read():
        async with aclosing(house.stream()) as events:
            async for _ in events:
                await asyncio.sleep(0)

    task = asyncio.create_task(read())
    await _turn(task, turns)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.books.drain()
    _check(house)


@pytest.mark.parametrize("where", ["prepare", "lookup", "route", "reserve", "store", "count"])
@pytest.mark.parametrize("how", [RuntimeError("a bug"), TimeoutError()])
@pytest.mark.parametrize("streams", [False, True])
async def test_a_service_that_raises_anything_leaves_no_hold(house, where, how, streams):
    """Not only what a service is meant to raise."""
    house.provider.script = [None]
    house.services.fail[where] = how

    async def read():
        async with aclosing(house.stream()) as events:
            async for _ in events:
                pass

    await asyncio.gather(read() if streams else house.complete(), return_exceptions=True)
    await house.books.drain()
    _check(house)


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_provider_that_raises_anything_leaves_no_hold(house, after):
    """Before the first piece, between pieces, and where only a bug would."""
    for error in (
        RuntimeError("a bug"),
        ProviderUnavailable("fake", Unavailability.RESET, billed=Billed.UNKNOWN),
    ):
        house.provider.break_after = (after, error)

        async def read():
            async with aclosing(house.stream(cache_mode=1)) as events:
                async for _ in events:
                    pass

        await asyncio.gather(read(), return_exceptions=True)
    await house.books.drain()
    _check(house)


HEDGED = "breaker: {enabled: false}, hedge: {calls_min: 5, after_seconds_min: 0.001}"


async def _warmed(streams):
    """A saga that hedges, and whose next call gets stuck."""
    house = House(retry=HEDGED)
    for _ in range(5):
        await _ask(house, streams)
    await house.books.drain()
    house.services.asked.clear()
    house.provider.answered = 0
    begin, stuck = house.provider._begin, [True]

    async def first_hangs(call):
        if stuck:
            stuck.clear()
            await asyncio.Event().wait()
        return await begin(call)

    house.provider._begin = first_hangs
    return house


async def _ask(house, streams, **options):
    if not streams:
        return await house.complete(cache_mode=1, **options)
    async with aclosing(house.stream(cache_mode=1, **options)) as events:
        return [event async for event in events]


class _Thrown(Exception):
    """What no part of the saga expects."""


class _Throwing:
    """Runs a coroutine and throws into it at its n-th suspension."""

    def __init__(self, work, turn):
        self._work, self._turn = work.__await__(), turn

    def __await__(self):
        turn = 0
        while True:
            try:
                if turn == self._turn:
                    waited = self._work.throw(_Thrown())
                else:
                    waited = self._work.send(None)
            except StopIteration as end:
                return end.value
            turn += 1
            yield waited


def _check_all(house):
    for hold_id, ways in house.services.resolutions().items():
        assert len(ways) == 1, f"hold {hold_id} was resolved by {ways}"


@pytest.mark.parametrize("turn", range(TURNS_MAX))
@pytest.mark.parametrize("streams", [False, True])
async def test_a_hedged_request_cancelled_at_any_await_leaves_no_hold(turn, streams):
    """Both calls under way, either cancelled, the winner booked or not: one resolution."""
    house = await _warmed(streams)
    warm = len(house.provider.calls)
    task = asyncio.create_task(_ask(house, streams, hedge=True))
    await _turn(task, min(turn, TURNS_MAX // 2))
    if turn > TURNS_MAX // 2:
        # Past the moment of the second call, then on to the books.
        while len(house.provider.calls) < warm + 1 and not task.done():
            await asyncio.sleep(0.001)
        await _turn(task, turn - TURNS_MAX // 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.books.drain()
    _check_all(house)
    numbers = [a.attempt_number for i in house.services.asked["settle"] for a in i.attempts]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("turn", range(40))
@pytest.mark.parametrize("kind", ["plain", "stream", "hedged", "hedged stream", "plan", "cut"])
async def test_an_exception_at_any_await_leaves_no_hold(turn, kind):
    """Thrown into the request itself at each of its suspensions, as a bug or a library might."""
    streams = kind in ("stream", "hedged stream", "cut")
    options = {}
    if kind.startswith("hedged"):
        house, options = await _warmed(streams), {"hedge": True}
    else:
        house = planned() if kind == "plan" else House()
    if kind == "cut":
        house.provider.pieces = ["word "] * 100
    await asyncio.gather(_throw(_ask(house, streams, **options), turn), return_exceptions=True)
    await house.books.drain()
    _check_all(house)


async def _throw(work, turn):
    return await _Throwing(work, turn)


async def test_a_cut_stream_cancelled_at_any_await_is_charged_once():
    """While it flows, while it is counted, while it is settled."""
    for turn in range(0, 160, 4):
        house = House()
        house.provider.pieces = ["word "] * 100
        task = asyncio.create_task(_ask(house, streams=True))
        await _turn(task, turn)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await house.books.drain()
        _check_all(house)
