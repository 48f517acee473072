"""The official Anthropic SDK, unchanged, through the HTTP door to providers of both kinds."""

import json
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
from tests.fakes.anthropic_scripts import CALLS, CITED, REDACTED, SERVER, THINKING, content_of
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.http_door import KEY, FakeDoor
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import providers_of
from tests.fakes.provider_door import ProviderDoor, open_door

MARKED: Any = {"type": "ephemeral", "ttl": "1h"}
PNG: Any = {"type": "base64", "media_type": "image/png", "data": "AA=="}
# All that a coding agent sends, and newer things than this knows.
TURN: Any = {
    "max_tokens": 4_000,
    "system": [
        {"type": "text", "text": "Be brief.", "cache_control": MARKED},
        {"type": "text", "text": "Today is Monday."},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": PNG, "cache_control": MARKED},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                    "title": "Report",
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [THINKING, REDACTED, {"type": "text", "text": "Hm."}, *CALLS],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_00",
                    "content": [{"type": "text", "text": "sun"}, {"type": "image", "source": PNG}],
                    "cache_control": MARKED,
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01",
                    "content": "no such day",
                    "is_error": True,
                },
                {"type": "text", "text": "Go on."},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, *SERVER, CITED]},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
            "strict": True,
            "cache_control": MARKED,
        },
        {"type": "bash_20250124", "name": "bash"},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "metadata": {"user_id": "user_" + "f" * 200},
    "stop_sequences": ["END"],
    "service_tier": "standard_only",
    "output_config": {
        "effort": "medium",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    },
    "extra_body": {
        "temperature": 1.0,
        "top_p": 0.95,
        "top_k": 40,
        "context_management": {"edits": []},
        "newer_than_this": {"a": 1},
    },
    "extra_headers": {"anthropic-beta": "interleaved-thinking-2025-05-14,newer-2027-01-01"},
}


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


def plain_turn(model: str, text: str = "hi", **options: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 99, "messages": messages, **options}


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


@pytest.fixture
async def openai_upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def elsewhere(openai_upstream: OpenAIUpstream) -> AsyncIterator[AsyncAnthropic]:
    """To a server that speaks OpenAI's chat completions."""
    async with (
        providers_of(openai_upstream) as opened,
        open_door(ProviderDoor(opened())) as url,
        AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as made,
    ):
        yield made


async def test_an_agents_turn_at_another_vendor(
    openai_upstream: OpenAIUpstream, elsewhere: AsyncAnthropic
) -> None:
    """Tools, results, pictures and documents are said in the other protocol's words."""
    turn = {**TURN, "tools": TURN["tools"][:1], "thinking": {"type": "adaptive"}}
    turn["messages"] = [*TURN["messages"][:3], TURN["messages"][-1]]
    turn["messages"][0]["content"] = [
        part
        for part in TURN["messages"][0]["content"]
        if part.get("source", {}).get("type") != "url"
    ]
    turn["extra_body"] = {"temperature": 0.5, "top_k": 40}
    await elsewhere.messages.create(model="happy", **turn)
    (seen,) = openai_upstream.seen
    body = seen.body
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user", "user", "user"]
    assert body["messages"][1]["content"][1:] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {
            "type": "file",
            "file": {"filename": "Report", "file_data": "data:application/pdf;base64,AA=="},
        },
    ]
    said = body["messages"][2]
    assert said["content"] == "Hm."
    assert [made["id"] for made in said["tool_calls"]] == ["toolu_00", "toolu_01"]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == CALLS[0]["input"]
    assert body["messages"][4]["content"] == "The tool failed.\nno such day"
    assert body["messages"][5]["content"][1]["type"] == "image_url"
    assert body["tool_choice"] == "required"
    assert body["parallel_tool_calls"] is False
    assert body["reasoning_effort"] == "medium"
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["stop"] == ["END"]
    assert (body["temperature"], body["top_k"]) == (0.5, 40)
    assert "anthropic" not in json.dumps(body)
    assert "cache_control" not in json.dumps(body)


async def test_answers_of_another_vendor(elsewhere: AsyncAnthropic) -> None:
    """Text and parallel calls, whole and streamed."""
    tools: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
    whole = await elsewhere.messages.create(**plain_turn("tools", tools=tools))
    async with elsewhere.messages.stream(**plain_turn("tools", tools=tools)) as stream:
        streamed = await stream.get_final_message()
    for told in (whole, streamed):
        calls = [block.to_dict() for block in told.content if block.type == "tool_use"]
        assert [call["input"] for call in calls] == [{"city": "Zürich", "days": 3}] * 2
        assert told.stop_reason == "tool_use"
        assert told.usage.output_tokens > 0


async def test_what_another_vendor_lacks(
    openai_upstream: OpenAIUpstream, elsewhere: AsyncAnthropic
) -> None:
    """An option with no counterpart is refused by its name, and nothing is sent."""
    thinking: Any = {"type": "enabled", "budget_tokens": 2_000}
    with pytest.raises(anthropic.BadRequestError) as caught:
        await elsewhere.messages.create(**plain_turn("happy", thinking=thinking))
    assert caught.value.body["error"]["message"].startswith("thinking: ")  # type: ignore[index,call-overload]
    assert not openai_upstream.seen
