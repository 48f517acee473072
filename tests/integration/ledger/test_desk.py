"""Budgets, keys, reports and rows over a real socket."""

from datetime import UTC, datetime
from pathlib import Path

from google.protobuf import duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    detail_of,
    hit_item,
    info_of,
    refusal,
    reserve_item,
    running_ledger,
    settle_item,
)


async def test_a_budget_is_shown_as_it_was_made(ledger: Ledger, clock: SetClock) -> None:
    """With the bounds of its window; a repeat makes no second one."""
    made = await ledger.budget(
        "month", 5_000, window=budget_pb2.BUDGET_WINDOW_MONTH, feature="chat", user="ann"
    )
    assert made.scope == budget_pb2.BudgetScope(tenant="acme", feature="chat", user="ann")
    assert made.window_start_time.ToDatetime(UTC) == datetime(2026, 3, 1, tzinfo=UTC)
    assert made.window_end_time.ToDatetime(UTC) == datetime(2026, 4, 1, tzinfo=UTC)
    clock.go_on(60)
    again = await ledger.budget(
        "month", 5_000, window=budget_pb2.BUDGET_WINDOW_MONTH, feature="chat", user="ann"
    )
    assert again == made
    other = pb.CreateBudgetRequest(
        budget_id="month",
        scope=budget_pb2.BudgetScope(tenant="acme"),
        window=budget_pb2.BUDGET_WINDOW_MONTH,
        limit_nanos=5_000,
    )
    assert info_of(await refusal(ledger.stub.CreateBudget(other))).reason == "ID_REUSED"
    other.scope.tenant = "another tenant has ids of its own"
    await ledger.stub.CreateBudget(other)


async def test_a_limit_is_changed_at_once_also_below_what_is_spent(ledger: Ledger) -> None:
    """Calls under way end as they would have; nothing new begins."""
    await ledger.budget("company", 100_000)
    item = reserve_item(20)
    await ledger.hold(item)
    request = pb.UpdateBudgetRequest()
    request.budget.budget_id, request.budget.scope.tenant = "company", "acme"
    request.budget.limit_nanos = 10_000
    request.update_mask.paths.append("limit_nanos")
    updated = (await ledger.stub.UpdateBudget(request)).budget
    assert (updated.limit_nanos, updated.reserved_nanos) == (10_000, 20_000)
    (refused,) = await ledger.reserve(reserve_item(1))
    assert info_of(refused.error).metadata["leftNanos"] == "-10000"
    settlement = await ledger.charge(settle_item(item.hold_id, an_attempt(15)))
    assert settlement.hold.tightest.left_nanos == -5_000
    request.budget.limit_nanos = 16_000
    await ledger.stub.UpdateBudget(request)
    await ledger.hold(reserve_item(1))


async def test_a_deleted_budget_is_gone_and_its_id_free(ledger: Ledger) -> None:
    """Holds under way resolve without it; a new one of the id counts from its making."""
    await ledger.budget("company", 20_000)
    item = reserve_item(20)
    await ledger.hold(item)
    name = pb.DeleteBudgetRequest(tenant="acme", budget_id="company")
    await ledger.stub.DeleteBudget(name)
    assert info_of(await refusal(ledger.stub.DeleteBudget(name))).reason == "BUDGET_UNKNOWN"
    settlement = await ledger.charge(settle_item(item.hold_id, an_attempt(20)))
    assert not settlement.hold.HasField("tightest")
    await ledger.budget("company", 30_000)
    assert await ledger.standing("company") == (0, 0)
    await ledger.hold(reserve_item(30))


async def test_budgets_are_listed_page_by_page_for_their_tenant_alone(ledger: Ledger) -> None:
    """By id, each once."""
    for number in range(5):
        await ledger.budget(f"b{number}", number)
    seen: list[str] = []
    request = pb.ListBudgetsRequest(tenant="acme", page_size=2)
    for _ in range(3):
        page = await ledger.stub.ListBudgets(request)
        seen += [budget.budget_id for budget in page.budgets]
        request.page_token = page.next_page_token
    assert seen == [f"b{number}" for number in range(5)]
    assert request.page_token == ""
    assert not (await ledger.stub.ListBudgets(pb.ListBudgetsRequest(tenant="other"))).budgets


async def test_a_page_token_opens_no_other_tenants_list(ledger: Ledger) -> None:
    """It is good for the question it answered."""
    for number in range(2):
        await ledger.budget(f"b{number}", number)
    page = await ledger.stub.ListBudgets(pb.ListBudgetsRequest(tenant="acme", page_size=1))
    theirs = pb.ListBudgetsRequest(tenant="other", page_token=page.next_page_token)
    status = await refusal(ledger.stub.ListBudgets(theirs))
    assert info_of(status).reason == "PAGE_INVALID"
    bad = detail_of(status, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "page_token"


async def _key(ledger: Ledger, key_id: str, **more: object) -> pb.CreateKeyResponse:
    request = pb.CreateKeyRequest(key_id=key_id, tenant="acme", **more)  # type: ignore[arg-type]  # fields by name
    return await ledger.stub.CreateKey(request)


async def test_a_key_opens_what_it_was_made_for(ledger: Ledger) -> None:
    """The secret is shown once and resolves to the key."""
    made = await _key(ledger, "k1", project="web", role=key_pb2.KEY_ROLE_ADMIN)
    assert made.secret.startswith("sg_")
    assert len(made.secret) >= 3 + 32
    assert made.key.hint == made.secret[:7]
    resolved = (await ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=made.secret))).key
    assert resolved == made.key
    assert (resolved.project, resolved.role) == ("web", key_pb2.KEY_ROLE_ADMIN)
    again = await _key(ledger, "k1", project="web", role=key_pb2.KEY_ROLE_ADMIN)
    assert (again.key, again.secret) == (made.key, "")
    other = pb.CreateKeyRequest(key_id="k1", tenant="acme")
    assert info_of(await refusal(ledger.stub.CreateKey(other))).reason == "ID_REUSED"


async def test_the_secret_is_nowhere_in_the_books(ledger: Ledger) -> None:
    """Not whole and not in pieces longer than the hint."""
    secret = (await _key(ledger, "k1")).secret
    ledger.query("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in ledger.path.parent.glob("ledger.db*"))
    pieces = [secret[start : start + 8] for start in range(len(secret) - 7)]
    assert not [piece for piece in pieces if piece.encode() in stored]


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(
    ledger: Ledger, clock: SetClock
) -> None:
    """Unknown, cut, lengthened, disabled, expired, empty: one refusal."""
    good = (await _key(ledger, "good")).secret
    disabled = (await _key(ledger, "disabled")).secret
    short = (await _key(ledger, "short", lifetime=duration_pb2.Duration(seconds=60))).secret
    request = pb.DisableKeyRequest(tenant="acme", key_id="disabled")
    first = (await ledger.stub.DisableKey(request)).key
    assert first.HasField("disable_time")
    clock.go_on(59)
    assert (await ledger.stub.DisableKey(request)).key == first
    await ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=short))
    clock.go_on(1)
    wrong = [disabled, short, good[:-1], good + "A", "A" * 10_000, "sg_" + "A" * 43, "", "ü"]
    statuses = [
        await refusal(ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=secret)))
        for secret in wrong
    ]
    assert {status.SerializeToString() for status in statuses} == {statuses[0].SerializeToString()}
    assert info_of(statuses[0]).reason == "KEY_INVALID"


async def test_keys_made_under_another_pepper_open_nothing(tmp_path: Path, clock: SetClock) -> None:
    """The database alone is not enough."""
    async with running_ledger(tmp_path, clock) as service:
        secret = (await _key(service, "k1")).secret
    async with running_ledger(tmp_path, clock, key_pepper="quite another pepper") as service:
        status = await refusal(service.stub.ResolveKey(pb.ResolveKeyRequest(secret=secret)))
        assert info_of(status).reason == "KEY_INVALID"


async def test_keys_are_listed_without_secrets(ledger: Ledger) -> None:
    """By id, for their tenant."""
    for key_id in ("b", "a", "c"):
        await _key(ledger, key_id)
    page = await ledger.stub.ListKeys(pb.ListKeysRequest(tenant="acme", page_size=2))
    rest = await ledger.stub.ListKeys(
        pb.ListKeysRequest(tenant="acme", page_size=2, page_token=page.next_page_token)
    )
    assert [key.key_id for key in [*page.keys, *rest.keys]] == ["a", "b", "c"]
    assert not (await ledger.stub.ListKeys(pb.ListKeysRequest(tenant="other"))).keys


async def _some_day(ledger: Ledger) -> None:
    """Ann: a call in two attempts (10 and 20 tokens), one that failed. Bob: a hit of 30."""
    call, failed = reserve_item(40), reserve_item(40)
    await ledger.reserve(call, failed)
    second = an_attempt(20, "strong", attempt_number=2, latency_ms=300)
    first = an_attempt(10, latency_ms=50)
    first.outcome = entry_pb2.ATTEMPT_OUTCOME_FAILED
    await ledger.settle(settle_item(call.hold_id, first, second))
    await ledger.release(pb.ReleaseItem(hold_id=failed.hold_id, attempts=[an_attempt(0)]))
    hit = hit_item(30)
    hit.attribution.user = "bob"
    hit.attempt.latency_ms = 2
    await ledger.book(hit)


async def test_a_report_counts_requests_once_and_sums_what_was_booked(ledger: Ledger) -> None:
    """Three requests in four attempts; the last try says how each ended."""
    await _some_day(ledger)
    response = await ledger.stub.Report(pb.ReportRequest(tenant="acme"))
    (row,) = response.rows
    assert row == response.total
    assert (row.request_count, row.attempt_count) == (3, 3)
    assert (row.hit_count, row.error_count) == (1, 1)
    assert row.input_tokens == 30
    assert row.cost_nanos == str(10_000 + 200_000)
    assert row.counterfactual_nanos == str(10_000 + 200_000 + 30_000)
    assert [(s.cause, s.saved_nanos) for s in row.savings] == [
        (entry_pb2.SAVING_CAUSE_CACHE, "30000")
    ]
    # 300 of the call's last try, 100 of the failed one, 2 of the hit.
    assert row.latency_mean_ms == 134


async def test_a_request_booked_by_two_commands_counts_once(ledger: Ledger) -> None:
    """Days apart too; its second row adds cost, not a request."""
    first = hit_item(30)
    await ledger.book(first)
    ledger.clock.go_on(2 * 24 * 3600)
    await ledger.book(hit_item(30, request_id=first.request_id))
    total = (await ledger.stub.Report(pb.ReportRequest(tenant="acme"))).total
    assert (total.request_count, total.hit_count) == (1, 1)
    assert total.counterfactual_nanos == "60000"


async def test_a_report_is_about_one_tenant(ledger: Ledger) -> None:
    """Nobody else's rows are in the sums or the groups."""
    await _some_day(ledger)
    request = pb.ReportRequest(tenant="other", group_by=[pb.DIMENSION_USER])
    response = await ledger.stub.Report(request)
    assert not response.rows
    assert (response.total.request_count, response.total.cost_nanos) == (0, "0")


async def test_groups_come_dearest_first_and_page_by_page(ledger: Ledger) -> None:
    """Every dimension; the total is over all pages."""
    await _some_day(ledger)
    request = pb.ReportRequest(
        tenant="acme", group_by=[pb.DIMENSION_MODEL, pb.DIMENSION_KIND], page_size=1
    )
    rows = []
    for _ in range(3):
        page = await ledger.stub.Report(request)
        assert page.total.request_count == 3
        rows += page.rows
        request.page_token = page.next_page_token
    assert [list(row.values) for row in rows] == [
        ["strong", "ENTRY_KIND_CALL"],
        ["cheap", "ENTRY_KIND_CALL"],
        ["cheap", "ENTRY_KIND_CACHE_HIT"],
    ]
    assert [(row.request_count, row.attempt_count) for row in rows] == [(1, 1), (1, 2), (1, 0)]
    by_user = await ledger.stub.Report(
        pb.ReportRequest(tenant="acme", group_by=[pb.DIMENSION_USER])
    )
    assert [(list(r.values), r.request_count) for r in by_user.rows] == [
        (["ann"], 2),
        (["bob"], 1),
    ]


async def test_a_report_takes_whole_hours(ledger: Ledger, clock: SetClock) -> None:
    """From the hour the start lies in, up to the end of the hour the end lies in."""
    clock.set(datetime(2026, 3, 10, 9, 59, tzinfo=UTC))
    await ledger.book(hit_item(1))
    clock.set(datetime(2026, 3, 10, 10, 1, tzinfo=UTC))
    await ledger.book(hit_item(1))
    await ledger.book(hit_item(1))
    clock.set(datetime(2026, 3, 10, 11, 0, tzinfo=UTC))
    await ledger.book(hit_item(1))

    async def count(start: str = "", end: str = "") -> int:
        request = pb.ReportRequest(tenant="acme")
        for text, field in ((start, request.start_time), (end, request.end_time)):
            if text:
                field.CopyFrom(timestamp_pb2.Timestamp())
                field.FromDatetime(datetime.fromisoformat(f"2026-03-10T{text}+00:00"))
        return int((await ledger.stub.Report(request)).total.request_count)

    assert await count() == 3
    clock.go_on(1)
    assert await count() == 4
    assert await count("10:30", "10:31") == 2
    assert await count("10:00", "11:00") == 2
    assert await count("09:59", "11:00:00.000001") == 4
    assert await count(end="10:00") == 1


async def test_sums_beyond_an_int64_are_told_exactly(ledger: Ledger, clock: SetClock) -> None:
    """Twelve rows of a billion dollars on different days: 12 * 10^18 nano-USD."""
    for _ in range(12):
        item = hit_item(1)
        item.attempt.counterfactuals[0].model = "dear"
        item.attempt.counterfactuals[0].usage.input_tokens = 10**12 - 1
        await ledger.book(item)
        clock.go_on(24 * 3600)
    report = await ledger.stub.Report(pb.ReportRequest(tenant="acme", group_by=[pb.DIMENSION_USER]))
    assert report.total.counterfactual_nanos == str(12 * (10**12 - 1) * 10**6)
    assert report.rows[0].savings[0].saved_nanos == str(12 * (10**12 - 1) * 10**6)


async def test_rows_are_listed_newest_first(ledger: Ledger) -> None:
    """All of a tenant's or one request's, page by page, nobody else's."""
    items = [hit_item(number + 1) for number in range(5)]
    for item in items:
        await ledger.book(item)
    foreign = hit_item(1)
    foreign.attribution.tenant = "other"
    foreign.request_id = items[0].request_id
    await ledger.book(foreign)
    seen: list[str] = []
    request = pb.ListEntriesRequest(tenant="acme", page_size=2)
    for _ in range(3):
        page = await ledger.stub.ListEntries(request)
        seen += [entry.entry_id for entry in page.entries]
        request.page_token = page.next_page_token
    assert seen == [item.attempt.entry_id for item in reversed(items)]
    assert request.page_token == ""
    one = await ledger.stub.ListEntries(
        pb.ListEntriesRequest(tenant="acme", request_id=items[0].request_id)
    )
    assert [entry.entry_id for entry in one.entries] == [items[0].attempt.entry_id]
