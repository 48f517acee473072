"""A hold is resolved exactly once, whichever await its request dies at."""

import asyncio
from contextlib import aclosing

import pytest

from gateway.providers.port import Billed, ProviderUnavailable, Unavailability

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
