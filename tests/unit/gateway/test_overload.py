"""Overload: shed before work, fair between tenants, and providers' time is not ours."""

import asyncio

import pytest
from google.rpc import error_details_pb2, status_pb2

from chassis.deadline import Deadline, DeadlinePassed
from gateway.door import Identity
from gateway.errors import ERRORS, Overloaded
from gateway.overload.admission import Admission
from gateway.overload.limit import AdaptiveLimit, LimitBounds
from gateway.overload.shares import FairQueue, Rooms
from tests.fakes.saga_house import House

FLOOD = Identity(tenant="flood", key_id="k2")
SOON = 5.0


def limit_of(clock, **bounds):
    wanted = {"least": 2, "most": 200, "first": 20, "target_seconds": 0.1} | bounds
    return AdaptiveLimit(LimitBounds(**wanted), clock)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def feed(limit, clock, seconds, windows=1, at_work=None):
    for _ in range(windows):
        clock.now += 0.2
        for _ in range(10):
            limit.note(seconds, limit.value if at_work is None else at_work)


def test_the_limit_follows_the_time_that_work_takes():
    """It grows while work is quick and the limit is used, shrinks by what work takes too long,
    at most by half a window, and keeps to its bounds."""
    clock = Clock()
    limit = limit_of(clock)
    feed(limit, clock, 0.01, windows=5)
    grown = limit.value
    assert grown > 35
    feed(limit, clock, 0.125)
    assert limit.value == pytest.approx(grown * 0.8, abs=2)
    feed(limit, clock, 10.0)
    assert limit.value == pytest.approx(grown * 0.4, abs=2)
    feed(limit, clock, 10.0, windows=20)
    assert limit.value == 2
    feed(limit, clock, 0.01, windows=200)
    assert limit.value == 200


def test_a_limit_that_nobody_uses_stays():
    """Few requests say nothing about what more of them would do."""
    clock = Clock()
    limit = limit_of(clock)
    feed(limit, clock, 0.01, windows=50, at_work=3)
    assert limit.value == 20


def test_a_slow_fleet_is_not_taken_for_a_busy_one():
    """Where idle work takes longer than the target, twice that is the limit's measure."""
    clock = Clock()
    limit = limit_of(clock)
    feed(limit, clock, 0.4, windows=20, at_work=1)
    assert limit.value == 20
    feed(limit, clock, 1.2)
    assert limit.value < 20


def test_turns_and_waiting_room_go_by_weight():
    """The least served for its weight is next; whoever waits most goes when there is no room."""
    queue = FairQueue(6, {"heavy": 3})
    for number in range(6):
        queue.put("heavy", f"h{number}")
    assert queue.put("light", "l0") == "h5"
    assert queue.put("heavy", "h6") == "h6"
    order = []
    while (found := queue.pop()) is not None:
        tenant, item = found
        queue.started(tenant)
        order.append(item)
    assert order == ["h0", "l0", "h1", "h2", "h3", "h4"]


def test_no_tenant_fills_the_house():
    """One tenant leaves a tenth; in a house that is nearly full nobody takes more than a share."""
    rooms = Rooms(100, {})
    assert sum(rooms.enter("a") for _ in range(200)) == 90
    assert sum(rooms.enter("b") for _ in range(200)) == 10
    for _ in range(50):
        rooms.leave("a")
    assert sum(rooms.enter("b") for _ in range(200)) == 40
    assert not rooms.enter("a") or rooms.taken <= 100


def admission_of(**settings):
    clock = Clock()
    bounds = {"least": 1, "most": 100, "first": 2, "target_seconds": 1.0}
    fields = {"requests_max": 100, "waiting_max": 4, "wait_seconds_max": 5.0, "weights": {}}
    limit = AdaptiveLimit(LimitBounds(**(bounds)), clock)
    return Admission(limit, **(fields | settings), clock=clock)


async def enter(admission, tenant="a", seconds=5.0):
    """A request that is in until it is cancelled."""
    async with admission.admitted(tenant, Deadline.after(seconds)):
        await asyncio.Event().wait()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_places_come_back_however_a_request_ends():
    """Ended, cancelled at work, cancelled while it waited: nothing is left over."""
    admission = admission_of()
    tasks = [asyncio.create_task(enter(admission)) for _ in range(5)]
    await settle()
    assert (admission.at_work, admission.waiting, admission.under_way) == (2, 3, 5)
    await end(tasks[3])
    await end(tasks[0])
    await settle()
    assert (admission.at_work, admission.waiting, admission.under_way) == (2, 1, 3)
    await end(*tasks)
    assert (admission.at_work, admission.waiting, admission.under_way) == (0, 0, 0)


async def test_nobody_waits_beyond_its_time():
    """The wait has a limit of its own and ends with the request's time."""
    admission = admission_of(wait_seconds_max=0.01)
    tasks = [asyncio.create_task(enter(admission)) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded):
        await enter(admission)
    with pytest.raises(DeadlinePassed):
        await enter(admission, seconds=0.0)
    assert admission.waiting == 0
    await end(*tasks)


async def test_what_waits_for_a_provider_holds_no_place():
    """A place that is lent goes to the next; back from there, work goes on at once."""
    admission = admission_of()
    back, worked = asyncio.Event(), asyncio.Event()

    async def calls_a_provider():
        async with admission.admitted("a", Deadline.after(SOON)) as place:
            with place.lent():
                await back.wait()
            worked.set()

    slow = [asyncio.create_task(calls_a_provider()) for _ in range(10)]
    await settle()
    assert (admission.at_work, admission.under_way) == (0, 10)
    busy = [asyncio.create_task(enter(admission)) for _ in range(2)]
    await settle()
    back.set()
    await asyncio.gather(*slow)
    assert worked.is_set()
    assert admission.at_work == 2
    await end(*busy)
    assert (admission.at_work, admission.under_way) == (0, 0)


async def test_a_flood_is_shed_before_any_work_and_starves_nobody():
    """RESOURCE_EXHAUSTED, OVERLOADED and RetryInfo for the flood, with nothing done or booked for
    what was shed; every call of the other tenant is served."""
    house = House(waiting_requests_max=8, waiting_seconds_max=SOON, requests_max=40, work_least=1)
    gate = house.services.gate["prepare"] = asyncio.Event()
    flood = [asyncio.create_task(house.complete(f"f{n}", identity=FLOOD)) for n in range(200)]
    await settle()
    others = [asyncio.create_task(house.complete(f"o{n}")) for n in range(4)]
    await settle()
    gate.set()
    served = await asyncio.gather(*others)
    assert all(answer.summary.cost_nanos > 0 for answer in served)
    ends = await asyncio.gather(*flood, return_exceptions=True)
    shed = [each for each in ends if isinstance(each, Overloaded)]
    answered = [each for each in ends if not isinstance(each, Exception)]
    assert len(shed) + len(answered) == 200
    assert len(answered) == 36
    for name in ("prepare", "lookup", "route", "reserve", "settle"):
        assert len(house.services.asked[name]) == len(answered) + len(others), name
    assert house.admission.at_work == house.admission.under_way == 0


async def test_shed_calls_say_when_to_come_back():
    """The status that callers and their libraries back off by."""
    status = ERRORS.to_status(Overloaded(7, 2.5))
    details = {detail.TypeName().rpartition(".")[2]: detail for detail in status.details}
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    assert isinstance(status, status_pb2.Status)
    assert details["RetryInfo"].Unpack(retry)
    assert details["ErrorInfo"].Unpack(info)
    assert (status.code, info.reason) == (8, "OVERLOADED")
    assert retry.retry_delay.ToMilliseconds() == 2500


async def test_slow_providers_take_no_places_of_the_work():
    """Sixty requests that wait for a provider leave the fleet free for a hit in the cache."""
    house = House(requests_max=80, work_least=1)
    await house.complete("known")
    gate = house.provider.gate = asyncio.Event()
    slow = [asyncio.create_task(house.complete(f"s{n}", identity=FLOOD)) for n in range(60)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.admission.under_way == 60
    assert house.admission.at_work == 0
    answer = await house.complete("known")
    assert answer.choices
    gate.set()
    await asyncio.gather(*slow)


async def test_weights_of_a_new_fleet_file_hold_for_who_waits():
    """Both have one at work; from now on the place that is free next is b's by weight."""
    admission = admission_of(waiting_max=10)
    first = [asyncio.create_task(enter(admission, who)) for who in ("a", "b")]
    await settle()
    waiting = [asyncio.create_task(enter(admission, who)) for who in ("a", "b")]
    third = asyncio.create_task(enter(admission, "c"))
    await settle()
    admission.take_over({"b": 3, "a": 1})
    queue = admission._queue
    assert queue.pop()[0] == "c"
    assert queue.pop()[0] == "b"
    await end(*first, *waiting, third)
