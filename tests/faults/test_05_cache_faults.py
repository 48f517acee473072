"""T5: Redis hangs, dies, comes back empty: every request is answered, none with another's words."""

import asyncio
import os
import signal

import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
PROVIDER = gateway_pb.ANSWER_SOURCE_PROVIDER
CACHE = gateway_pb.ANSWER_SOURCE_CACHE_EXACT
QUESTIONS = 12


async def ask_all(house, secret, word):
    answers = await asyncio.gather(
        *(house.complete(secret, f"{word} {n}", model="cheap") for n in range(QUESTIONS))
    )
    return [(answer.summary.source, answer.choices[0].message.content) for answer in answers]


async def warm(house, secret, word):
    """Asks until the cache serves it again."""

    async def served():
        return all(source == CACHE for source, _ in await ask_all(house, secret, word))

    await until(served)


async def test_redis_hangs_then_is_back(house, tenant):
    """While it is stopped everybody is served by the provider; afterwards hits are right."""
    secret = await house.key(tenant)
    before = await ask_all(house, secret, "first")
    await warm(house, secret, "first")
    os.kill(house.redis.pid, signal.SIGSTOP)
    try:
        hung = await ask_all(house, secret, "first")
    finally:
        os.kill(house.redis.pid, signal.SIGCONT)
    assert {source for source, _ in hung} == {PROVIDER}
    await warm(house, secret, "first")
    again = await ask_all(house, secret, "first")
    assert [text for _, text in again] == [text for _, text in before]
    assert [text for _, text in hung] == [text for _, text in before]


async def test_redis_dies_and_comes_back_empty(house, tenant):
    """Nothing is lost but the answers it kept."""
    secret = await house.key(tenant)
    await ask_all(house, secret, "second")
    await house.redis.kill()
    dead = await ask_all(house, secret, "second")
    assert {source for source, _ in dead} == {PROVIDER}
    await house.redis.start()
    await warm(house, secret, "second")
    entries = await house.entries(tenant)
    calls = [entry for entry in entries if entry.attempt.provider]
    assert sum(entry.cost_nanos for entry in calls) == sum(e.cost_nanos for e in entries)
