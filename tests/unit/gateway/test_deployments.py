"""Several deployments of one provider: weighed, left alone when they fail."""

import itertools
from collections import Counter
from contextlib import aclosing

import pytest

from chassis.deadline import Deadline
from gateway.providers.deployments import Deployment, DeploymentPool
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.provider import FakeProvider
from tests.fakes.provider_calls import call


def unavailable(reason=Unavailability.SERVER_ERROR, **more):
    return ProviderUnavailable("p", reason, billed=Billed.NO, **more)


class Pool:
    """Two deployments, of weight 3 and 1."""

    def __init__(self):
        self.now = 0.0
        self.a, self.b = FakeProvider(), FakeProvider()
        spread = itertools.cycle([0.1, 0.35, 0.6, 0.85])
        self.pool = DeploymentPool(
            "p",
            [Deployment(self.a, "a", 3, 30.0), Deployment(self.b, "b", 1, 30.0)],
            clock=lambda: self.now,
            chance=lambda: next(spread),
        )

    async def ask(self):
        try:
            return await self.pool.complete(call("m"), Deadline.after(5))
        except ProviderUnavailable as error:
            return error

    @property
    def called(self):
        return Counter(a=len(self.a.calls), b=len(self.b.calls))


@pytest.fixture
def pool():
    return Pool()


async def test_calls_are_spread_by_weight(pool):
    """Three to one."""
    for _ in range(40):
        await pool.ask()
    assert pool.called == {"a": 30, "b": 10}


async def test_one_that_fails_is_left_alone_for_its_cooldown(pool):
    """The other takes its calls, and the retry need not wait; then it is back."""
    pool.a.script = [unavailable(retry_after_seconds=7.0)]
    error = await pool.ask()
    assert error.elsewhere_ready
    assert error.retryable_here
    for _ in range(4):
        await pool.ask()
    assert pool.called == {"a": 1, "b": 4}
    pool.now += 7.1  # as it asked for
    for _ in range(4):
        await pool.ask()
    assert pool.called["a"] > 1


async def test_a_bad_key_of_one_is_not_the_end(pool):
    """Only the operator can mend it, but another key is at hand."""
    pool.a.script = [unavailable(Unavailability.CREDENTIALS)]
    error = await pool.ask()
    assert error.retryable_here
    pool.b.script = [unavailable(Unavailability.CREDENTIALS)]
    error = await pool.ask()
    assert not error.retryable_here


async def test_when_all_are_left_alone_the_first_to_be_back_is_called(pool):
    """Better than nobody."""
    pool.a.script = [unavailable()]
    await pool.ask()
    pool.now += 1
    pool.b.script = [unavailable()]
    await pool.ask()
    await pool.ask()
    assert pool.called == {"a": 2, "b": 1}


async def test_streams_too(pool):
    """A stream that breaks off cools its deployment."""
    pool.a.break_after = (1, unavailable(Unavailability.RESET))
    with pytest.raises(ProviderUnavailable):
        async with aclosing(pool.pool.stream(call("m"), Deadline.after(5))) as pieces:
            async for _ in pieces:
                pass
    for _ in range(4):
        await pool.ask()
    assert pool.called == {"a": 1, "b": 4}
