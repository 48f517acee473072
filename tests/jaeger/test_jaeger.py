"""A demo run as a real Jaeger shows it: traces whole, costs that add up, searches that find."""

import asyncio
import json
import time
import uuid
from contextlib import AsyncExitStack

import aiohttp
import grpc
import pytest
import pytest_asyncio
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from chassis import names
from tests.e2e.house import House, bearer, prompt_of, until
from tests.jaeger.server import BUILT, COMPONENT, Jaeger, built, given, tags_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROCESSES = {f"spendgate-{n}" for n in ("gateway", "tokenizer", "cache", "router", "ledger")}
# USD 1,000 for a million tokens: a few words are over a dollar's half.
DEAR = """
  dear: {provider: upstream, routable: false, capabilities: [],
    context_window_tokens: 100000, output_tokens_max: 4096, output_tokens_default: 64,
    price: {input_usd_per_million: "1000", output_usd_per_million: "1000"}}"""
PLANNED = """
routing:
  policy: fixed
  fixed: strong
  escalation: {cheap: [cheap], strong: strong}
"""
CAPITAL = "What is the capital of France?"
NEAR = "What's the capital city of France?"
FAR = "hey, what would be the capital city of the country France please"


class DemoRun:
    """What was asked, by what it shows: label of a search -> trace ids it must find."""

    def __init__(self, house, tenant):
        self._house = house
        self.tenants = [tenant]
        self.secret = ""
        self.traces = {}

    async def play(self):
        (tenant,) = self.tenants
        self.secret = await self._house.key(tenant)
        await self._house.budget(tenant, "all", 10**13)
        self._note("plain", await self._ask(CAPITAL, feature="faq"))
        hit = await until(self._hit)
        self._note("Cache hits, the very same prompt", hit)
        await self._reworded()
        dear = await self._ask("word " * 700, model="dear", feature="reports")
        for label in (
            "Requests over 50 cents",
            "Requests over a cent",
            "Dearest requests of the feature 'reports'",
        ):
            self._note(label, dear)
        self._house.upstream.script["gpt-4o-mini"] = "refusal"
        self._note("Cheap answers that fell", await self._ask("Prove it, please"))
        self._house.upstream.script["gpt-4o-mini"] = "happy"
        await self._refused()
        failed = await self._failing("Hello", "fail-500", self.secret)
        self.traces["No provider answered"] = {failed}
        self.traces["Tried more than once"] = {failed}

    def _note(self, label, summary):
        self.traces.setdefault(label, set()).add(summary.trace_id)

    async def _ask(self, text, **options):
        return (await self._house.complete(self.secret, text, **options)).summary

    async def _hit(self):
        found = await self._ask(CAPITAL, feature="faq")
        return found if found.source == gateway_pb.ANSWER_SOURCE_CACHE_EXACT else None

    async def _reworded(self):
        """Both rewordings served, one of them from farther away. What was not served yet is kept as
        an answer of its own, so that each round is another tenant's."""

        async def served():
            self.tenants.append(f"{self.tenants[0]}-{len(self.tenants)}")
            secret = await self._house.key(self.tenants[-1])
            told = {"model": "cheap", "cache_mode": gateway_pb.CACHE_MODE_SEMANTIC}
            await self._house.complete(secret, CAPITAL, **told)
            await asyncio.sleep(1)
            answers = [await self._house.complete(secret, text, **told) for text in (NEAR, FAR)]
            found = [answer.summary for answer in answers]
            hit = gateway_pb.ANSWER_SOURCE_CACHE_SEMANTIC
            return found if {each.source for each in found} == {hit} else None

        near, far = await until(served, 60)
        assert far.similarity < 0.9 < near.similarity
        self._note("Cache hits with similarity under 0.9", far)
        self._note("near", near)

    async def _refused(self):
        poor = f"{self.tenants[0]}-poor"
        secret = await self._house.key(poor)
        await self._house.budget(poor, "all", 1)
        trace_id = await self._failing("Hello", "cheap", secret)
        self.traces["Refused by a budget"] = {trace_id}

    async def _failing(self, text, model, secret):
        """The trace of a request that is refused: the caller's own."""
        trace_id = uuid.uuid4().hex
        with pytest.raises(grpc.aio.AioRpcError):
            await self._house.gateway.Complete(
                gateway_pb.CompleteRequest(model=model, prompt=prompt_of(text)),
                metadata=(*bearer(secret), ("traceparent", f"00-{trace_id}-{1:016x}-01")),
            )
        return trace_id


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(tmp_path_factory):
    """(Jaeger, house, demo run)"""
    addresses = given()
    if addresses is None and not BUILT.exists():
        pytest.skip(
            "no Jaeger: `make jaeger-check` builds one with Go, or asks the one it is given"
        )
    folder = tmp_path_factory.mktemp("jaeger")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        if addresses is None:
            addresses = await enter(built(folder))
        session = await enter(aiohttp.ClientSession())
        fleet = House(folder, PLANNED, models=DEAR, otlp_endpoint=addresses.otlp)
        house = await enter(fleet)
        run = DemoRun(house, f"demo-{time.time_ns()}")
        await run.play()
        yield Jaeger(session, addresses), house, run


def roots(spans):
    return [span for span in spans if names.REQUEST_ID in span["tags"]]


async def whole(jaeger, trace_id):
    async def there():
        spans = await jaeger.trace(trace_id)
        told = [s for s in spans if names.COST_NANO_USD in s["tags"] and s in roots(spans)]
        return spans if told else None

    return await until(there)


async def test_a_request_is_one_trace_over_five_services(shown):
    """As the trace view draws it: one root, every other span under it."""
    jaeger, _, run = shown
    (trace_id,) = run.traces["plain"]
    spans = await whole(jaeger, trace_id)

    async def everybody():
        return {s["service"] for s in await jaeger.trace(trace_id)} == PROCESSES

    await until(everybody)
    spans = await jaeger.trace(trace_id)
    (root,) = roots(spans)
    assert not root.get("parentSpanId")
    assert {s["parentSpanId"] for s in spans if s is not root} <= {s["spanId"] for s in spans}
    assert await jaeger.services() >= PROCESSES


async def test_costs_add_up_in_jaeger_and_are_the_ledgers(shown):
    """Root = attempts = rows of the books, for a call, a hit, a plan that fell, a failure."""
    jaeger, house, run = shown
    entries = [each for tenant in run.tenants for each in await house.entries(tenant)]
    checked = 0
    for trace_id in set().union(*run.traces.values()) - run.traces["Refused by a budget"]:
        spans = await whole(jaeger, trace_id)
        (root,) = roots(spans)
        booked = sum(e.cost_nanos for e in entries if e.attempt.trace_id == trace_id)
        attempts = [s for s in spans if names.ATTEMPT_NUMBER in s["tags"]]
        assert root["tags"][names.COST_NANO_USD] == booked
        assert sum(s["tags"][names.COST_NANO_USD] for s in attempts) == booked
        parts = [v for k, v in root["tags"].items() if k.startswith(f"{names.COST_NANO_USD}.")]
        assert sum(parts) in (0, booked)
        checked += booked
    assert checked > 500_000_000


@pytest.mark.parametrize(
    "item",
    json.loads((COMPONENT / "ui.json").read_text())["menu"][0]["items"],
    ids=lambda item: item["label"],
)
async def test_a_saved_search_finds_what_it_says_and_nothing_else(shown, item):
    """Each link of the menu, with its own tags."""
    jaeger, _, run = shown
    wanted = run.traces[item["label"]]
    tags = tags_of(item["url"])

    async def found():
        return wanted <= await jaeger.search(tags)

    await until(found)
    others = set().union(*(run.traces[label] for label in ("plain", "near")))
    assert not others & await jaeger.search(tags)


async def test_the_page_has_the_menu(shown):
    """As it is configured: Jaeger writes it into the page, whether its UI is built in or not."""
    jaeger, _, _ = shown
    page = await jaeger.page()
    for item in json.loads((COMPONENT / "ui.json").read_text())["menu"][0]["items"]:
        assert json.dumps(item["label"]) in page
