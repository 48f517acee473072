"""The official Anthropic SDK, unchanged, through the HTTP door to providers of both kinds."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import grpc
import pytest
from anthropic import AsyncAnthropic
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.errors import ErrorStatus, StatusError
from gateway.errors import ERRORS, Overloaded, ProviderFailed
from gateway.providers.port import ProviderRefused, Refusal
from tests.fakes.anthropic_calls import anthropic_of
from tests.fakes.anthropic_scripts import content_of
from tests.fakes.anthropic_turns import TURN, plain_turn
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.http_door import KEY, FakeDoor
from tests.fakes.provider_door import ProviderDoor, open_door


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicUpstream]:
    async with AnthropicUpstream() as server:
        yield server


@pytest.fixture
async def client(upstream: AnthropicUpstream) -> AsyncIterator[AsyncAnthropic]:
    async with (
        anthropic_of(upstream) as provider,
        open_door(ProviderDoor(provider)) as url,
        AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as made,
    ):
        yield made


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
async def plain(door: FakeDoor) -> AsyncIterator[AsyncAnthropic]:
    """Before a door that answers from its fields."""
    async with (
        open_door(door) as url,
        AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as made,
    ):
        yield made


def sent(turn: Any) -> Any:
    """What of a turn goes in the body."""
    body = {k: v for k, v in turn.items() if not k.startswith("extra_")}
    return {**body, **turn.get("extra_body", {})}


@pytest.mark.parametrize("stream", [False, True])
async def test_all_of_a_turn_reaches_anthropic(
    upstream: AnthropicUpstream, client: AsyncAnthropic, stream: bool
) -> None:
    """Thoughts, pictures, documents, markers, labels, flags and what is newer: all as it was."""
    told = await client.messages.create(model="happy", **TURN, stream=stream)
    if stream:
        async for _ in told:
            pass
    (seen,) = upstream.seen
    wanted = {"model": "happy", **sent(TURN)}
    assert {**seen.body, "stream": None} == {**wanted, "stream": None}
    assert seen.headers["anthropic-beta"] == TURN["extra_headers"]["anthropic-beta"]


@pytest.mark.parametrize("script", ["happy", "tools", "thinking", "cited", "server", "empty"])
async def test_answers_come_back_as_anthropic_gave_them(
    upstream: AnthropicUpstream, client: AsyncAnthropic, script: str
) -> None:
    """Whole or streamed, the SDK ends up with the very blocks."""
    whole = await client.messages.create(**plain_turn(script))
    async with client.messages.stream(**plain_turn(script)) as stream:
        streamed = await stream.get_final_message()
    wanted = content_of(script, upstream.seen[0].body)
    for told in (whole, streamed):
        assert [block.to_dict() for block in told.content] == wanted
        assert told.usage.input_tokens == 11
        assert told.usage.output_tokens == 5
        assert told.stop_reason == ("tool_use" if script in ("tools", "thinking") else "end_turn")


async def test_the_events_of_a_stream(client: AsyncAnthropic) -> None:
    """Anthropic's sequence: blocks one after the other, each begun and ended, the tokens last."""
    stream = await client.messages.create(**plain_turn("thinking"), stream=True)
    events = [event async for event in stream]
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks = [event.index for event in events if event.type == "content_block_start"]
    assert blocks == [0, 1, 2, 3]
    opened = 0
    for kind in kinds:
        opened += (kind == "content_block_start") - (kind == "content_block_stop")
        assert opened in (0, 1)
    deltas = [event.delta.type for event in events if event.type == "content_block_delta"]
    assert deltas[:3] == ["thinking_delta", "thinking_delta", "signature_delta"]
    last = events[-2].to_dict()
    assert last["spendgate"]["cost_nanos"] == 1_234_567_890


@pytest.mark.parametrize(
    ("script", "reason", "sequence"),
    [
        ("long", "max_tokens", None),
        ("refused", "refusal", None),
        ("paused", "pause_turn", None),
        ("stopped", "stop_sequence", "END"),
        ("window", "model_context_window_exceeded", None),
    ],
)
async def test_why_an_answer_stopped(
    client: AsyncAnthropic, script: str, reason: str, sequence: str | None
) -> None:
    """Each reason comes back as it was told."""
    whole = await client.messages.create(**plain_turn(script))
    async with client.messages.stream(**plain_turn(script)) as stream:
        streamed = await stream.get_final_message()
    for told in (whole, streamed):
        assert (told.stop_reason, told.stop_sequence) == (reason, sequence)


async def test_cost_in_headers_and_beside(plain: AsyncAnthropic) -> None:
    """What it cost stands in headers and in a field that SDKs pass over."""
    raw = await plain.messages.with_raw_response.create(**plain_turn("small"))
    told = await raw.parse()
    assert told.id == "msg_req-1"
    assert told.content[0].to_dict() == {"type": "text", "text": "Hello you"}
    assert (told.usage.input_tokens, told.usage.cache_read_input_tokens) == (7, 3)
    assert raw.headers["x-spendgate-cost-usd"] == "1.234567890"
    assert raw.headers["x-spendgate-budget-left-nanos"] == "55"
    assert raw.headers["request-id"] == "req_req-1"
    assert told.to_dict()["spendgate"]["model"] == "small"


async def test_attribution(plain: AsyncAnthropic, door: FakeDoor) -> None:
    """The end user of `metadata` and the headers; a name too long is told by its digest."""
    await plain.messages.create(
        **plain_turn("small", metadata={"user_id": "u1"}),
        extra_headers={"x-spendgate-feature": "code"},
    )
    await plain.messages.create(**plain_turn("small", metadata={"user_id": "u" * 300}))
    first, second = (request.options for request in door.requests)
    assert (first.user, first.feature) == ("u1", "code")
    assert second.user.startswith("sha256:")


async def test_the_other_way_to_give_a_key(door: FakeDoor) -> None:
    """Agents give it as a bearer token; who gives a wrong one is told so."""
    async with open_door(door) as url:
        async with AsyncAnthropic(base_url=url, auth_token=KEY, max_retries=0) as client:
            await client.messages.create(**plain_turn("small"))
        async with AsyncAnthropic(base_url=url, api_key="sg-wrong", max_retries=0) as client:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await client.messages.create(**plain_turn("small"))
    assert caught.value.body["error"]["type"] == "authentication_error"  # type: ignore[index,call-overload]
    assert len(door.requests) == 1


async def test_counting_tokens(plain: AsyncAnthropic, door: FakeDoor) -> None:
    """Counted by the fleet itself; how sure it is stands beside."""
    turn = plain_turn("small")
    del turn["max_tokens"]
    told = await plain.messages.count_tokens(**turn)
    assert told.input_tokens == 17
    assert told.to_dict()["spendgate"] == {"estimated": True, "error_bound_permille": 200}
    assert isinstance(door.requests[0], pb.CompleteRequest)


async def test_the_list_of_models(plain: AsyncAnthropic) -> None:
    """The same list for both SDKs, with a key in either header."""
    assert [model.id async for model in plain.models.list()] == ["org/small", "large"]
    told = await plain.models.retrieve("large")
    assert (told.type, told.display_name) == ("model", "large")


BUDGET = ErrorStatus(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "BUDGET_EXCEEDED",
    "the budget would be broken",
    {"budgetId": "team"},
    quota=(("budget/team", "5 of 100 nano-USD left, 9 needed"),),
)


@pytest.mark.parametrize(
    ("fails", "kind", "told", "named"),
    [
        (StatusError(ERRORS.build(BUDGET)), anthropic.RateLimitError, "rate_limit_error", "team"),
        (Overloaded(5), anthropic.InternalServerError, "overloaded_error", ""),
        (ProviderFailed("p", "TIMEOUT", 3), anthropic.InternalServerError, "api_error", ""),
        (
            ProviderRefused(
                "p", http_status=400, reason=Refusal.OPTION_UNSUPPORTED, param="thinking"
            ),
            anthropic.BadRequestError,
            "invalid_request_error",
            "thinking",
        ),
        (
            ProviderRefused("p", http_status=413, reason=Refusal.REQUEST_TOO_LARGE),
            anthropic.RequestTooLargeError,
            "request_too_large",
            "",
        ),
        (ValueError("canary"), anthropic.InternalServerError, "api_error", ""),
    ],
)
async def test_refusals(
    plain: AsyncAnthropic,
    door: FakeDoor,
    *,
    fails: Exception,
    kind: type[anthropic.APIStatusError],
    told: str,
    named: str,
) -> None:
    """Every refusal is the SDK's own exception, in Anthropic's shape, with an id to ask for."""
    door.fails = fails
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            await plain.messages.create(**plain_turn("small"), stream=stream)
        body: Any = caught.value.body
        assert (body["type"], body["error"]["type"]) == ("error", told)
        assert named in body["error"]["message"]
        assert body["request_id"] == caught.value.response.headers["request-id"]
        assert "canary" not in str(body)


async def test_an_empty_budget_is_not_tried_again(door: FakeDoor) -> None:
    """The SDK retries a 429 by itself; here that cannot help."""
    door.fails = StatusError(ERRORS.build(BUDGET))
    async with (
        open_door(door) as url,
        AsyncAnthropic(base_url=url, api_key=KEY, max_retries=3) as client,
    ):
        with pytest.raises(anthropic.RateLimitError):
            await client.messages.create(**plain_turn("small"))
    assert len(door.requests) == 1


async def test_a_stream_that_breaks(plain: AsyncAnthropic, door: FakeDoor) -> None:
    """What fails after the first piece ends the stream with an error event."""
    door.breaks = ProviderFailed("p", "RESET", 1)
    pieces = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        async with plain.messages.stream(**plain_turn("small")) as stream:
            async for text in stream.text_stream:
                pieces.append(text)  # before the error
    assert pieces == ["Hello", " you"]
    assert caught.value.body["error"]["type"] == "api_error"  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tools": [{"description": "x"}]}, "tools[0].name"),
    ],
)
async def test_what_does_not_fit_is_named(plain: AsyncAnthropic, body: Any, path: str) -> None:
    """400 with the path of the first fault."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        await plain.messages.create(**{**plain_turn("small"), **body})
    assert caught.value.body["error"]["message"].startswith(f"{path}: ")  # type: ignore[index,call-overload]


async def test_calls_that_overlap(plain: AsyncAnthropic, door: FakeDoor) -> None:
    """Other vendors' models may write two calls at once; blocks do not overlap."""
    piece = pb.ToolCallDelta
    door.deltas = [
        pb.Delta(content="On it."),
        pb.Delta(tool_calls=[piece(index=0, id="c0", name="f", arguments_json='{"a"')]),
        pb.Delta(tool_calls=[piece(index=1, id="c1", name="g", arguments_json='{"b":')]),
        pb.Delta(tool_calls=[piece(index=0, arguments_json=":1}")]),
        pb.Delta(tool_calls=[piece(index=1, arguments_json="2}")]),
        pb.Delta(finish_reason=chat_pb2.FINISH_REASON_TOOL_CALLS),
    ]
    async with plain.messages.stream(**plain_turn("small")) as stream:
        told = await stream.get_final_message()
    assert [block.to_dict() for block in told.content] == [
        {"type": "text", "text": "On it."},
        {"type": "tool_use", "id": "c0", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c1", "name": "g", "input": {"b": 2}},
    ]
