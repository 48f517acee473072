"""The router's contract over a real socket."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from spendgate.router.v1 import router_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2_grpc as rpc

Serve = Callable[[str], Awaitable[rpc.RouterServiceStub]]

FLEET = """
providers:
  openai: {base_url: "https://api.openai.com/v1"}
  local: {base_url: "http://127.0.0.1:8090/v1"}
models:
  gpt-5.4: {provider: openai, aliases: [best]}
  gpt-4o-mini: {provider: openai}
  gpt-4o: {provider: openai, fallbacks: [gpt-4o-mini]}
  llama: {provider: local, capabilities: [tools], context_window_tokens: 2048}
baseline_model: gpt-5.4
"""


def item(model: str = "auto", **changes: Any) -> pb.RouteItem:
    return pb.RouteItem(**({"tenant": "acme", "model": model, "input_tokens": 1_000} | changes))


async def route(stub: rpc.RouterServiceStub, *items: pb.RouteItem) -> Sequence[pb.RouteResult]:
    response = await stub.Route(pb.RouteRequest(items=items), timeout=10)
    return list(response.results)


def detail(status: status_pb2.Status, kind: Any) -> Any:
    found = kind()
    assert any(each.Unpack(found) for each in status.details), kind
    return found


def info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    found: error_details_pb2.ErrorInfo = detail(status, error_details_pb2.ErrorInfo)
    assert found.domain == "router.spendgate"
    return found


async def test_auto_is_decided_with_prices_reasons_and_fallbacks(serve: Serve) -> None:
    """An automatic choice comes with its cost, what follows it and what was left out."""
    stub = await serve(FLEET)
    (result,) = await route(stub, item(needs=[pb.CAPABILITY_VISION], output_tokens_max=1_000))
    decision = result.decision
    assert decision.chosen.model == "gpt-4o-mini"
    assert decision.chosen.provider == "openai"
    # 1,000 tokens at 0.15 and 1,000 at 0.60 USD for a million.
    assert decision.chosen.expected_cost_nanos == decision.chosen.worst_case_nanos == 750_000
    assert decision.chosen.output_tokens_max == 1_000
    assert decision.chosen.price_version.startswith("genai-prices ")
    assert [each.model for each in decision.fallbacks] == ["gpt-4o", "gpt-5.4"]
    assert decision.reason == pb.ROUTE_REASON_CHEAPEST_CAPABLE
    assert "cheapest of 3" in decision.explanation
    assert [(each.model, each.reason, each.detail) for each in decision.exclusions] == [
        ("llama", pb.EXCLUSION_REASON_CAPABILITY, "lacks vision")
    ]
    assert decision.baseline_model == "gpt-5.4"


async def test_a_batch_keeps_its_order_and_a_bad_item_fails_alone(serve: Serve) -> None:
    """Good and bad items in one call: one result each, in order, neighbours untouched."""
    stub = await serve(FLEET)
    results = await route(
        stub,
        item("best"),
        item("gpt5.4"),
        item("gpt-4o", input_tokens=0),
        item("auto", cost_max_nanos=1),
        item("llama"),
        item("gpt-4o", timeout_ms=-1),
        item("auto"),
    )
    models = [each.decision.chosen.model for each in results]
    assert models == ["gpt-5.4", "", "", "", "llama", "", "gpt-4o-mini"]
    reasons = [info(each.error).reason for each in results if each.HasField("error")]
    assert reasons == ["MODEL_UNKNOWN", "REQUEST_INVALID", "NO_CANDIDATE", "DEADLINE_PASSED"]


async def test_a_batch_of_many_is_answered_in_order(serve: Serve) -> None:
    """256 automatic items, which are weighed off the loop, come back each in its place."""
    stub = await serve(FLEET)
    wanted = ["gpt-5.4" if n % 7 == 0 else "auto" for n in range(256)]
    results = await route(
        stub, *(item(model, input_tokens=n + 1) for n, model in enumerate(wanted))
    )
    got = [each.decision.chosen.model for each in results]
    assert got == ["gpt-5.4" if model == "gpt-5.4" else "gpt-4o-mini" for model in wanted]
    costs: dict[str, list[int]] = {name: [] for name in set(got)}
    for name, each in zip(got, results, strict=True):
        costs[name].append(each.decision.chosen.expected_cost_nanos)
    assert all(row == sorted(set(row)) for row in costs.values())


@pytest.mark.parametrize(
    ("asked", "nearest"), [("gpt4o", "gpt-4o"), ("Best", "best"), ("atuo", "auto")]
)
async def test_an_unknown_model_is_told_with_the_nearest(
    serve: Serve, asked: str, nearest: str
) -> None:
    """A typo is NOT_FOUND with the nearest name, and the typo itself is not repeated."""
    (result,) = await route(await serve(FLEET), item(asked))
    assert result.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert dict(info(result.error).metadata) == {"nearest": nearest}
    assert asked not in result.error.message


async def test_an_unknown_model_without_a_neighbour(serve: Serve) -> None:
    """A name like no other gets no advice."""
    (result,) = await route(await serve(FLEET), item("zzzzzz"))
    assert not info(result.error).metadata
    assert result.error.message == "no model of this name is configured"


async def test_no_candidate_names_every_model_and_why(serve: Serve) -> None:
    """A request nobody can take is refused with one precondition a model, numbers included."""
    needs = [pb.CAPABILITY_TOOLS, pb.CAPABILITY_AUDIO]
    (result,) = await route(await serve(FLEET), item(needs=needs))
    assert result.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert info(result.error).reason == "NO_CANDIDATE"
    failure = detail(result.error, error_details_pb2.PreconditionFailure)
    assert [(v.type, v.subject, v.description) for v in failure.violations] == [
        ("CAPABILITY", name, "lacks audio")
        for name in ("gpt-4o", "gpt-4o-mini", "gpt-5.4", "llama")
    ]


async def test_a_refusal_stays_small_however_many_models_there_are(serve: Serve) -> None:
    """With hundreds of models a refusal names the first and counts all: it must fit a trailer."""
    many = "".join(f"  model-{n:03}: {{provider: local}}\n" for n in range(300))
    stub = await serve(FLEET.replace("models:\n", "models:\n" + many))
    (result,) = await route(stub, item(needs=[pb.CAPABILITY_AUDIO]))
    assert info(result.error).metadata["modelCount"] == "304"
    assert len(detail(result.error, error_details_pb2.PreconditionFailure).violations) == 16
    assert result.error.ByteSize() < 4_096


async def test_fields_are_named_when_they_break_rules(serve: Serve) -> None:
    """All bad fields of an item come at once."""
    (result,) = await route(await serve(FLEET), item("", tenant="", choice_count=99))
    assert info(result.error).reason == "REQUEST_INVALID"
    violations = detail(result.error, error_details_pb2.BadRequest).field_violations
    assert [violation.field for violation in violations] == ["tenant", "model", "choice_count"]


@pytest.mark.parametrize("count", [0, 257])
async def test_a_batch_has_limits(serve: Serve, count: int) -> None:
    """No items, or more than 256, fail the whole call."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await route(await serve(FLEET), *[item()] * count)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)
    assert status is not None
    assert info(status).reason == "ITEMS_INVALID"


async def test_an_item_whose_time_is_up_is_refused_alone(serve: Serve) -> None:
    """The item's own time counts, not only the call's."""
    late, fine = await route(await serve(FLEET), item(timeout_ms=-5), item(timeout_ms=60_000))
    assert late.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert fine.decision.chosen.model == "gpt-4o-mini"


async def test_models_are_listed_page_by_page(serve: Serve) -> None:
    """Every model comes once, by name, whatever the size of the page."""
    stub = await serve(FLEET)
    for size in (1, 2, 3, 200, 0):
        names: list[str] = []
        token = ""
        while True:
            page = await stub.ListModels(
                pb.ListModelsRequest(page_size=size, page_token=token), timeout=10
            )
            assert len(page.models) <= (size or 50)
            names += [model.model for model in page.models]
            token = page.next_page_token
            if not token:
                break
        assert names == ["gpt-4o", "gpt-4o-mini", "gpt-5.4", "llama"]


async def test_a_listed_model_says_what_is_known_of_it(serve: Serve) -> None:
    """Price, limits and aliases are listed; an unknown price is said, never shown as 0."""
    stub = await serve(FLEET)
    page = await stub.ListModels(pb.ListModelsRequest(), timeout=10)
    by_name = {model.model: model for model in page.models}
    known = by_name["gpt-5.4"]
    assert known.price_status == pb.PRICE_STATUS_PRICED
    assert (known.price.input_picos, known.price.output_picos) == (2_500_000, 15_000_000)
    assert (known.context_window_tokens, known.output_tokens_max) == (1_050_000, 128_000)
    assert list(known.aliases) == ["best"]
    assert pb.CAPABILITY_TOOLS in known.capabilities
    unknown = by_name["llama"]
    assert unknown.price_status == pb.PRICE_STATUS_UNPRICED
    assert not unknown.HasField("price")
    assert unknown.routable


@pytest.mark.parametrize("wrong", [{"page_size": 201}, {"page_size": -1}, {"page_token": "x"}])
async def test_a_wrong_page_is_refused(serve: Serve, wrong: dict[str, Any]) -> None:
    """A page size beyond the limit or a made-up token names the field."""
    stub = await serve(FLEET)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListModels(pb.ListModelsRequest(**wrong), timeout=10)
    status = rpc_status.from_call(caught.value)
    assert status is not None
    assert info(status).reason == "PAGE_INVALID"
    violations = detail(status, error_details_pb2.BadRequest).field_violations
    assert [violation.field for violation in violations] == list(wrong)


async def test_callers_side_by_side_get_their_own_answers(serve: Serve) -> None:
    """64 calls at once: each gets the answer to its own question."""
    stub = await serve(FLEET)
    answers = await asyncio.gather(
        *(
            route(stub, item("gpt-4o-mini", input_tokens=n, output_tokens_max=1))
            for n in range(1, 65)
        )
    )
    got = [results[0].decision.chosen.expected_cost_nanos for results in answers]
    assert got == [150 * n + 600 for n in range(1, 65)]
