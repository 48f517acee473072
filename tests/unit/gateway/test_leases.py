"""Calls of a busy caller are admitted out of a slice of its budgets."""

import asyncio

import grpc
import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import lease_pb2

from gateway.errors import ServiceUnavailable
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.saga_house import House
from tests.fakes.services import refusal

LEASES = "ledger: {leases: {enabled: true, calls_before: 2, calls: 8, seconds: 40%s}}\n"
OFF = pb.CACHE_MODE_OFF
AWAY = refusal(grpc.StatusCode.UNAVAILABLE, "")


@pytest.fixture
async def leasing():
    """A house whose caller has a slice: two calls reserved before."""
    return await a_house()


async def a_house(more="", hard=False):
    house = House(LEASES % more)
    house.services.hard_lease = hard
    for _ in range(2):
        await house.complete(cache_mode=OFF)
    await house.books.drain()
    return house


def asked(house, name):
    return len(house.services.asked[name])


async def test_without_a_word_in_the_fleet_file_every_call_reserves():
    """Leases are for who asks for them."""
    house = House()
    for _ in range(5):
        await house.complete(cache_mode=OFF)
    assert (asked(house, "reserve"), asked(house, "acquire_lease")) == (5, 0)


async def test_a_slice_spares_the_reservation(leasing):
    """Its charges say how they were admitted, so that the ledger can draw them from it."""
    (wish,) = leasing.services.asked["acquire_lease"]
    assert (wish.lease.epoch, wish.admit_duration.seconds) == (1, 40)
    assert wish.wanted.nanos == 8 * wish.least.nanos // 2 > 0
    await leasing.complete(cache_mode=OFF, session="s1")
    assert asked(leasing, "reserve") == 2
    settle = leasing.services.asked["settle"][-1]
    assert settle.draw.lease == wish.lease
    assert settle.draw.attribution.session == "s1"
    assert settle.draw.worst_cases == leasing.services.asked["reserve"][0].worst_cases
    assert not leasing.services.asked["settle"][0].HasField("draw")


async def test_another_caller_has_no_part_in_it(leasing):
    """A slice is for one attribution: any field may have a budget of its own."""
    await leasing.complete(cache_mode=OFF, feature="faq")
    await leasing.complete(cache_mode=OFF, tags={"team": "red"})
    assert asked(leasing, "reserve") == 4


async def test_what_a_slice_does_not_hold_reserves(leasing):
    """Each call takes its worst case; what it did not use may be admitted again."""
    need = leasing.services.asked["acquire_lease"][0].least.nanos // 2
    leasing.services.gate["settle"] = asyncio.Event()
    calls = [asyncio.create_task(leasing.complete(f"hello {n}", cache_mode=OFF)) for n in range(10)]
    await asyncio.sleep(0.05)
    reserved = asked(leasing, "reserve")
    assert reserved >= 2
    # The next slice was asked for while the first was nearly used up.
    assert leasing.services.asked["acquire_lease"][1].lease.epoch == 2
    leasing.services.gate["settle"].set()
    await asyncio.gather(*calls)
    await leasing.complete(cache_mode=OFF)
    assert asked(leasing, "reserve") == reserved
    kept = leasing.services.asked["return_lease"][0].keep
    assert kept.nanos == kept.requests * need > 0


async def test_a_slice_ends_with_its_time(leasing):
    """By the holder's own clock from before it was asked for, and goes back."""
    leasing.clock = 39.0
    await leasing.complete(cache_mode=OFF)
    assert asked(leasing, "reserve") == 2
    await leasing.books.drain()
    leasing.clock = 80.0
    leasing.leases.tick()
    # Long since its last call it is a new caller again.
    for _ in range(2):
        await leasing.complete(cache_mode=OFF)
        await leasing.books.drain()
    assert asked(leasing, "reserve") == 4
    back = {r.lease.epoch: r.keep for r in leasing.services.asked["return_lease"]}
    assert back == {1: lease_pb2.LeaseAmounts(), 2: lease_pb2.LeaseAmounts()}
    assert leasing.services.asked["acquire_lease"][-1].lease.epoch == 3


async def test_the_next_slice_is_there_before_the_last_has_ended(leasing):
    """So that a busy caller waits for none; what is left of the old one goes back."""
    leasing.clock = 31.0
    await leasing.complete(cache_mode=OFF)
    await leasing.books.drain()
    assert asked(leasing, "acquire_lease") == 2
    leasing.leases.tick()
    await leasing.books.drain()
    # All but what the call under way could still take, then that too.
    backs = leasing.services.asked["return_lease"]
    assert [(back.lease.epoch, back.keep.requests) for back in backs] == [(1, 1), (1, 0)]


async def test_other_prices_than_the_ledgers_reserve(leasing):
    """The ledger prices by another list: then only it can tell the worst case."""
    leasing.clock = 80.0
    leasing.leases.tick()
    leasing.services.price_version = lambda model: "another list"
    for _ in range(4):
        await leasing.complete(cache_mode=OFF)
        await leasing.books.drain()
    assert asked(leasing, "reserve") == 6


async def test_a_refused_slice_is_not_asked_for_at_every_call():
    """The last of a budget: calls reserve one by one, and the ledger is spared the asking."""
    house = House(LEASES % "")
    house.services.fail["acquire_lease"] = refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "LEASE_REFUSED"
    )
    for _ in range(6):
        await house.complete(cache_mode=OFF)
    await house.books.drain()
    assert (asked(house, "reserve"), asked(house, "acquire_lease")) == (6, 1)
    assert asked(house, "return_lease") == 0


async def test_a_grant_whose_answer_was_lost_is_returned():
    """It may be there: nobody else can have its money until then."""
    house = House(LEASES % "")
    house.services.fail["acquire_lease"] = AWAY
    for _ in range(2):
        await house.complete(cache_mode=OFF)
    await house.books.drain()
    (back,) = house.services.asked["return_lease"]
    assert back.lease == house.services.asked["acquire_lease"][0].lease


@pytest.mark.parametrize(
    ("hard", "more", "refused"),
    [(True, "", True), (True, ", hard_when_away: admit", False), (False, "", False)],
)
async def test_while_the_ledger_is_away(hard, more, refused):
    """Callers with a hard limit are refused, if the fleet file does not say else; others go on in
    their slices, their charges wait in the outbox."""
    house = await a_house(more, hard)
    for name in ("reserve", "settle", "acquire_lease", "return_lease"):
        house.services.fail[name] = AWAY
    # Nobody knows yet: its charge is the first that does not arrive.
    assert (await house.complete(cache_mode=OFF)).summary.booking_pending
    if refused:
        with pytest.raises(ServiceUnavailable):
            await house.complete(cache_mode=OFF)
    else:
        assert (await house.complete(cache_mode=OFF)).summary.booking_pending
    house.services.fail.clear()
    await house.complete(cache_mode=OFF)
    assert not (await house.complete(cache_mode=OFF)).summary.booking_pending


async def test_bookings_that_follow_their_answers_are_heard_of():
    """What they did not use may be admitted again, and nobody thinks that the ledger is away."""
    house = House(LEASES % "")
    house.services.hard_lease = True
    house.books._answer_first = True
    for _ in range(30):
        assert (await house.complete(cache_mode=OFF)).summary.booking_pending
        await house.books.drain()
    assert asked(house, "reserve") == 2
    await house.leases.close()
    back = {r.lease.epoch: r.keep for r in house.services.asked["return_lease"]}
    assert all(keep == lease_pb2.LeaseAmounts() for keep in back.values())
    # Each of eight calls: none has waited for what another did not use.
    assert len(back) == asked(house, "acquire_lease") <= 30 // 6 + 1


async def test_what_the_outbox_still_has_is_not_given_back(leasing):
    """A charge on its way draws on its slice: that lapses by itself."""
    leasing.services.fail["settle"] = AWAY
    await leasing.complete(cache_mode=OFF)
    await leasing.leases.close()
    assert asked(leasing, "return_lease") == 0


async def test_at_the_end_all_of_it_goes_back(leasing):
    """First what no call under way needs, the rest when they have ended."""
    leasing.provider.gate = asyncio.Event()
    call = asyncio.create_task(leasing.complete(cache_mode=OFF))
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(leasing.leases.close())
    await asyncio.sleep(0.02)
    assert [back.keep.requests for back in leasing.services.asked["return_lease"]] == [1]
    leasing.provider.gate.set()
    await call
    await closing
    leasing.leases.tick()
    await leasing.books.drain()
    assert [back.keep.requests for back in leasing.services.asked["return_lease"]] == [1, 0]


async def test_a_call_that_took_nothing_is_told_to_nobody_but_for_its_rows(leasing):
    """Its worst case is there for others at once."""
    gone = ProviderUnavailable("fake", Unavailability.CONNECT, billed=Billed.NO)
    leasing.provider.script = [gone, gone, gone, gone]
    with pytest.raises(Exception, match="fake"):
        await leasing.complete(cache_mode=OFF)
    await leasing.books.drain()
    (told,) = leasing.services.asked["release"]
    assert told.HasField("draw")
    assert all(not attempt.usage.ByteSize() for attempt in told.attempts)
    await leasing.leases.close()
    (back,) = leasing.services.asked["return_lease"]
    assert back.keep == lease_pb2.LeaseAmounts()


@pytest.mark.parametrize("turns", range(0, 60, 2))
async def test_a_call_cancelled_at_any_await_keeps_nothing_of_its_slice(turns):
    """Charged or not, its place is free."""
    house = await a_house()
    task = asyncio.create_task(house.complete(cache_mode=OFF))
    for _ in range(turns):
        if not task.done():
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.books.drain()
    await house.leases.close()
    assert all(not back.keep.ByteSize() for back in house.services.asked["return_lease"])
    assert asked(house, "return_lease") == 1
