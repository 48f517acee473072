"""The life of a hold over a real socket and a real database."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    detail_of,
    hit_item,
    info_of,
    reserve_item,
    running_ledger,
    settle_item,
)


async def test_of_two_budgets_the_one_that_would_break_refuses_and_the_other_is_untouched(
    ledger: Ledger,
) -> None:
    """The refusal names the budget; nothing is set aside anywhere."""
    await ledger.budget("company", 1_000_000)
    await ledger.budget("chat", 15_000, feature="chat")
    await ledger.hold(reserve_item(10))
    (result,) = await ledger.reserve(reserve_item(6))
    assert result.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    quota = detail_of(result.error, error_details_pb2.QuotaFailure)
    assert [violation.subject for violation in quota.violations] == ["budget/chat"]
    assert dict(info_of(result.error).metadata) == {
        "budgetId": "chat",
        "unit": "NANO_USD",
        "limit": "15000",
        "left": "5000",
        "needed": "6000",
        "limitNanos": "15000",
        "leftNanos": "5000",
        "neededNanos": "6000",
    }
    assert await ledger.standing("company") == (0, 10_000)
    assert await ledger.standing("chat") == (0, 10_000)


async def test_items_of_one_call_are_decided_one_by_one(ledger: Ledger) -> None:
    """A refused, an invalid and an unknown item do not disturb the others, order is kept."""
    await ledger.budget("company", 20_000)
    results = await ledger.reserve(
        reserve_item(10),
        reserve_item(15),
        pb.ReserveItem(hold_id="no uuid"),
        reserve_item(5, "unpriced"),
        reserve_item(10),
    )
    reasons = [
        info_of(result.error).reason if result.HasField("error") else "" for result in results
    ]
    assert reasons == ["", "BUDGET_EXCEEDED", "REQUEST_INVALID", "MODEL_UNPRICED", ""]
    assert results[4].hold.tightest.left_nanos == 0


async def test_a_settlement_books_rows_and_returns_the_rest(ledger: Ledger) -> None:
    """Costs, savings and the trace are on the row; the budget shows what is left."""
    await ledger.budget("company", 100_000)
    item = reserve_item(20)
    await ledger.hold(item)
    attempt = an_attempt(
        7,
        trace_id="ab" * 16,
        counterfactuals=[
            entry_pb2.Counterfactual(cause=entry_pb2.SAVING_CAUSE_ROUTING, model="strong")
        ],
    )
    attempt.counterfactuals[0].usage.input_tokens = 7
    settlement = await ledger.charge(settle_item(item.hold_id, attempt))
    assert settlement.charged_nanos == 7_000
    assert settlement.hold.state == hold_pb2.HOLD_STATE_SETTLED
    assert settlement.hold.tightest.left_nanos == 93_000
    (entry,) = settlement.entries
    assert entry.attempt == attempt
    assert entry.attribution == item.attribution
    assert entry.request_id == item.request_id
    assert [(s.cause, s.saved_nanos) for s in entry.savings] == [
        (entry_pb2.SAVING_CAUSE_ROUTING, 63_000)
    ]
    assert entry.counterfactual_nanos == 70_000
    assert entry.price_version.startswith("operator / cheap")
    assert await ledger.standing("company") == (7_000, 0)


async def test_repeats_get_the_first_answer_also_after_a_restart(
    tmp_path: Path, clock: SetClock
) -> None:
    """Every command twice before and once after: the same words, one effect."""
    reserved, recorded, returned = reserve_item(20), hit_item(5), reserve_item(3)
    released = pb.ReleaseItem(hold_id=returned.hold_id, attempts=[an_attempt(0)])
    settled = settle_item(reserved.hold_id, an_attempt(0), an_attempt(7))

    async def all_four(service: Ledger) -> list[object]:
        return [
            await service.hold(reserved),
            await service.hold(returned),
            await service.charge(settled),
            (await service.release(released))[0].hold,
            await service.book(recorded),
        ]

    async with running_ledger(tmp_path, clock) as service:
        await service.budget("company", 100_000)
        first = await all_four(service)
        clock.go_on(5)
        assert await all_four(service) == first
    clock.go_on(1000)
    async with running_ledger(tmp_path, clock) as service:
        assert await all_four(service) == first
        assert await service.standing("company") == (7_000, 0)
        assert await service.differences() == []


async def test_another_command_under_a_used_id_is_refused(ledger: Ledger) -> None:
    """Holds, settlements, releases, rows: ID_REUSED with the id."""
    item, other = reserve_item(20), reserve_item(20)
    await ledger.hold(item)
    await ledger.hold(other)
    attempt = an_attempt(5)
    await ledger.charge(settle_item(item.hold_id, attempt))
    await ledger.release(pb.ReleaseItem(hold_id=other.hold_id))
    changed = pb.ReserveItem()
    changed.CopyFrom(item)
    changed.request_id = "another"
    (held,) = await ledger.reserve(changed)
    (charged,) = await ledger.settle(settle_item(item.hold_id, an_attempt(5)))
    (returned,) = await ledger.release(
        pb.ReleaseItem(hold_id=other.hold_id, attempts=[an_attempt(0)])
    )
    reused = hit_item(1)
    reused.attempt.entry_id = attempt.entry_id
    (booked,) = await ledger.record(reused)
    for error, used in (
        (held.error, item.hold_id),
        (charged.error, item.hold_id),
        (returned.error, other.hold_id),
        (booked.error, attempt.entry_id),
    ):
        info = info_of(error)
        assert (info.reason, info.metadata["id"]) == ("ID_REUSED", used)


async def test_a_forgotten_hold_lapses_and_a_late_settlement_still_counts(
    ledger: Ledger, clock: SetClock
) -> None:
    """No phantom block; and what was spent is charged, marked late."""
    await ledger.budget("company", 20_000)
    item = reserve_item(20)
    item.hold_duration.seconds = 60
    await ledger.hold(item)
    (refused,) = await ledger.reserve(reserve_item(1))
    assert info_of(refused.error).reason == "BUDGET_EXCEEDED"
    clock.go_on(60)
    assert await ledger.standing("company") == (0, 0)
    await ledger.hold(reserve_item(20))
    settlement = await ledger.charge(settle_item(item.hold_id, an_attempt(12)))
    assert [entry.late for entry in settlement.entries] == [True]
    assert settlement.hold.tightest.left_nanos == -12_000
    assert await ledger.standing("company") == (12_000, 20_000)
    (again,) = await ledger.release(pb.ReleaseItem(hold_id=item.hold_id))
    assert info_of(again.error).metadata["state"] == "SETTLED"


async def test_releasing_a_lapsed_hold_is_no_error(ledger: Ledger, clock: SetClock) -> None:
    """The gateway was slow, nothing more."""
    await ledger.budget("company", 20_000)
    item = reserve_item(20)
    await ledger.hold(item)
    clock.go_on(121)
    (result,) = await ledger.release(pb.ReleaseItem(hold_id=item.hold_id))
    assert result.hold.state == hold_pb2.HOLD_STATE_RELEASED
    assert await ledger.standing("company") == (0, 0)


async def test_the_sweep_lets_go_what_no_command_touches(tmp_path: Path, clock: SetClock) -> None:
    """In the books themselves, not only in what is shown."""
    async with running_ledger(tmp_path, clock, sweep_seconds=0.02) as service:
        await service.budget("company", 20_000)
        await service.hold(reserve_item(20))
        assert service.query("SELECT reserved_amount FROM balance") == [(20_000,)]
        clock.go_on(121)
        async with asyncio.timeout(20):
            while service.query("SELECT reserved_amount FROM balance") != [(0,)]:
                await asyncio.sleep(0.01)
        assert service.query("SELECT state FROM hold") == [(hold_pb2.HOLD_STATE_EXPIRED,)]
        assert await service.differences() == []


async def test_budgets_start_anew_at_the_full_hour(ledger: Ledger, clock: SetClock) -> None:
    """12:59 pays for what was reserved then; 13:00 has all of it again."""
    await ledger.budget("hourly", 20_000, window=budget_pb2.BUDGET_WINDOW_HOUR)
    clock.set(datetime(2026, 3, 10, 12, 59, 59, tzinfo=UTC))
    item = reserve_item(20)
    await ledger.hold(item)
    (refused,) = await ledger.reserve(reserve_item(1))
    assert info_of(refused.error).metadata["resetTime"] == "2026-03-10T13:00:00Z"
    clock.go_on(1)
    await ledger.charge(settle_item(item.hold_id, an_attempt(20)))
    assert await ledger.standing("hourly") == (0, 0)
    hold = await ledger.hold(reserve_item(20))
    assert hold.tightest.left_nanos == 0


async def test_64_callers_never_spend_more_than_a_hot_budget_has(ledger: Ledger) -> None:
    """Each reserves and settles in its own calls, all at once; 40 fit, 40 get through."""
    await ledger.budget("hot", 400_000)
    await ledger.budget("wide", 10_000_000, project="web")
    admitted = 0
    overspent: list[int] = []

    async def caller(number: int) -> None:
        nonlocal admitted
        for _ in range(3):
            item = reserve_item(10)
            (result,) = await ledger.reserve(item)
            if result.HasField("error"):
                assert info_of(result.error).reason == "BUDGET_EXCEEDED"
                continue
            admitted += 1
            overspent.append(min(0, result.hold.tightest.left_nanos))
            if number % 4 == 3:
                await ledger.release(pb.ReleaseItem(hold_id=item.hold_id))
                admitted -= 1
            else:
                settlement = await ledger.charge(settle_item(item.hold_id, an_attempt(10)))
                overspent.append(min(0, settlement.hold.tightest.left_nanos))

    await asyncio.gather(*(caller(number) for number in range(64)))
    settled, reserved = await ledger.standing("hot")
    assert (settled, reserved) == (admitted * 10_000, 0)
    assert admitted <= 40
    assert not any(overspent)
    assert await ledger.standing("wide") == (settled, 0)
    while (await ledger.reserve(item := reserve_item(10)))[0].HasField("hold"):
        await ledger.charge(settle_item(item.hold_id, an_attempt(10)))
    assert await ledger.standing("hot") == (400_000, 0)


async def test_a_cancelled_call_leaves_the_books_right(ledger: Ledger) -> None:
    """Callers that hang up in the middle: each hold exists whole or not at all."""
    await ledger.budget("company", 10**9)
    items = [reserve_item(10) for _ in range(200)]
    calls = [ledger.stub.Reserve(pb.ReserveRequest(items=[item]), timeout=30) for item in items]
    await asyncio.sleep(0.005)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls[1::2])
    assert all(answer.results[0].HasField("hold") for answer in answers)
    assert await ledger.differences() == []
    await ledger.settle(*(settle_item(item.hold_id, an_attempt(1)) for item in items[1::2]))
    settled, reserved = await ledger.standing("company")
    assert settled == 100 * 1_000
    assert reserved % 10_000 == 0


async def test_what_may_all_be_called_is_held_together(ledger: Ledger) -> None:
    """A plan's hold is the sum of its worst cases, and it is refused when that does not fit."""
    await ledger.budget("company", 25_000)
    plan = reserve_item(10)
    plan.worst_cases.append(plan.worst_cases[0])
    plan.hold_all = True
    held = await ledger.hold(plan)
    assert held.held_nanos == 20_000
    again = reserve_item(3)
    again.worst_cases.append(again.worst_cases[0])
    again.hold_all = True
    (result,) = await ledger.reserve(again)
    assert info_of(result.error).reason == "BUDGET_EXCEEDED"
    attempts = [an_attempt(7), an_attempt(2, attempt_number=2)]
    settlement = await ledger.charge(settle_item(plan.hold_id, *attempts))
    assert settlement.charged_nanos == sum(entry.cost_nanos for entry in settlement.entries)
    assert await ledger.standing("company") == (9_000, 0)


async def test_a_shadow_call_costs_and_is_nobodys_request(ledger: Ledger) -> None:
    """Booked under its own kind; the books agree with themselves."""
    await ledger.budget("company", 100_000)
    item = reserve_item(10)
    await ledger.hold(item)
    shadow = an_attempt(7, kind=entry_pb2.ENTRY_KIND_SHADOW, counterfactuals=[])
    settlement = await ledger.charge(settle_item(item.hold_id, shadow))
    assert settlement.charged_nanos == 7_000
    assert await ledger.differences() == []
    report = await ledger.stub.Report(pb.ReportRequest(tenant="acme", group_by=[pb.DIMENSION_KIND]))
    (row,) = report.rows
    assert (list(row.values), row.request_count) == (["ENTRY_KIND_SHADOW"], 0)
