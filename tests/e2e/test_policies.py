"""A policy that predicts, through the whole fleet."""

import grpc
import pytest
from spendgate.ledger.v1 import entry_pb2

from chassis import names
from tests.e2e.house import House, until

QUESTION = "canary-of-the-policy: prove that there are infinitely many primes"


async def test_best_takes_the_strong_model_and_the_router_hears_how_it_went(tmp_path):
    """The prompt's text reaches the router, the call's end reaches it too, and it keeps neither
    text nor answer."""
    async with House(tmp_path, "routing: {policy: best}\n") as house:
        secret = await house.key("acme")
        summary = (await house.complete(secret, QUESTION)).summary
        assert summary.model == "strong"
        # Nothing cheaper than the baseline was chosen: routing claims nothing.
        assert [s for s in summary.savings if s.cause == entry_pb2.SAVING_CAUSE_ROUTING] == []
        await until(lambda: "ReportOutcome" in house.log("router").read_text())
        line = next(
            line for line in house.log("router").read_text().splitlines() if "ReportOutcome" in line
        )
        assert '"code": "OK"' in line
        kept = (tmp_path / "outcomes.jsonl").read_text()
        assert summary.request_id in kept
        assert "canary-of-the-policy" not in kept + house.log("router").read_text()


PLANNED = """
routing:
  policy: fixed
  fixed: strong
  escalation: {cheap: [cheap], strong: strong}
"""


async def test_a_plan_is_one_request_of_several_attempts_and_one_sum(tmp_path):
    """The root's cost is the sum over the attempts' spans, the ledger's rows and the budget's
    charge; a plan whose worst case does not fit is refused before any call."""
    async with House(tmp_path, PLANNED) as house:
        secret = await house.key("acme")
        await house.budget("acme", "all", 10**9)
        stood = (await house.complete(secret, "one")).summary
        assert stood.model == "cheap"
        assert [saving.saved_nanos > 0 for saving in stood.savings] == [True]
        house.upstream.script["gpt-4o-mini"] = "refusal"
        summary = (await house.complete(secret, "two")).summary
        assert summary.model == "strong"
        entries = await house.entries("acme", summary.request_id)
        assert {entry.attempt.attempt_number: entry.attempt.model_used for entry in entries} == {
            1: "cheap",
            2: "strong",
        }
        assert summary.cost_nanos == sum(entry.cost_nanos for entry in entries)
        # The strong model alone would have cost less by what the cheap one cost.
        cheap = next(entry for entry in entries if entry.attempt.model_used == "cheap")
        assert sum(saving.saved_nanos for saving in summary.savings) == -cheap.cost_nanos
        assert await house.spent("acme", "all") == (stood.cost_nanos + summary.cost_nanos, 0)

        def calls():
            spans = house.sink.of(summary.trace_id)
            whole = any(not span.parent_id for span in spans)
            return whole and [s for s in spans if names.ATTEMPT_NUMBER in s.attributes]

        spans = await until(calls)
        assert sum(s.attributes[names.COST_NANO_USD] for s in spans) == summary.cost_nanos
        (root,) = [s for s in house.sink.of(summary.trace_id) if not s.parent_id]
        assert root.attributes[names.COST_NANO_USD] == summary.cost_nanos
        assert root.attributes[names.PLAN_TAKEN] is False
        await until(lambda: "ReportOutcome" in house.log("router").read_text())

        await house.budget("poor", "all", 1)
        before = sum(house.upstream.calls.values())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.complete(await house.key("poor"), "three")
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sum(house.upstream.calls.values()) == before


SHADOWED = """
routing:
  policy: cheapest
  learning: {shadow_percent: 10}
"""


async def test_shadow_calls_are_booked_apart_and_the_budget_policy_turns_cheaper(tmp_path):
    """About a tenth of routed-down calls; under a feature of their own, on nobody's request."""
    async with House(tmp_path, SHADOWED) as house:
        secret = await house.key("acme")

        async def shadows():
            entries = await house.entries("acme")
            return [e for e in entries if e.attempt.kind == entry_pb2.ENTRY_KIND_SHADOW]

        for number in range(100):
            await house.complete(secret, f"question {number}")
            if await shadows():
                break
        (shadow,) = await until(shadows)
        assert (shadow.attempt.model_used, shadow.attribution.feature) == (
            "strong",
            "spendgate.shadow",
        )
        of = shadow.attribution.tags["spendgate.shadow_of"]
        assert [e.attempt.model_used for e in await house.entries("acme", of)] == ["cheap"]


async def test_at_four_fifths_of_the_budget_the_cheaper_model_is_chosen(tmp_path):
    """The share comes from the ledger, nobody sends it."""
    async with House(tmp_path, "routing: {policy: budget, target: {of: strong}}\n") as house:
        secret = await house.key("acme")
        first = (await house.complete(secret, QUESTION)).summary
        assert first.model == "strong"
        # Wide enough that the strong model's worst case still fits at four fifths.
        limit = 40 * first.cost_nanos
        await house.budget("poor", "all", limit)
        poor, number, model = await house.key("poor"), 0, "strong"
        while model == "strong":
            settled, _ = await house.spent("poor", "all")
            assert settled * 100 < 85 * limit
            number += 1
            summary = (await house.complete(poor, f"{QUESTION} {number}")).summary
            model = summary.model
        assert model == "cheap"
        assert settled * 100 >= 80 * limit
        assert "80 % of the budget" in summary.route_explanation
