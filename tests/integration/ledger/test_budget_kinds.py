"""Budgets of every sort, keys that change and rows that are priced again, over a real socket."""

from pathlib import Path

import grpc
import pytest
from google.protobuf import duration_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    info_of,
    refusal,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.integration.ledger.test_leases import wish
from tests.unit.ledger.making import FLEET, SECOND

TOKENS = budget_pb2.BUDGET_UNIT_TOKENS
HOUR_US = 3600 * SECOND


async def _get(ledger: Ledger, budget_id: str) -> budget_pb2.Budget:
    request = pb.GetBudgetRequest(tenant="acme", budget_id=budget_id)
    return (await ledger.stub.GetBudget(request, timeout=30)).budget


async def test_one_limit_for_each_user_is_shown_value_by_value(ledger: Ledger) -> None:
    """Who used most comes first; the whole is their sum; a refusal names the value."""
    await ledger.budget("each", 10_000, each=["user", "tag:team"])
    for user, tokens in (("ann", 4), ("bob", 9), ("cy", 1)):
        item = reserve_item(tokens)
        item.attribution.user = user
        item.attribution.tags["team"] = "red"
        await ledger.hold(item)
    shown = await _get(ledger, "each")
    assert [(v.each["user"], v.reserved_amount) for v in shown.values] == [
        ("bob", 9_000),
        ("ann", 4_000),
        ("cy", 1_000),
    ]
    assert shown.reserved_amount == 14_000
    item = reserve_item(7)
    item.attribution.tags["team"] = "red"
    (result,) = await ledger.reserve(item)
    assert info_of(result.error).metadata["each.user"] == "ann"


async def test_a_budget_of_tokens_speaks_of_tokens(ledger: Ledger) -> None:
    """Limits, answers and refusals; and a limit of money cannot be set on it."""
    await ledger.budget("tokens", 100, unit=TOKENS)
    hold = await ledger.hold(reserve_item(60))
    assert (hold.tightest.unit, hold.tightest.left_amount) == (TOKENS, 40)
    assert hold.tightest.limit_nanos == 0
    request = pb.UpdateBudgetRequest(
        budget=budget_pb2.Budget(
            budget_id="tokens", scope=budget_pb2.BudgetScope(tenant="acme"), limit_nanos=5
        )
    )
    request.update_mask.paths.append("limit_nanos")
    status = await refusal(ledger.stub.UpdateBudget(request, timeout=30))
    assert info_of(status).reason == "REQUEST_INVALID"
    request.update_mask.paths[:] = ["limit_amount", "mode"]
    request.budget.limit_amount, request.budget.mode = 70, budget_pb2.BUDGET_MODE_SOFT
    changed = (await ledger.stub.UpdateBudget(request, timeout=30)).budget
    assert (changed.limit_amount, changed.mode) == (70, budget_pb2.BUDGET_MODE_SOFT)
    again = await ledger.hold(reserve_item(20))
    assert [notice.budget_id for notice in again.notices] == ["tokens"]
    assert (await _get(ledger, "tokens")).broken_count == 1


async def test_requests_are_counted_when_they_are_charged(ledger: Ledger) -> None:
    """A released one is none, though its failed try is in the books; kept and replayed alike."""
    await ledger.budget("calls", 2, unit=budget_pb2.BUDGET_UNIT_REQUESTS, each=["model"])
    charged, released = [await ledger.hold(reserve_item(5)) for _ in range(2)]
    (refused,) = await ledger.reserve(reserve_item(5))
    assert info_of(refused.error).metadata["unit"] == "REQUESTS"
    retried = an_attempt(5, kind=entry_pb2.ENTRY_KIND_RETRY)
    await ledger.charge(settle_item(charged.hold_id, an_attempt(0), retried))
    await ledger.release(pb.ReleaseItem(hold_id=released.hold_id, attempts=[an_attempt(0)]))
    assert await ledger.standing("calls") == (1, 0)


async def test_a_repeat_hears_the_same_notices(ledger: Ledger) -> None:
    """Out of the database as well as at first, and in the settlement."""
    await ledger.budget("soft", 10, mode=budget_pb2.BUDGET_MODE_SOFT, each=["user"])
    item = reserve_item(5)
    first = await ledger.hold(item)
    assert await ledger.hold(item) == first
    assert dict(first.notices[0].each) == {"user": "ann"}
    done = await ledger.charge(settle_item(item.hold_id, an_attempt(5)))
    assert list(done.hold.notices) == list(first.notices)


async def test_a_rolling_budget_survives_the_turn_of_the_day(
    ledger: Ledger, clock: SetClock
) -> None:
    """24 hours are 24 hours, kept in the database slice by slice."""
    rolling = duration_pb2.Duration(seconds=24 * 3600)
    window = budget_pb2.BUDGET_WINDOW_ROLLING
    await ledger.budget("day", 10_000, window=window, rolling=rolling)
    await ledger.charge(settle_item((await ledger.hold(reserve_item(10))).hold_id, an_attempt(10)))
    clock.now_us += 23 * HOUR_US
    (refused,) = await ledger.reserve(reserve_item(1))
    assert info_of(refused.error).reason == "BUDGET_EXCEEDED"
    assert await ledger.standing("day") == (10_000, 0)
    clock.now_us += 2 * HOUR_US
    await ledger.hold(reserve_item(10))
    assert await ledger.standing("day") == (0, 10_000)


async def test_a_day_begins_where_the_budget_says(ledger: Ledger) -> None:
    """Midnight in Kolkata is 18:30 UTC."""
    made = await ledger.budget(
        "day", 1, window=budget_pb2.BUDGET_WINDOW_DAY, time_zone="Asia/Kolkata"
    )
    start = made.window_start_time.ToDatetime()
    assert (start.hour, start.minute) == (18, 30)


async def test_a_model_and_its_provider_have_budgets(ledger: Ledger) -> None:
    """Only what they may take is held there, only what they took is charged."""
    await ledger.budget("strong", 10**9, model="strong")
    await ledger.budget("somewhere", 10**9, provider="somewhere")
    item = reserve_item(10)
    item.worst_cases[0].provider = "elsewhere"
    item.worst_cases.add(model="strong", provider="somewhere").usage.input_tokens = 3
    hold = await ledger.hold(item)
    assert await ledger.standing("strong") == (0, 30_000)
    assert await ledger.standing("somewhere") == (0, 30_000)
    await ledger.charge(settle_item(hold.hold_id, an_attempt(2, provider="elsewhere")))
    assert await ledger.standing("strong") == (0, 0)
    assert await ledger.standing("somewhere") == (0, 0)


async def test_another_tenants_hold_is_not_found(ledger: Ledger) -> None:
    """Whoever names the tenant beside the hold."""
    hold = await ledger.hold(reserve_item(1))
    item = settle_item(hold.hold_id, an_attempt(1))
    item.tenant = "other"
    (result,) = await ledger.settle(item)
    assert result.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    item.tenant = "acme"
    assert (await ledger.charge(item)).hold.state == hold_pb2.HOLD_STATE_SETTLED


async def test_totals_that_buckets_do_not_make_are_refused(ledger: Ledger) -> None:
    """And kept beside the buckets when they do."""
    hold = await ledger.hold(reserve_item(9))
    wrong = an_attempt(5, told_input_tokens=6)
    (result,) = await ledger.settle(settle_item(hold.hold_id, wrong))
    assert info_of(result.error).reason == "USAGE_IMPOSSIBLE"
    wrong.told_input_tokens = 5
    done = await ledger.charge(settle_item(hold.hold_id, wrong))
    assert done.entries[0].attempt.told_input_tokens == 5


async def test_a_key_is_rotated_with_a_while_for_both_secrets(
    ledger: Ledger, clock: SetClock
) -> None:
    """Then only the new one opens; without a grace the old one ends at once."""
    create = pb.CreateKeyRequest(key_id="k", tenant="acme", allowed_models=["gpt-*"])
    create.limits.requests_per_minute = 7
    create.tags["team"] = "red"
    first = (await ledger.stub.CreateKey(create, timeout=30)).secret
    rotate = pb.RotateKeyRequest(tenant="acme", key_id="k")
    rotate.grace.seconds = 60
    second = (await ledger.stub.RotateKey(rotate, timeout=30)).secret

    async def opens(secret: str) -> bool:
        try:
            key = await ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=secret), timeout=30)
        except grpc.aio.AioRpcError:
            return False
        assert list(key.key.allowed_models) == ["gpt-*"]
        assert (key.key.limits.requests_per_minute, dict(key.key.tags)) == (7, {"team": "red"})
        return True

    assert [await opens(first), await opens(second)] == [True, True]
    clock.now_us += 61 * SECOND
    assert [await opens(first), await opens(second)] == [False, True]
    rotate.ClearField("grace")
    third = (await ledger.stub.RotateKey(rotate, timeout=30)).secret
    assert [await opens(second), await opens(third)] == [False, True]


async def test_a_key_can_be_changed_and_a_dead_one_not_rotated(ledger: Ledger) -> None:
    """What the mask names is taken over, the rest stays."""
    await ledger.stub.CreateKey(pb.CreateKeyRequest(key_id="k", tenant="acme"), timeout=30)
    key = key_pb2.Key(tenant="acme", key_id="k", allowed_models=["a", "b*"])
    request = pb.UpdateKeyRequest(key=key)
    request.update_mask.paths.append("allowed_models")
    changed = (await ledger.stub.UpdateKey(request, timeout=30)).key
    assert list(changed.allowed_models) == ["a", "b*"]
    assert not changed.HasField("limits")
    await ledger.stub.DisableKey(pb.DisableKeyRequest(tenant="acme", key_id="k"), timeout=30)
    rotate = pb.RotateKeyRequest(tenant="acme", key_id="k")
    assert info_of(await refusal(ledger.stub.RotateKey(rotate, timeout=30))).reason == "KEY_INVALID"


async def test_rows_are_priced_again_page_by_page(tmp_path: Path, clock: SetClock) -> None:
    """First it only says so; then corrections are booked, once, and the books agree."""
    async with running_ledger(tmp_path, clock) as ledger:
        await ledger.budget("all", 10**9)
        for tokens in (3, 4, 5):
            hold = await ledger.hold(reserve_item(tokens))
            await ledger.charge(settle_item(hold.hold_id, an_attempt(tokens)))
    fleet = tmp_path / "dearer.yaml"
    fleet.write_text(FLEET.replace('_million: "1", output', '_million: "3", output'))
    clock.now_us += SECOND
    async with running_ledger(tmp_path, clock, config=fleet) as ledger:
        told = await _reprice(ledger, apply=False)
        assert [(one.old_nanos, one.new_nanos) for one in told] == [
            (3_000, 9_000),
            (4_000, 12_000),
            (5_000, 15_000),
        ]
        assert await ledger.standing("all") == (12_000, 0)
        assert await _reprice(ledger, apply=True) == told
        assert await ledger.standing("all") == (36_000, 0)
        assert await _reprice(ledger, apply=True) == []
        rows = await ledger.stub.ListEntries(pb.ListEntriesRequest(tenant="acme"), timeout=30)
        kinds = [row.attempt.kind for row in rows.entries]
        assert kinds.count(entry_pb2.ENTRY_KIND_CORRECTION) == 3
        report = await ledger.stub.Report(pb.ReportRequest(tenant="acme"), timeout=30)
        assert (report.total.cost_nanos, report.total.request_count) == ("36000", 3)
        verified = await ledger.stub.VerifyBooks(pb.VerifyBooksRequest(), timeout=30)
        assert verified.difference_count == 0


async def _reprice(ledger: Ledger, *, apply: bool) -> list[pb.Repriced]:
    found: list[pb.Repriced] = []
    request = pb.RepriceRequest(tenant="acme", page_size=2, apply=apply)
    while True:
        response = await ledger.stub.Reprice(request, timeout=30)
        found += response.repriced
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


async def test_books_that_disagree_are_told(tmp_path: Path, clock: SetClock) -> None:
    """Where, what is kept and what it should be."""
    async with running_ledger(tmp_path, clock) as ledger:
        await ledger.budget("all", 10**9)
        await ledger.hold(reserve_item(3))
        ledger.change("UPDATE balance SET reserved_amount = 1")
        verified = await ledger.stub.VerifyBooks(pb.VerifyBooksRequest(), timeout=30)
    (difference,) = verified.differences
    assert difference.what == "balance.reserved_amount"
    assert (difference.kept, difference.replayed) == ("1", "3000")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("limit_amount", {"unit": TOKENS, "limit_nanos": 1}),
        ("limit_nanos", {}),
        ("time_zone", {"limit_nanos": 1, "time_zone": "Mars/Olympus"}),
        ("rolling", {"limit_nanos": 1, "window": budget_pb2.BUDGET_WINDOW_ROLLING}),
        ("scope.each[0]", {"limit_nanos": 1, "each": ["colour"]}),
        ("scope.each[0]", {"limit_nanos": 1, "each": ["user"], "user": "ann"}),
        ("mode", {"limit_nanos": 1, "mode": 9}),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused_by_field(
    ledger: Ledger, field: str, change: dict[str, object]
) -> None:
    """Before anything is kept."""
    scope = {name: change.pop(name) for name in ("each", "user") if name in change}
    window = change.pop("window", budget_pb2.BUDGET_WINDOW_DAY)
    request = pb.CreateBudgetRequest(
        budget_id="b",
        window=window,
        scope=budget_pb2.BudgetScope(tenant="acme", **scope),
        **change,
    )
    status = await refusal(ledger.stub.CreateBudget(request, timeout=30))
    assert info_of(status).reason == "REQUEST_INVALID"
    assert field in str(status)


async def test_claims_have_budgets_as_tags_have(ledger: Ledger) -> None:
    """Of one claim's value, one limit for each value of another, and leases keep them apart."""
    await ledger.budget("sales", 50_000, tags={"claim.department": "sales"})
    await ledger.budget("each", 20_000, each=["tag:claim.sub"])

    def asked(department: str, sub: str, tokens: int) -> pb.ReserveItem:
        item = reserve_item(tokens)
        item.attribution.tags["claim.department"] = department
        item.attribution.tags["claim.sub"] = sub
        return item

    for sub in ("ann", "bob"):
        await ledger.hold(asked("sales", sub, 20))
    await ledger.hold(asked("support", "cy", 20))
    (one, other) = await ledger.reserve(asked("sales", "ann", 1), asked("sales", "dan", 11))
    assert info_of(one.error).metadata["budgetId"] == "each"
    assert info_of(one.error).metadata["each.tag:claim.sub"] == "ann"
    assert info_of(other.error).metadata["budgetId"] == "sales"
    assert await ledger.standing("sales") == (0, 40_000)
    shown = await _get(ledger, "each")
    assert {v.each["tag:claim.sub"]: v.reserved_amount for v in shown.values} == {
        "ann": 20_000,
        "bob": 20_000,
        "cy": 20_000,
    }
    request = wish()
    request.attribution.CopyFrom(asked("sales", "dan", 1).attribution)
    lease = (await ledger.stub.AcquireLease(request, timeout=30)).lease
    # A quarter of what sales has left above its last twentieth.
    assert lease.granted.nanos == (50_000 - 40_000 - 2_500) // 4
