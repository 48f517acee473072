"""Leases over the socket: slices of budgets, fenced by epoch."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf import duration_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    info_of,
    refusal,
    reserve_item,
)
from tests.unit.ledger.making import new_id

LEASE_ID = "5a0c6a1e-7d2f-4a35-9a43-1f6f0d6f5a11"
LIMIT = 1_000_000
# A quarter of what is left above the last twentieth.
SLICE = (LIMIT - LIMIT // 20) // 4


def name(epoch: int = 1) -> lease_pb2.LeaseName:
    return lease_pb2.LeaseName(lease_id=LEASE_ID, epoch=epoch)


def wish(epoch: int = 1, nanos: int = LIMIT, **more: Any) -> pb.AcquireLeaseRequest:
    request = pb.AcquireLeaseRequest(
        lease=name(epoch),
        attribution=reserve_item(1).attribution,
        models=[lease_pb2.LeasedModel(model="cheap", provider="somewhere")],
        wanted=lease_pb2.LeaseAmounts(nanos=nanos, tokens=10_000, requests=100),
        admit_duration=duration_pb2.Duration(seconds=60),
        call_duration=duration_pb2.Duration(seconds=120),
    )
    request.MergeFrom(pb.AcquireLeaseRequest(**more))
    return request


async def acquired(ledger: Ledger, request: pb.AcquireLeaseRequest) -> lease_pb2.Lease:
    return (await ledger.stub.AcquireLease(request, timeout=30)).lease


async def returned(ledger: Ledger, epoch: int = 1, **keep: int) -> hold_pb2.Hold:
    request = pb.ReturnLeaseRequest(
        lease=name(epoch), tenant="acme", keep=lease_pb2.LeaseAmounts(**keep)
    )
    return (await ledger.stub.ReturnLease(request, timeout=30)).hold


def drawn(attempt: entry_pb2.Attempt, tokens: int = 20, epoch: int = 1) -> pb.SettleItem:
    """The charge of a call that nobody reserved: it was admitted under the lease."""
    whole = reserve_item(tokens)
    whole.worst_cases[0].provider = "somewhere"
    draw = pb.LeaseDraw(
        lease=name(epoch),
        request_id=whole.request_id,
        attribution=whole.attribution,
        worst_cases=whole.worst_cases,
    )
    draw.attribution.session = "s1"
    return pb.SettleItem(hold_id=new_id(), attempts=[attempt], tenant="acme", draw=draw)


async def events(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.query("SELECT kind, amount FROM budget_event ORDER BY event_no")


async def test_a_lease_is_set_aside_like_a_hold(ledger: Ledger) -> None:
    """A quarter of what is left above the last twentieth, and other calls see it as taken."""
    await ledger.budget("company", LIMIT)
    lease = await acquired(ledger, wish())
    assert lease.granted.nanos == SLICE
    # No budget counts them.
    assert lease.granted.tokens == lease.granted.requests == 2**63 - 1
    assert (lease.hard, lease.overspend_nanos_max) == (True, SLICE)
    assert lease.admit_duration.seconds == 60
    assert lease.models[0].price_version.startswith("operator / cheap")
    assert await ledger.standing("company") == (0, SLICE)
    (result,) = await ledger.reserve(reserve_item((LIMIT - SLICE) // 1000 + 1))
    assert info_of(result.error).reason == "BUDGET_EXCEEDED"


async def test_charges_are_drawn_from_the_lease(ledger: Ledger) -> None:
    """What was used moves from set aside to charged; a repeat is answered as the first was."""
    await ledger.budget("company", LIMIT)
    await ledger.budget("daily", 400, unit=budget_pb2.BUDGET_UNIT_TOKENS)
    await acquired(ledger, wish())
    item = drawn(an_attempt(7))
    first = await ledger.charge(item)
    assert (first.charged_nanos, first.entries[0].late) == (7_000, False)
    assert first.entries[0].attribution.session == "s1"
    assert await ledger.charge(item) == first
    assert await ledger.standing("company") == (7_000, SLICE - 7_000)
    assert await ledger.standing("daily") == (7, (400 - 20) // 4 - 7)
    failed = pb.ReleaseItem(hold_id=new_id(), attempts=[an_attempt(0)], draw=item.draw)
    (result,) = await ledger.release(failed)
    assert result.hold.state == hold_pb2.HOLD_STATE_RELEASED
    assert await ledger.standing("company") == (7_000, SLICE - 7_000)
    assert await events(ledger) == []


async def test_what_is_not_needed_goes_back(ledger: Ledger) -> None:
    """But for what calls under way may take; all of it ends the epoch."""
    await ledger.budget("company", LIMIT)
    await acquired(ledger, wish())
    await returned(ledger, nanos=20_000, tokens=20, requests=1)
    assert await ledger.standing("company") == (0, 20_000)
    await ledger.charge(drawn(an_attempt(7)))
    # The message of before, doubled and late.
    await returned(ledger, nanos=20_000, tokens=20, requests=1)
    assert await ledger.standing("company") == (7_000, 13_000)
    hold = await returned(ledger)
    assert hold.state == hold_pb2.HOLD_STATE_RELEASED
    assert await returned(ledger) == hold
    assert await ledger.standing("company") == (7_000, 0)


@pytest.mark.parametrize("way", ["returned", "lapsed", "unknown", "another caller's"])
async def test_a_charge_outside_of_its_lease_is_late(
    ledger: Ledger, clock: SetClock, way: str
) -> None:
    """Money that was spent is booked, takes nothing that others set aside, and is told."""
    await ledger.budget("company", LIMIT)
    if way != "unknown":
        await acquired(ledger, wish())
    if way == "returned":
        await returned(ledger)
        await acquired(ledger, wish(epoch=2, nanos=50_000))
    if way == "lapsed":
        clock.go_on(181)
        await acquired(ledger, wish(epoch=2, nanos=50_000))
    item = drawn(an_attempt(7))
    if way == "another caller's":
        item.draw.attribution.user = "bob"
    before = (await ledger.standing("company"))[1]
    settlement = await ledger.charge(item)
    assert settlement.entries[0].late
    assert await ledger.standing("company") == (7_000, before)
    # LATE.
    assert await events(ledger) == [(2, 7_000)]


async def test_more_than_the_worst_case_is_an_overage(ledger: Ledger) -> None:
    """Taken from the lease as far as it reaches, and told."""
    await ledger.budget("company", LIMIT)
    await acquired(ledger, wish(nanos=25_000))
    await ledger.charge(drawn(an_attempt(30)))
    assert await ledger.standing("company") == (30_000, 0)
    # OVERAGE: beyond the 20 tokens of its worst case, which is more than beyond the lease.
    assert await events(ledger) == [(1, 10_000)]


async def test_a_lease_ends_with_the_window(ledger: Ledger, clock: SetClock) -> None:
    """It is half past twelve: calls of after one o'clock are not this hour's."""
    await ledger.budget("hourly", LIMIT, window=budget_pb2.BUDGET_WINDOW_HOUR)
    clock.go_on(30 * 60 - 20)
    assert (await acquired(ledger, wish())).admit_duration.ToTimedelta() == timedelta(seconds=20)
    clock.go_on(19)
    clock.now_us += 500_000
    info = info_of(await refusal(acquired(ledger, wish(epoch=2))))
    assert info.metadata["why"] == "WINDOW_ENDS"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"spent": 945}, "LAST_OF_BUDGET"),
        ({"least": 300_000}, "LAST_OF_BUDGET"),
        ({"each": ["session"]}, "BUDGET_BY_SESSION"),
    ],
)
async def test_no_lease_of_the_last_of_a_budget(
    ledger: Ledger, more: dict[str, Any], why: str
) -> None:
    """The last twentieth, and what would not do, is for calls that reserve one by one."""
    spent, least = more.pop("spent", 0), more.pop("least", 10_000)
    await ledger.budget("company", LIMIT, **more)
    if spent:
        hold = await ledger.hold(reserve_item(spent))
        await ledger.charge(pb.SettleItem(hold_id=hold.hold_id, attempts=[an_attempt(spent)]))
    request = wish(least=lease_pb2.LeaseAmounts(nanos=least))
    info = info_of(await refusal(acquired(ledger, request)))
    assert (info.reason, info.metadata["why"]) == ("LEASE_REFUSED", why)
    assert (await ledger.standing("company"))[1] == 0
    await ledger.hold(reserve_item(1))


async def test_a_repeat_of_a_grant_gets_it_again(ledger: Ledger) -> None:
    """Another wish under its name does not, nor one whose epoch was returned before it came."""
    await ledger.budget("company", LIMIT)
    lease = await acquired(ledger, wish())
    assert await acquired(ledger, wish()) == lease
    other = await refusal(acquired(ledger, wish(nanos=1_000)))
    assert info_of(other).reason == "LEASE_FENCED"
    await returned(ledger, epoch=2)
    late = await refusal(acquired(ledger, wish(epoch=2)))
    assert info_of(late).reason == "LEASE_FENCED"
    assert await ledger.standing("company") == (0, SLICE)


async def test_another_tenants_lease_is_unknown(ledger: Ledger) -> None:
    """It can be neither returned nor drawn from."""
    await ledger.budget("company", LIMIT)
    await acquired(ledger, wish())
    request = pb.ReturnLeaseRequest(lease=name(), tenant="other")
    assert info_of(await refusal(ledger.stub.ReturnLease(request))).reason == "HOLD_UNKNOWN"
    item = drawn(an_attempt(7))
    item.draw.attribution.tenant = item.tenant = "other"
    await ledger.charge(item)
    assert await ledger.standing("company") == (0, SLICE)
    item = drawn(an_attempt(7))
    item.tenant = "other"
    (result,) = await ledger.settle(item)
    assert info_of(result.error).reason == "HOLD_UNKNOWN"


async def test_without_a_budget_a_lease_holds_nothing(ledger: Ledger) -> None:
    """It is granted as wanted: there is no limit to keep."""
    lease = await acquired(ledger, wish())
    assert lease.granted.nanos == LIMIT
    assert not lease.hard
    assert not lease.HasField("tightest")
    assert (await ledger.charge(drawn(an_attempt(7)))).charged_nanos == 7_000


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("lease.epoch", wish(epoch=0)),
        ("attribution.session", wish(attribution=entry_pb2.Attribution(session="s"))),
        ("models[1].model", wish(models=[lease_pb2.LeasedModel()])),
        ("least.nanos", wish(least=lease_pb2.LeaseAmounts(nanos=-1))),
        ("call_duration", wish(call_duration=duration_pb2.Duration(seconds=4_000))),
    ],
)
async def test_wrong_wishes_are_named(
    ledger: Ledger, field: str, request_: pb.AcquireLeaseRequest
) -> None:
    """By the field."""
    status = await refusal(acquired(ledger, request_))
    assert field in status.message
    assert info_of(status).reason == "REQUEST_INVALID"


async def test_a_wrong_draw_is_named(ledger: Ledger) -> None:
    """By the field, and nothing is booked."""
    item = drawn(an_attempt(7))
    item.draw.request_id = ""
    del item.draw.worst_cases[:]
    (result,) = await ledger.settle(item)
    assert "draw.request_id" in result.error.message
    assert ledger.query("SELECT count(*) FROM entry") == [(0,)]
