"""One request through five processes: the trace, the books, the cache, the budgets."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.ledger.v1 import entry_pb2, ledger_service_pb2

from chassis import names
from tests.e2e.house import bearer, prompt_of, until

# Tests share one loop, as they share the fleet.
pytestmark = pytest.mark.asyncio(loop_scope="session")

PROCESSES = {f"spendgate-{n}" for n in ("gateway", "tokenizer", "cache", "router", "ledger")}


def details(error, kind):
    status = rpc_status.from_call(error)
    found = kind()
    return [kind.FromString(d.value) for d in status.details if d.Is(found.DESCRIPTOR)]


async def test_one_request_one_trace_one_cost(house, tenant):
    """Spans from all five processes under one root, whose cost is the ledger's to the nano."""
    secret = await house.key(tenant)
    response = await house.complete(secret, "What is a hold?", feature="faq")
    summary = response.summary
    assert summary.cost_nanos > 0

    def whole():
        spans = house.sink.of(summary.trace_id)
        return {s.service for s in spans} == PROCESSES and any(not s.parent_id for s in spans)

    await until(whole)
    spans = house.sink.of(summary.trace_id)
    (root,) = [s for s in spans if not s.parent_id]
    assert root.service == "spendgate-gateway"
    by_id = {s.span_id: s for s in spans}
    for span in spans:
        if span is not root:
            assert by_id[span.parent_id].service == "spendgate-gateway", span
    assert 6 <= len(spans) <= 8
    (entry,) = await house.entries(tenant, summary.request_id)
    assert entry.cost_nanos == summary.cost_nanos
    assert root.attributes[names.COST_NANO_USD] == entry.cost_nanos
    assert root.attributes[names.SAVED_NANO_USD] == sum(s.saved_nanos for s in entry.savings)
    assert entry.counterfactual_nanos == entry.cost_nanos + sum(
        s.saved_nanos for s in entry.savings
    )
    assert entry.attribution.feature == "faq"


async def test_a_callers_trace_goes_on(house, tenant):
    """The root becomes a child of the caller's span; its sampled flag is not taken on trust."""
    secret = await house.key(tenant)
    trace_id, span_id = "ab" * 16, "cd" * 8
    response = await house.gateway.Complete(
        gateway_pb.CompleteRequest(model="cheap", prompt=prompt_of("hello there")),
        metadata=(*bearer(secret), ("traceparent", f"00-{trace_id}-{span_id}-00")),
    )
    assert response.summary.trace_id == trace_id
    await until(lambda: any(s.parent_id == span_id for s in house.sink.of(trace_id)))


async def test_a_repeat_is_served_from_the_cache_and_only_a_repeat(house, tenant):
    """The same text under another tenant, model, temperature or system prompt is a new one."""
    ours, theirs = await house.key(tenant), await house.key(tenant + "-other")
    first = await house.complete(ours, "What is the capital of France?", model="cheap")
    calls = sum(house.upstream.calls.values())

    async def again(secret=ours, text="What is the capital of France?", **kwargs):
        return (await house.complete(secret, text, **{"model": "cheap", **kwargs})).summary

    async def stored():
        return (await again()).source == gateway_pb.ANSWER_SOURCE_CACHE_EXACT

    await until(stored)
    calls = sum(house.upstream.calls.values())
    hit = await again()
    assert (hit.source, hit.cost_nanos) == (gateway_pb.ANSWER_SOURCE_CACHE_EXACT, 0)
    assert hit.usage == first.summary.usage
    (entry,) = await house.entries(tenant, hit.request_id)
    assert (entry.attempt.kind, entry.cost_nanos) == (entry_pb2.ENTRY_KIND_CACHE_HIT, 0)
    assert [(s.cause, s.saved_nanos) for s in entry.savings] == [
        (entry_pb2.SAVING_CAUSE_CACHE, first.summary.cost_nanos)
    ]
    assert (await again(text="what is  the capital of france?")).cost_nanos == 0
    assert sum(house.upstream.calls.values()) == calls
    for other in (
        {"secret": theirs},
        {"model": "strong"},
        {"sampling": chat_pb2.Sampling(temperature=0, seed=7)},
        {"sampling": chat_pb2.Sampling(temperature=1)},
        {"system": "Answer in French."},
        {"text": "What is the capital of Germany?"},
    ):
        summary = await again(**other)
        assert summary.source == gateway_pb.ANSWER_SOURCE_PROVIDER, other
        assert summary.cost_nanos > 0


async def test_auto_takes_the_cheapest_and_books_what_that_saved(house, tenant):
    """Routing's saving is the baseline at the same tokens, less the charge."""
    secret = await house.key(tenant)
    summary = (await house.complete(secret, "Classify: I love it")).summary
    assert summary.model == "cheap"
    (saving,) = summary.savings
    assert saving.cause == entry_pb2.SAVING_CAUSE_ROUTING
    assert summary.counterfactual_nanos == summary.cost_nanos + saving.saved_nanos
    assert saving.saved_nanos > summary.cost_nanos


async def test_two_budgets_and_the_one_that_would_break_is_named(house, tenant):
    """Refused before the provider is called; the wider budget is untouched."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    await house.budget(tenant, "reports-only", 1000, feature="reports")
    calls = house.upstream.calls.copy()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, "Write the report", feature="reports")
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    (quota,) = details(caught.value, error_details_pb2.QuotaFailure)
    assert [v.subject for v in quota.violations] == ["budget/reports-only"]
    (info,) = details(caught.value, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("BUDGET_EXCEEDED", "gateway.spendgate")
    assert info.metadata["budgetId"] == "reports-only"
    assert house.upstream.calls == calls
    assert await house.spent(tenant, "company") == (0, 0)
    assert await house.spent(tenant, "reports-only") == (0, 0)
    # Another feature of the same tenant goes on, on the wider budget alone.
    summary = (await house.complete(secret, "Hello", feature="faq")).summary
    assert await house.spent(tenant, "company") == (summary.cost_nanos, 0)
    assert summary.tightest.budget_id == "company"


async def test_a_provider_that_fails_gives_the_hold_back_in_full(house, tenant):
    """Nothing was answered, nothing is charged, nothing stays set aside; the tries are on the
    books."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, "Hello", model="fail-500")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    (info,) = details(caught.value, error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["attemptCount"]) == ("PROVIDER_FAILED", "2")

    async def booked():
        return await house.entries(tenant)

    entries = await until(booked)
    assert await house.spent(tenant, "company") == (0, 0)
    assert [(e.attempt.outcome, e.cost_nanos) for e in entries] == [
        (entry_pb2.ATTEMPT_OUTCOME_FAILED, 0)
    ] * 2


async def test_missing_usage_is_counted_and_charged(house, tenant):
    """A provider that tells no usage is not free."""
    secret = await house.key(tenant)
    summary = (await house.complete(secret, "Hello there", model="usage-missing")).summary
    assert summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    assert summary.cost_nanos > 0
    assert summary.usage.output_tokens > 0


async def test_concurrent_equal_questions_cost_once(house, tenant):
    """Sixteen callers, one upstream call, sixteen rows."""
    secret = await house.key(tenant)
    answers = await asyncio.gather(
        *(house.complete(secret, "Slowly now", model="late") for _ in range(16))
    )
    assert house.upstream.calls["late"] == 1
    assert sum(a.summary.cost_nanos > 0 for a in answers) == 1
    assert len(await house.entries(tenant)) == 16


async def test_the_report_adds_up(house, tenant):
    """Rows by feature add up to the total, in money and in requests."""
    secret = await house.key(tenant)
    summaries = [
        (await house.complete(secret, f"Question {n % 3}", feature=f"f{n % 2}")).summary
        for n in range(6)
    ]
    response = await house.ledger.Report(
        ledger_service_pb2.ReportRequest(
            tenant=tenant, group_by=[ledger_service_pb2.DIMENSION_FEATURE]
        ),
        metadata=house._inside,
    )
    assert {tuple(row.values) for row in response.rows} == {("f0",), ("f1",)}
    assert sum(int(row.cost_nanos) for row in response.rows) == int(response.total.cost_nanos)
    assert int(response.total.cost_nanos) == sum(s.cost_nanos for s in summaries)
    assert response.total.request_count == 6


async def test_a_roots_cost_is_its_attempts_and_the_ledgers_however_it_ends(house, tenant):
    """A call, a hit, a fallback's tries, a stream that breaks off and one that is left."""
    secret = await house.key(tenant)
    await house.complete(secret, "Once", model="cheap")
    await house.complete(secret, "Once", model="cheap")
    for model, ends in (("fail-500", True), ("reset-mid-stream", True), ("late", False)):
        call = house.gateway.StreamComplete(
            gateway_pb.StreamCompleteRequest(model=model, prompt=prompt_of("Twice")),
            metadata=bearer(secret),
        )
        if ends:
            with pytest.raises(grpc.aio.AioRpcError):
                async for _ in call:
                    pass
        else:
            await call.read()
            call.cancel()

    def roots():
        found = [s for s in house.sink.spans if s.attributes.get(names.TENANT) == tenant]
        whole = len(found) == 5 and all(names.COST_NANO_USD in s.attributes for s in found)
        return found if whole else None

    found = await until(roots)
    entries = await house.entries(tenant)
    assert len({root.trace_id for root in found}) == 5
    for root in found:
        booked = sum(e.cost_nanos for e in entries if e.attempt.trace_id == root.trace_id)
        attempts = [s for s in house.sink.of(root.trace_id) if names.ATTEMPT_NUMBER in s.attributes]
        assert root.attributes[names.COST_NANO_USD] == booked
        assert sum(s.attributes[names.COST_NANO_USD] for s in attempts) == booked
    assert sum(root.attributes[names.COST_NANO_USD] > 0 for root in found) == 3
