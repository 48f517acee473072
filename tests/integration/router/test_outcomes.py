"""Learning over a real socket: what is reported changes what is chosen, and survives a restart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.router.v1 import router_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2_grpc as rpc

from chassis.server import running
from services.router.settings import RouterSettings
from services.router.wiring import build

FLEET = """
providers: {p: {base_url: "http://127.0.0.1:8090/v1"}}
models:
  small: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}
  large: {provider: p, price: {input_usd_per_million: 10, output_usd_per_million: 10}}
baseline_model: large
routing:
  policy: target
  target: {quality_percent_min: 80}
  escalation: {cheap: [small], strong: large}
  learning: {shadow_percent: 10}
"""
EASY = "name the colour of a ripe tomato, number {}"
HARD = "prove the theorem about prime gaps, variant {}"

Start = Callable[[], Awaitable[rpc.RouterServiceStub]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a router on one outcomes file; started again, the one before has ended."""
    (tmp_path / "fleet.yaml").write_text(FLEET)
    settings = RouterSettings(
        config=tmp_path / "fleet.yaml", outcomes_file=tmp_path / "outcomes.jsonl"
    )
    stack = AsyncExitStack()

    async def again() -> rpc.RouterServiceStub:
        await stack.aclose()
        server = await stack.enter_async_context(running("router", settings, build))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        return rpc.RouterServiceStub(channel)

    yield again
    await stack.aclose()


def item(text: str, request_id: str = "", tenant: str = "acme") -> pb.RouteItem:
    return pb.RouteItem(
        tenant=tenant, model="auto", input_tokens=100, text=text, request_id=request_id
    )


def score(request_id: str, model: str, value: float, **changes: Any) -> pb.Outcome:
    return pb.Outcome(
        **{
            "tenant": "acme",
            "request_id": request_id,
            "model": model,
            "source": pb.OUTCOME_SOURCE_VALIDATOR,
            "score": value,
        }
        | changes
    )


async def chosen(stub: rpc.RouterServiceStub, each: pb.RouteItem) -> pb.Decision:
    response = await stub.Route(pb.RouteRequest(items=[each]), timeout=20)
    decision: pb.Decision = response.results[0].decision
    return decision


async def tell(stub: rpc.RouterServiceStub, *items: pb.Outcome) -> list[pb.OutcomeResult]:
    response = await stub.ReportOutcome(pb.ReportOutcomeRequest(items=items), timeout=20)
    return list(response.results)


def reason(result: pb.OutcomeResult) -> str:
    found = error_details_pb2.ErrorInfo()
    assert any(each.Unpack(found) for each in result.error.details)
    return str(found.reason)


async def teach(stub: rpc.RouterServiceStub, count: int = 240) -> None:
    """Easy prompts both models answer, hard ones only the large one."""
    items = [item((HARD if n % 2 else EASY).format(n), request_id=f"r{n}") for n in range(count)]
    await stub.Route(pb.RouteRequest(items=items), timeout=20)
    assert count <= 256
    told = [score(f"r{n}", "large", 1.0) for n in range(count)]
    told += [score(f"r{n}", "small", 0.0 if n % 2 else 1.0) for n in range(count)]
    for begin in range(0, len(told), 200):
        results = await tell(stub, *told[begin : begin + 200])
        assert all(each.HasField("taken") for each in results)


async def learned(stub: rpc.RouterServiceStub) -> None:
    """Waits until the labels have been taken up."""
    for _ in range(200):
        explained = await stub.Explain(pb.ExplainRequest(item=item(EASY)), timeout=20)
        if explained.labels >= 240:
            return
        # A report wakes learning up; a known one changes nothing.
        await tell(stub, score("r0", "large", 1.0))
        await asyncio.sleep(0.05)
    raise AssertionError("not learned")


async def test_without_outcomes_the_default_is_taken(start: Start) -> None:
    """A new tenant's prompts go to the baseline model: nothing is sure yet."""
    decision = await chosen(await start(), item(EASY))
    assert decision.chosen.model == "large"
    assert decision.reason == pb.ROUTE_REASON_TARGET_DEFAULT
    assert not decision.HasField("plan")


async def test_own_outcomes_send_easy_prompts_to_the_cheap_model(start: Start) -> None:
    """After labels the easy kind goes to small, the hard kind stays; over a restart as well."""
    stub = await start()
    await teach(stub)
    await learned(stub)
    for _ in range(2):
        easy = await chosen(stub, item(EASY.format(901)))
        hard = await chosen(stub, item(HARD.format(901)))
        assert (easy.chosen.model, hard.chosen.model) == ("small", "large")
        assert easy.reason == pb.ROUTE_REASON_TARGET_MET
        assert easy.propensities[0].model == "small"
        stub = await start()


async def test_explain_shows_what_weighed(start: Start) -> None:
    """Every candidate with quality and dollars, the nearest examples, the plan."""
    stub = await start()
    await teach(stub)
    await learned(stub)
    explained = await stub.Explain(pb.ExplainRequest(item=item(HARD.format(902))), timeout=20)
    assert [each.candidate.model for each in explained.prospects] == ["small", "large"]
    small, large = explained.prospects
    assert small.quality < 0.5 < large.quality
    assert 0 < small.own_share <= 1
    assert small.quality_low < small.quality
    assert len(explained.nearest_request_ids) == 3
    assert all(int(each[1:]) % 2 for each in explained.nearest_request_ids)
    assert explained.policy == "target"
    assert explained.baseline_cost_nanos > small.candidate.expected_cost_nanos
    assert 0 < len(explained.features) <= 8
    # small stood half of its checks: asking it first costs 60 % of asking large.
    plan = explained.decision.plan
    assert [step.candidate.model for step in plan.steps] == ["small", "large"]
    assert plan.worst_case_nanos == (
        small.candidate.worst_case_nanos + large.candidate.worst_case_nanos
    )


async def test_tenants_learn_apart(start: Start) -> None:
    """One tenant's outcomes never move another's decisions."""
    stub = await start()
    await teach(stub)
    await learned(stub)
    other = await chosen(stub, item(EASY.format("x"), tenant="other"))
    assert other.chosen.model == "large"
    (result,) = await tell(stub, score("r1", "small", 1.0, tenant="other"))
    assert reason(result) == "DECISION_UNKNOWN"


async def test_an_outcome_counts_once(start: Start) -> None:
    """An equal repeat is answered again, another content is refused; also after a restart."""
    stub = await start()
    await chosen(stub, item(EASY, request_id="a"))
    first, again = await tell(stub, score("a", "small", 1.0), score("a", "small", 1.0))
    assert (first.taken.repeated_report, again.taken.repeated_report) == (False, True)
    stub = await start()
    (other,) = await tell(stub, score("a", "small", 0.5))
    assert reason(other) == "ID_REUSED"


async def test_a_bad_outcome_fails_alone(start: Start) -> None:
    """Its neighbours are taken; each failure has its reason."""
    stub = await start()
    await chosen(stub, item(EASY, request_id="a"))
    results = await tell(
        stub,
        score("a", "smal", 1.0),
        score("a", "small", 1.5),
        score("a", "small", 0.5, source=pb.OUTCOME_SOURCE_CALL),
        score("never-routed", "small", 1.0),
        score("a", "small", 1.0, timeout_ms=-1),
        score("a", "small", 1.0),
    )
    assert [reason(each) for each in results[:-1]] == [
        "MODEL_UNKNOWN",
        "REQUEST_INVALID",
        "REQUEST_INVALID",
        "DECISION_UNKNOWN",
        "DEADLINE_PASSED",
    ]
    assert results[-1].HasField("taken")


async def test_a_file_that_cannot_be_written_is_said(start: Start, tmp_path: Path) -> None:
    """An outcome that is not on the disk was not taken; once it can be, it is."""
    stub = await start()
    await chosen(stub, item(EASY, request_id="a"))
    path = tmp_path / "outcomes.jsonl"
    path.mkdir()
    (result,) = await tell(stub, score("a", "small", 1.0))
    assert reason(result) == "OUTCOMES_UNAVAILABLE"
    path.rmdir()
    (result,) = await tell(stub, score("a", "small", 1.0))
    assert not result.taken.repeated_report


def call(n: int, model: str, status: "pb.CallStatus", **changes: Any) -> pb.Outcome:
    fields: dict[str, Any] = {
        "tenant": "acme",
        "request_id": f"c{n}",
        "model": model,
        "source": pb.OUTCOME_SOURCE_CALL,
        "status": status,
        "latency_ms": 250,
    }
    return pb.Outcome(**fields | changes)


async def test_summary_is_made_of_used_tokens(start: Start) -> None:
    """Spent and baseline come from the same tokens; the interval holds what was told."""
    stub = await start()
    used = {"input_tokens": 1_000, "output_tokens": 500}
    calls = [call(n, "small", pb.CALL_STATUS_OK, **used) for n in range(4)]
    await tell(stub, *calls, *calls)
    summary = await stub.Summary(pb.SummaryRequest(tenant="acme"), timeout=20)
    assert (summary.calls, summary.baseline_model) == (4, "large")
    assert (summary.spent_nanos, summary.baseline_nanos) == ("6000000", "60000000")
    assert int(summary.baseline_low_nanos) < 60_000_000 < int(summary.baseline_high_nanos)
    assert summary.verdict == pb.ROUTING_VERDICT_UNKNOWN
    assert not summary.HasField("quality")
    (small,) = summary.models
    assert (small.model, small.calls, small.latency_ms) == ("small", 4, 250)
    empty = await stub.Summary(pb.SummaryRequest(tenant="other"), timeout=20)
    assert (empty.calls, empty.spent_nanos) == (0, "0")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Summary(pb.SummaryRequest(), timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_failing_model_is_left_out_until_it_is_well(start: Start) -> None:
    """With most of its last calls turned away a model gets no automatic traffic."""
    stub = await start()
    await tell(stub, *(call(n, "large", pb.CALL_STATUS_RATE_LIMITED) for n in range(12)))
    decision = await chosen(stub, item(EASY))
    assert decision.chosen.model == "small"
    assert decision.exclusions[0].reason == pb.EXCLUSION_REASON_UNHEALTHY
    assert "12 of its last 12 calls failed" in decision.exclusions[0].detail
    await tell(stub, *(call(n + 50, "large", pb.CALL_STATUS_OK) for n in range(20)))
    assert (await chosen(stub, item(EASY))).chosen.model == "large"


async def test_no_text_is_kept(start: Start, tmp_path: Path) -> None:
    """The file of outcomes holds vectors and ids; of the prompt there is nothing in it."""
    stub = await start()
    await chosen(stub, item("canary words in a prompt", request_id="a"))
    await tell(stub, score("a", "small", 1.0))
    assert "canary" not in (tmp_path / "outcomes.jsonl").read_text()


async def test_a_line_cut_off_by_a_crash_is_left_out(start: Start, tmp_path: Path) -> None:
    """What was reported before it is still known, what comes after is written whole."""
    stub = await start()
    await chosen(stub, item(EASY, request_id="a"))
    await tell(stub, score("a", "small", 1.0))
    with (tmp_path / "outcomes.jsonl").open("a") as out:
        out.write('{"t": "acme", "r": "b"')
    stub = await start()
    (again, fresh) = await tell(stub, score("a", "small", 1.0), score("a", "large", 1.0))
    assert again.taken.repeated_report
    assert not fresh.taken.repeated_report
    stub = await start()
    (again,) = await tell(stub, score("a", "large", 1.0))
    assert again.taken.repeated_report


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "x" * 65_537},
        {"embedding": [0.0] * 1_025},
        {"embedding": [float("nan")]},
        {"budget_used_percent": -1},
        {"warm_input_tokens": -1},
    ],
)
async def test_what_is_predicted_from_has_limits(start: Start, wrong: dict[str, Any]) -> None:
    """A field beyond its limit is named."""
    each = pb.RouteItem(tenant="t", model="auto", input_tokens=1, **wrong)
    stub = await start()
    response = await stub.Route(pb.RouteRequest(items=[each]), timeout=20)
    bad = error_details_pb2.BadRequest()
    assert any(part.Unpack(bad) for part in response.results[0].error.details)
    assert bad.field_violations[0].field in wrong


async def test_a_proposal_is_listed_applied_and_kept(start: Start) -> None:
    """With its expected effect; what is not proposed is refused; it survives a restart."""
    stub = await start()
    await teach(stub)
    await learned(stub)
    # Calls tell what models usually cost.
    used = {"status": pb.CALL_STATUS_OK, "latency_ms": 5, "input_tokens": 100, "output_tokens": 50}
    await tell(
        stub,
        *(
            pb.Outcome(
                tenant="acme",
                request_id=f"r{n}",
                model=model,
                source=pb.OUTCOME_SOURCE_CALL,
                **used,
            )
            for n, model in enumerate(["small", "large"] * 10)
        ),
    )
    more = [score(f"r{n}", "large", 1.0, source=pb.OUTCOME_SOURCE_USER) for n in range(120)]
    await tell(stub, *more)
    summary = pb.SummaryResponse()
    for _ in range(200):
        summary = await stub.Summary(pb.SummaryRequest(tenant="acme"), timeout=20)
        if summary.curve:
            break
        await tell(stub, score("r0", "large", 1.0))
        await asyncio.sleep(0.05)
    assert (summary.quality_percent_min, summary.policy_version) == (80, 0)
    cheapest, dearest = summary.curve[0], summary.curve_baseline
    assert cheapest.cost_nanos < dearest.cost_nanos
    assert cheapest.quality_low <= cheapest.quality <= cheapest.quality_high
    small, large = summary.models[1], summary.models[0]
    assert large.best_probability > 0.99 > small.best_probability
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ApplyProposal(pb.ApplyProposalRequest(tenant="acme", proposal_id="v9-1"))
    status = rpc_status.from_call(caught.value)
    found = error_details_pb2.ErrorInfo()
    assert any(each.Unpack(found) for each in status.details)
    assert found.reason == "PROPOSAL_UNKNOWN"
