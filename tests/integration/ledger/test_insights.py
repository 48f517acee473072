"""Insights over a real socket: anatomy, opportunities, a month's review, reconciliation, import."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.rpc import error_details_pb2
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2, insight_pb2
from spendgate.ledger.v1 import reading_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    detail_of,
    info_of,
    refusal,
    reserve_item,
    settle_item,
)


async def spend(ledger: Ledger, model: str = "cheap", *, who: dict | None = None, **usage: Any):
    """A settled call with this usage; `facts` and other parts of the attempt by name."""
    more = {name: usage.pop(name) for name in list(usage) if not name.endswith("_tokens")}
    item = reserve_item(10_000, model)
    tags = (who or {}).pop("tags", {})
    item.attribution.MergeFrom(entry_pb2.Attribution(**(who or {})))
    item.attribution.tags.update(tags)
    await ledger.hold(item)
    attempt = an_attempt(1, model, **more)
    attempt.usage.CopyFrom(chat_pb2.TokenUsage(**usage))
    await ledger.charge(settle_item(item.hold_id, attempt))
    return item.request_id


def facts(**more: Any) -> entry_pb2.PromptFacts:
    return entry_pb2.PromptFacts(**more)


async def parts_of(ledger: Ledger, **more: Any) -> dict[str, int]:
    request = pb.AnatomyRequest(tenant="acme", **more)
    anatomy = (await ledger.reading.Anatomy(request)).anatomy
    found = {part.name: part.nanos for part in anatomy.parts}
    assert sum(found.values()) == anatomy.cost_nanos
    return found


async def test_the_anatomy_adds_up_to_what_was_charged(ledger: Ledger) -> None:
    """Each multiplier of a naive estimate in its place, to the nano."""
    segments = facts(system_tokens=30, tools_tokens=5, history_tokens=50, new_tokens=10)
    await spend(ledger, input_tokens=98, output_tokens=20, reasoning_tokens=7, facts=segments)
    await spend(ledger, input_tokens=40, output_tokens=2)
    await spend(ledger, input_tokens=11, who={"tags": {"environment": "staging"}})
    await spend(ledger, input_tokens=13, attempt_number=2)
    await spend(ledger, input_tokens=17, outcome=entry_pb2.ATTEMPT_OUTCOME_FAILED)
    assert await parts_of(ledger) == {
        "naive estimate": (10 + 40) * 1_000 + 22 * 2_000,
        "system prompts": 30_000,
        "tools": 5_000,
        "history": 50_000,
        "message overhead": 3_000,
        "reasoning": 14_000,
        "retries and fallbacks": 13_000,
        "failed calls": 17_000,
        "development": 11_000,
    }
    assert await parts_of(ledger, feature="none") == {"naive estimate": 0}


async def found(ledger: Ledger, **more: Any) -> pb.OpportunitiesResponse:
    return await ledger.reading.Opportunities(pb.OpportunitiesRequest(tenant="acme", **more))


def of_kind(response: pb.OpportunitiesResponse, kind: str) -> list[insight_pb2.Opportunity]:
    number = insight_pb2.OpportunityKind.Value(f"OPPORTUNITY_KIND_{kind}")
    return [each for each in response.opportunities if each.kind == number]


async def test_repeated_prompts_are_told_with_requests_and_an_interval(
    ledger: Ledger, clock: SetClock
) -> None:
    """Three equal ones within an hour, a fourth the same day, a fifth the day after."""
    again = facts(prompt_hash="h1")
    ids = []
    for seconds in (0, 60, 60, 4 * 3600, 24 * 3600):
        clock.go_on(seconds)
        ids.append(await spend(ledger, input_tokens=100, facts=again))
    await spend(ledger, input_tokens=999, facts=facts(prompt_hash="other"))
    (told,) = of_kind(await found(ledger), "REPEATS")
    # Of 100,000 nano-USD each: two within the hour, three within the day, four in all.
    scale = 2_592_000_000_000 / (clock() + 1 - 1_773_100_800_000_000)
    assert told.month_nanos_low == int(200_000 * scale)
    assert told.month_nanos == int(300_000 * scale)
    assert told.month_nanos_high == int(400_000 * scale)
    assert set(told.request_ids) == set(ids)
    assert told.subject == "feature chat"


async def test_a_long_static_prompt_read_at_full_price_is_told(ledger: Ledger) -> None:
    """Only where the model's cached tokens are cheaper: those of the tests' models are not."""
    for _ in range(3):
        await spend(ledger, input_tokens=2_000, facts=facts(system_hash="s", system_tokens=1_500))
    assert not of_kind(await found(ledger), "PROMPT_CACHE")


async def test_short_answers_of_a_strong_model_are_told(ledger: Ledger) -> None:
    """With the cheaper model that is configured and what it would have cost."""
    for _ in range(20):
        await spend(ledger, "strong", input_tokens=100, output_tokens=10)
    (told,) = of_kind(await found(ledger), "STRONG_MODEL")
    assert "model cheap" in told.setting
    assert told.month_nanos_low * 2 == pytest.approx(told.month_nanos, abs=2)
    assert told.month_nanos <= told.month_nanos_high
    assert len(told.request_ids) == 5


async def test_conversations_that_grow_are_told(ledger: Ledger) -> None:
    """The tokens beyond four times the first turn."""
    for tokens in (100, 200, 500, 900):
        await spend(ledger, input_tokens=tokens, who={"session": "s1"})
    (told,) = of_kind(await found(ledger), "GROWING_CONTEXT")
    assert "600 tokens beyond" in told.evidence


async def test_what_the_rows_lack_is_said(ledger: Ledger) -> None:
    """Nobody mistakes not looking for not finding."""
    await spend(ledger, input_tokens=10)
    lacking = (await found(ledger)).lacking
    assert any("prompt hash" in each for each in lacking)
    assert any("segment" in each for each in lacking)
    assert not (await ledger.reading.Opportunities(pb.OpportunitiesRequest(tenant="none"))).lacking


async def test_a_month_is_held_against_the_one_before(ledger: Ledger, clock: SetClock) -> None:
    """Volume and rate add up; a repeat that was mended counts as saved."""
    clock.set(datetime(2026, 2, 10, tzinfo=UTC))
    for _ in range(4):
        await spend(ledger, input_tokens=100, facts=facts(prompt_hash="h"))
    clock.set(datetime(2026, 3, 10, tzinfo=UTC))
    for number in range(8):
        await spend(ledger, input_tokens=50, facts=facts(prompt_hash=f"h{number}"))
    request = pb.ReviewRequest(tenant="acme", month_time=datetime(2026, 3, 2, tzinfo=UTC))
    review = (await ledger.reading.Review(request)).review
    assert (review.cost_nanos, review.cost_before_nanos) == (400_000, 400_000)
    (change,) = review.changes
    assert (change.volume_nanos, change.rate_nanos) == (400_000, -400_000)
    (outcome,) = [
        each for each in review.outcomes if each.before.kind == insight_pb2.OPPORTUNITY_KIND_REPEATS
    ]
    assert outcome.left_nanos == 0
    assert outcome.realised_nanos == outcome.expected_nanos > 0
    assert review.anatomy.cost_nanos == 400_000


async def reconciled(ledger: Ledger, *lines: insight_pb2.ProviderLine) -> list[tuple[str, int]]:
    request = pb.ReconcileRequest(tenant="acme", lines=lines)
    response = await ledger.reading.Reconcile(request)
    return [
        (insight_pb2.DriftCause.Name(d.cause).removeprefix("DRIFT_CAUSE_"), d.cost_drift_nanos)
        for d in response.drifts
    ]


def line(model: str = "cheap", **more: Any) -> insight_pb2.ProviderLine:
    return insight_pb2.ProviderLine(day="2026-03-10", model=model, **more)


async def test_a_drift_is_told_with_its_cause(ledger: Ledger) -> None:
    """By requests, tokens, price, tier; a snapshot's date in a name is no other model."""
    for _ in range(2):
        await spend(ledger, input_tokens=100, output_tokens=10)
    usage = chat_pb2.TokenUsage(input_tokens=200, output_tokens=20)
    same = {"request_count": 2, "usage": usage}
    assert await reconciled(ledger, line(**same, cost_nanos=240_000)) == [("NONE", 0)]
    dated = line("cheap-2026-01-31", **same, cost_nanos=240_000)
    assert await reconciled(ledger, dated) == [("NONE", 0)]
    assert await reconciled(ledger, line(**same, cost_nanos=120_000)) == [("TIER", 120_000)]
    assert await reconciled(ledger, line(**same, cost_nanos=300_000)) == [("PRICE", -60_000)]
    more = line(request_count=5, usage=usage, cost_nanos=600_000)
    assert await reconciled(ledger, more) == [("AROUND_GATEWAY", -360_000)]
    cached = chat_pb2.TokenUsage(input_tokens=100, cached_input_tokens=100, output_tokens=20)
    split = line(request_count=2, usage=cached, cost_nanos=200_000)
    assert await reconciled(ledger, split) == [("CACHE_SPLIT", 40_000)]
    other = line(request_count=2, usage=chat_pb2.TokenUsage(input_tokens=250, output_tokens=20))
    assert await reconciled(ledger, other) == [("TOKENS", 0)]
    stranger = line("gpt-99", request_count=1, cost_nanos=5)
    assert await reconciled(ledger, stranger) == [("NOT_BILLED", 240_000), ("MODEL_UNKNOWN", -5)]


async def test_a_day_that_is_none_is_refused(ledger: Ledger) -> None:
    """The 30th of February is in no calendar."""
    request = pb.ReconcileRequest(
        tenant="acme", lines=[insight_pb2.ProviderLine(day="2026-02-30", model="cheap")]
    )
    status = await refusal(ledger.reading.Reconcile(request))
    assert info_of(status).reason == "REQUEST_INVALID"


def event(event_id: str, when: datetime, tokens: int = 100, **more: Any) -> pb.UsageEvent:
    made = pb.UsageEvent(
        source="nightly", event_id=event_id, event_time=when, model="cheap", **more
    )
    made.usage.input_tokens = tokens
    made.attribution.tenant, made.attribution.feature = "acme", "import"
    return made


async def imported(ledger: Ledger, *events: pb.UsageEvent) -> list[pb.ImportUsageResult]:
    return list((await ledger.reading.ImportUsage(pb.ImportUsageRequest(items=events))).results)


async def test_what_went_around_is_booked_once_at_its_own_time(
    ledger: Ledger, clock: SetClock
) -> None:
    """A repeat gives the first row; another amount under the same id is refused."""
    when = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    (first,) = await imported(ledger, event("e1", when))
    (again,) = await imported(ledger, event("e1", when))
    assert first == again
    assert first.entry.book_time.ToDatetime(UTC) == when
    (other,) = await imported(ledger, event("e1", when, tokens=101))
    assert info_of(other.error).reason == "ID_REUSED"
    request = pb.BreakdownRequest(tenant="acme", group_by=[pb.AXIS_DAY])
    response = await ledger.reading.Breakdown(request)
    assert [(list(row.sums.values), row.sums.cost_nanos) for row in response.rows] == [
        (["2026-02-03"], "100000")
    ]


async def test_budgets_are_charged_with_imports_only_when_asked(ledger: Ledger) -> None:
    """Then those of now."""
    await ledger.budget("company", 10_000_000)
    when = datetime(2026, 3, 1, tzinfo=UTC)
    await imported(ledger, event("e1", when))
    assert await ledger.standing("company") == (0, 0)
    await imported(ledger, event("e2", when, charges_budgets=True))
    assert await ledger.standing("company") == (100_000, 0)


async def test_an_import_is_refused_item_by_item(ledger: Ledger, clock: SetClock) -> None:
    """The future, an unknown price, a missing id; the others are booked."""
    now = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    bad = event("e1", now + timedelta(days=1))
    unpriced = event("e2", now)
    unpriced.model = "unpriced"
    good, nameless, unpriced_result, future = await imported(
        ledger, event("e3", now), event("", now), unpriced, bad
    )
    assert good.HasField("entry")
    assert info_of(unpriced_result.error).reason == "MODEL_UNPRICED"
    for result, field in ((nameless, "event_id"), (future, "event_time")):
        violations = detail_of(result.error, error_details_pb2.BadRequest).field_violations
        assert [violation.field for violation in violations] == [field]
