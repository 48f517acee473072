"""Sessions and tries: what ends, what is forgotten, what stays bounded."""

import itertools

import pytest

from gateway.console.sessions import (
    ADDRESSES_MAX,
    FAILURES_A_MINUTE_ALL_MAX,
    FAILURES_A_MINUTE_MAX,
    SESSIONS_MAX,
    Sessions,
    SignInRequired,
    TooManyTries,
    Tries,
)
from gateway.door import Identity
from tests.fakes.console_house import Clock

WHO = Identity(tenant="acme", key_id="root", admin=True)


def sessions(clock):
    numbers = itertools.count()
    return Sessions(
        seconds_max=100, idle_seconds_max=10, clock=clock, new_name=lambda: f"n{next(numbers)}"
    )


def test_the_oldest_session_makes_room():
    """There are never more than so many."""
    known = sessions(Clock())
    first = known.open("sg_a", WHO)
    for _ in range(SESSIONS_MAX):
        last = known.open("sg_b", WHO)
    with pytest.raises(SignInRequired):
        known.use(first)
    assert known.use(last).secret == "sg_b"


def test_use_keeps_a_session_and_only_so_long():
    """Ten seconds without use end it, a hundred seconds do in any case."""
    clock = Clock()
    known = sessions(clock)
    name = known.open("sg_a", WHO)
    for _ in range(11):
        clock.now += 9
        known.use(name)
    clock.now += 1
    with pytest.raises(SignInRequired):
        known.use(name)


def test_addresses_are_bounded_one_by_one_and_together():
    """One address cannot lock another out; very many together are held up all the same."""
    clock = Clock()
    tries = Tries(clock)
    for _ in range(FAILURES_A_MINUTE_MAX):
        tries.check("a")
        tries.failed("a")
    with pytest.raises(TooManyTries) as told:
        tries.check("a")
    assert told.value.retry_seconds == 60
    tries.check("b")
    for number in range(FAILURES_A_MINUTE_ALL_MAX):
        tries.failed(f"x{number}")
    with pytest.raises(TooManyTries):
        tries.check("b")
    clock.now += 61
    tries.check("a")
    for number in range(2 * ADDRESSES_MAX):
        tries.failed(f"y{number}")
    assert len(tries._by_address) == ADDRESSES_MAX
