"""What a trace says of money: the root's cost is its attempts', however the request ends."""

import asyncio
import json
from contextlib import aclosing

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.ledger.v1 import budget_pb2, hold_pb2

from catalog.privacy import PrivacyConfig
from chassis import names
from chassis.telemetry import Telemetry
from gateway.errors import ProviderFailed
from gateway.privacy.capture import Capture
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from gateway.saga.ask import Ask
from gateway.saga.summary import note_finding
from tests.fakes.saga_house import House, prompt_of
from tests.fakes.services import COST_NANOS, refusal
from tests.unit.gateway.test_plan import PLANNED, planned


class Traced:
    """A saga whose spans are kept."""

    def __init__(self, make=House, *args):
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(provider.get_tracer("test"), provider)
        self.house = make(*args, telemetry=self.telemetry)

    def spans(self):
        """(root, attempts), once every booking has ended."""
        spans = self.exporter.get_finished_spans()
        (root,) = [s for s in spans if s.parent is None]
        return root, [s for s in spans if names.ATTEMPT_NUMBER in s.attributes]

    async def told(self):
        await self.house.books.drain()
        await asyncio.sleep(0)  # done-callbacks
        root, attempts = self.spans()
        booked = sum(
            COST_NANOS if attempt.usage.ByteSize() else 0
            for item in self.house.services.asked["settle"]
            for attempt in item.attempts
        )
        assert all(names.COST_NANO_USD in s.attributes for s in attempts)
        assert sum(s.attributes[names.COST_NANO_USD] for s in attempts) == booked
        assert root.attributes.get(names.COST_NANO_USD, 0) == booked
        assert all(root.start_time <= s.start_time <= s.end_time for s in attempts)
        return root, attempts


def lost(billed=Billed.UNKNOWN, reason=Unavailability.RESET):
    return ProviderUnavailable("fake", reason, billed=billed)


async def test_a_retry_that_may_be_billed_is_in_the_sum():
    """Two attempts, two costs; what the first one cost is the root's retries."""
    traced = Traced()
    traced.house.provider.script = [lost()]
    await traced.house.complete()
    root, attempts = await traced.told()
    assert [s.attributes[names.COST_NANO_USD] for s in attempts] == [COST_NANOS] * 2
    assert root.attributes[names.ATTEMPT_COUNT] == 2
    assert root.attributes[f"{names.COST_NANO_USD}.retries"] == COST_NANOS
    assert attempts[0].attributes[names.ERROR_TYPE] == "RESET"
    # A failed try ended when it failed, not when it was booked.
    assert attempts[0].end_time <= attempts[1].start_time


async def test_a_fallback_costs_what_the_model_that_answered_cost():
    """Tries that cost nothing say so."""
    traced = Traced()
    traced.house.services.models = ["cheap", "dear"]
    traced.house.provider.says["up-cheap"] = lost(Billed.NO)
    await traced.house.complete()
    _, attempts = await traced.told()
    assert [s.attributes[names.COST_NANO_USD] for s in attempts] == [0, 0, COST_NANOS]


def plan_that_falls(telemetry):
    house = planned()
    again = House(PLANNED, telemetry=telemetry)
    again.services.plan, again.provider.says = house.services.plan, house.provider.says
    again.provider.says["up-thrifty"] = "41"
    return again


async def test_a_plans_cheap_answers_are_in_the_sum():
    """Three calls, three costs; those that fell count as retries."""
    traced = Traced(plan_that_falls)
    await traced.house.complete()
    root, attempts = await traced.told()
    assert len(attempts) == 3
    assert root.attributes[f"{names.COST_NANO_USD}.retries"] == 2 * COST_NANOS


async def test_a_hit_costs_nothing_and_has_no_attempt():
    """It tells what it saved instead."""
    traced = Traced()
    await traced.house.complete()
    await traced.house.books.drain()
    traced.exporter.clear()
    traced.house.services.asked["settle"].clear()
    await traced.house.complete()
    root, attempts = await traced.told()
    assert attempts == []
    assert root.attributes[names.SAVED_NANO_USD] == COST_NANOS
    assert root.attributes[f"{names.SAVED_NANO_USD}.cache"] == COST_NANOS
    assert root.attributes[names.ATTEMPT_COUNT] == 0


@pytest.mark.parametrize("billed", [Billed.NO, Billed.UNKNOWN])
async def test_a_request_that_failed_tells_what_it_cost_all_the_same(billed):
    """The root waits for its booking, and still ends when the request did."""
    traced = Traced()
    traced.house.provider.script = [lost(billed)] * 2
    with pytest.raises(ProviderFailed):
        await traced.house.complete()
    root, attempts = await traced.told()
    assert len(attempts) == 2
    assert root.attributes[names.COST_NANO_USD] == (
        2 * COST_NANOS if billed is Billed.UNKNOWN else 0
    )
    assert root.attributes[names.ERROR_TYPE] == "ProviderFailed"


async def test_a_stream_that_its_caller_leaves_tells_what_was_written_until_then():
    """The last span that anybody looks at, and the one that was missing."""
    traced = Traced()
    async with aclosing(traced.house.stream()) as events:
        async for _ in events:
            break
    root, attempts = await traced.told()
    assert root.attributes[names.COST_NANO_USD] == COST_NANOS
    assert attempts[0].attributes[names.ERROR_TYPE] == "CALLER_GONE"


async def test_a_stream_that_breaks_off_is_in_the_sum():
    """By the provider's fault, after the first piece."""
    traced = Traced()
    traced.house.provider.break_after = (1, lost())
    with pytest.raises(ProviderFailed):
        async with aclosing(traced.house.stream()) as events:
            async for _ in events:
                pass
    root, _ = await traced.told()
    assert root.attributes[names.COST_NANO_USD] == COST_NANOS


async def test_a_cost_that_nobody_knows_is_not_told_as_nothing():
    """The ledger is away and the request failed: no span claims a cost of 0."""
    traced = Traced()
    traced.house.provider.script = [lost()] * 2
    traced.house.services.fail["settle"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    with pytest.raises(ProviderFailed):
        await traced.house.complete()
    await traced.house.books.drain()
    await asyncio.sleep(0)
    root, attempts = traced.spans()
    assert len(attempts) == 2
    assert all(names.COST_NANO_USD not in s.attributes for s in (root, *attempts))


async def test_the_root_says_what_one_searches_for():
    """Cost by part, the tightest budget, the price list, time to the first token, size by tag."""
    traced = Traced()
    traced.house.services.tightest = hold_pb2.BudgetLeft(
        budget_id="team", left_nanos=5, limit_nanos=9, unit=budget_pb2.BUDGET_UNIT_NANO_USD
    )
    async with aclosing(traced.house.stream()) as events:
        async for _ in events:
            pass
    root, _ = await traced.told()
    said = root.attributes
    assert said[names.BUDGET_ID] == "team"
    assert said[names.BUDGET_LEFT_NANO_USD] == 5
    assert said[names.PRICE_VERSION] == "test 1"
    assert said[names.GEN_AI_FIRST_CHUNK] > 0
    assert said[names.GEN_AI_COST] == said[names.COST_NANO_USD] / 10**9
    parts = [v for k, v in said.items() if k.startswith(f"{names.COST_NANO_USD}.")]
    assert sum(parts) == said[names.COST_NANO_USD]
    assert said[f"{names.COST_NANO_USD}.new"] > 0
    assert not any(name in said for name, _ in names.COST_OVER_NANO_USD)


@pytest.mark.parametrize(("similarity", "under"), [(0.99, 0), (0.97, 1), (0.9, 2), (0.85, 3)])
def test_likeness_can_be_searched_for_by_tag(similarity, under):
    """A trace store compares tags for equality only."""
    traced = Traced()
    span = traced.telemetry.start("chat", "")
    ask = Ask.__new__(Ask)
    ask.span = span
    ask.finding = cache_pb.Finding(outcome=cache_pb.OUTCOME_SEMANTIC, similarity=similarity)
    note_finding(ask)
    span.end()
    (kept,) = traced.exporter.get_finished_spans()
    assert sum(name in kept.attributes for name, _ in names.SIMILARITY_UNDER) == under


def opted_in(telemetry, privacy="{tenants: {acme: {capture: true}}}"):
    return House(f"privacy: {privacy}\n", telemetry=telemetry)


CANARY = "canary of mine, write to someone@example.org"


async def test_content_stays_out_of_a_trace():
    """By default, and for a tenant that did not opt in."""
    for privacy in ("{}", "{tenants: {other: {capture: true}, acme: {capture: false}}}"):
        traced = Traced(lambda telemetry, p=privacy: opted_in(telemetry, p))
        await traced.house.complete(CANARY)
        await traced.told()
        spans = traced.exporter.get_finished_spans()
        assert "canary" not in " ".join(span.to_json() for span in spans)
        assert "Hello" not in " ".join(span.to_json() for span in spans)


async def test_a_tenant_that_opted_in_finds_prompt_and_answer_on_its_root_redacted():
    """In the conventions' shape, on one event; a hit's answer too."""
    traced = Traced(opted_in)
    for _ in range(2):
        await traced.house.complete(CANARY)
        await traced.house.books.drain()
    roots = [s for s in traced.exporter.get_finished_spans() if s.parent is None]
    for root in roots:
        (event,) = root.events
        assert event.name == names.CONTENT_EVENT
        assert json.loads(event.attributes[names.GEN_AI_INPUT_MESSAGES]) == [
            {
                "role": "user",
                "parts": [{"type": "text", "content": "canary of mine, write to [email]"}],
            }
        ]
        assert json.loads(event.attributes[names.GEN_AI_OUTPUT_MESSAGES]) == [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hello there"}]}
        ]
        assert "canary" not in str(root.attributes)


async def test_what_is_captured_is_cut_the_newest_first():
    """A long conversation keeps its end; what was cut is counted."""
    traced = Traced()
    privacy = PrivacyConfig(tenants={"acme": {"capture": True}}, captured_chars_max=64)
    prompt = prompt_of("x" * 60)
    prompt.messages[0].parts.add().image.url = "data:secret"
    prompt.messages.add(role=3, content="y" * 50)
    span = traced.telemetry.start("chat", "")
    await Capture(privacy).note(span, "acme", prompt, [])
    span.end()
    (event,) = traced.exporter.get_finished_spans()[0].events
    first, last = json.loads(event.attributes[names.GEN_AI_INPUT_MESSAGES])
    assert last["parts"][0]["content"] == "y" * 50
    assert first["parts"] == [
        {"type": "text", "content": "x" * 14 + "[46 more characters]"},
        {"type": "image"},
    ]
    assert "secret" not in str(event.attributes)
