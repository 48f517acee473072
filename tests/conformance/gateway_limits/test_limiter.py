"""What everything that counts rates must do (gateway/limits/port.py)."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded.redis import RedisServer
from gateway.limits.memory import MemoryLimiter
from gateway.limits.port import Limiter, LimiterUnavailable
from gateway.limits.redis import RedisLimiter
from gateway.limits.rules import PARALLEL, REQUESTS, TOKENS, Bucket, Slot

LONG = 60.0


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(lambda: time.monotonic_ns() // 1000)
        return
    async with RedisServer(tmp_path / "redis") as server:
        made = RedisLimiter(server.url, seconds_max=10)
        yield made
        await made.close()


def requests(place: str, per_minute: int, of: str = "key") -> Bucket:
    return Bucket(place, of, REQUESTS, per_minute, 1)


async def test_a_minutes_worth_may_come_at_once_and_no_more(limiter: Limiter) -> None:
    """The next is told when: a share of a minute later."""
    bucket = requests("a", 3)
    for _ in range(3):
        assert await limiter.admit([bucket], [], "c", LONG) is None
    refused = await limiter.admit([bucket], [], "c", LONG)
    assert refused is not None
    assert (refused.of, refused.limit, refused.allowed) == ("key", REQUESTS, 3)
    assert 0 < refused.retry_seconds <= 20
    assert await limiter.admit([requests("b", 3)], [], "c", LONG) is None


async def test_a_bucket_fills_evenly(limiter: Limiter) -> None:
    """Who waits as long as told gets in."""
    bucket = Bucket("a", "key", TOKENS, 60_000, 60_000)
    assert await limiter.admit([bucket], [], "c", LONG) is None
    small = bucket._replace(amount=100)
    refused = await limiter.admit([small], [], "c", LONG)
    assert refused is not None
    assert refused.retry_seconds <= 0.1
    await asyncio.sleep(refused.retry_seconds + 0.02)
    assert await limiter.admit([small], [], "c", LONG) is None


async def test_more_than_a_minute_allows_is_let_in_by_a_full_bucket(limiter: Limiter) -> None:
    """Else it never could be."""
    huge = Bucket("a", "key", TOKENS, 100, 1_000_000)
    assert await limiter.admit([huge], [], "c", LONG) is None
    assert await limiter.admit([huge], [], "c", LONG) is not None


async def test_all_are_taken_or_none(limiter: Limiter) -> None:
    """A refusal by one leaves the others as they were."""
    wide, narrow = requests("wide", 2), requests("narrow", 1, "user")
    assert await limiter.admit([wide, narrow], [], "c", LONG) is None
    refused = await limiter.admit([wide, narrow], [Slot("s", "key", 1)], "c", LONG)
    assert refused is not None
    assert refused.of == "user"
    assert await limiter.admit([wide], [Slot("s", "key", 1)], "d", LONG) is None


async def test_calls_at_once_are_counted_until_they_leave(limiter: Limiter) -> None:
    """Leaving twice is no harm; nobody else's place goes with it."""
    slot = Slot("a", "model", 2)
    assert await limiter.admit([], [slot], "one", LONG) is None
    assert await limiter.admit([], [slot], "two", LONG) is None
    refused = await limiter.admit([], [slot], "three", LONG)
    assert refused is not None
    assert (refused.of, refused.limit, refused.allowed) == ("model", PARALLEL, 2)
    await limiter.leave([slot], "one")
    await limiter.leave([slot], "one")
    assert await limiter.admit([], [slot], "three", LONG) is None
    assert await limiter.admit([], [slot], "four", LONG) is not None


async def test_the_place_of_who_crashed_is_free_after_its_time(limiter: Limiter) -> None:
    """Nobody has to give it back."""
    slot = Slot("a", "key", 1)
    assert await limiter.admit([], [slot], "one", 0.05) is None
    assert await limiter.admit([], [slot], "two", LONG) is not None
    await asyncio.sleep(0.1)
    assert await limiter.admit([], [slot], "two", LONG) is None


async def test_at_once_from_many_no_more_get_in_than_may(limiter: Limiter) -> None:
    """Sixty-four callers, ten places."""
    slot, bucket = Slot("s", "key", 10), requests("r", 1000)
    answers = await asyncio.gather(
        *(limiter.admit([bucket], [slot], f"c{n}", LONG) for n in range(64))
    )
    assert sum(answer is None for answer in answers) == 10


async def test_two_gateways_share_one_count(tmp_path: Path) -> None:
    """And a Redis that is away is told as such."""
    server = RedisServer(tmp_path / "redis")
    async with server:
        pair = [RedisLimiter(server.url, seconds_max=10) for _ in range(2)]
        bucket = requests("a", 2)
        assert [await one.admit([bucket], [], "c", LONG) for one in pair] == [None, None]
        assert await pair[0].admit([bucket], [], "c", LONG) is not None
    with pytest.raises(LimiterUnavailable):
        await pair[0].admit([bucket], [], "c", LONG)
    for one in pair:
        await one.close()
