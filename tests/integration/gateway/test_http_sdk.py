"""The official OpenAI SDK, unchanged, against the HTTP edge over a real socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.errors import ErrorStatus, FieldViolation, InvalidFields, StatusError
from gateway.errors import ERRORS, Overloaded, ProviderFailed, ServiceUnavailable
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.openai.render import render_prompt
from gateway.providers.port import ProviderRefused, Refusal
from tests.fakes.http_door import KEY, FakeDoor

USER: Any = {"role": "user", "content": "Wie spät ist es? 🕰"}


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
async def base_url(door: FakeDoor) -> AsyncIterator[str]:
    limits = EdgeLimits()
    edge = make_edge(
        door, ERRORS, limits, ready=lambda: True, new_id=lambda: "stream-1", now=time.time
    )
    server = HttpServer(edge, limits)
    await server.start("127.0.0.1:0")
    yield f"http://{server.address}/v1"
    await server.stop()


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0) as made:
        yield made


async def test_an_answer(client: AsyncOpenAI, door: FakeDoor) -> None:
    """Text, tokens and cost arrive where the SDK and where its users look."""
    raw = await client.chat.completions.with_raw_response.create(model="small", messages=[USER])
    told = raw.parse()
    assert told.choices[0].message.content == "Hello you"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (10, 5)
    assert told.usage.prompt_tokens_details is not None
    assert told.usage.prompt_tokens_details.cached_tokens == 3
    assert told.model == "small"
    assert told.id == "chatcmpl-req-1"
    headers = {name: raw.headers[f"x-spendgate-{name}"] for name in HEADERS}
    assert headers == HEADERS
    assert told.model_extra is not None
    assert told.model_extra["spendgate"] == SPENDGATE
    (request,) = door.requests
    assert request.model == "small"
    assert request.prompt.messages[0].content == USER["content"]


HEADERS = {
    "request-id": "req-1",
    "trace-id": "0af7651916cd43dd8448eb211c80319c",
    "model": "small",
    "cache": "miss",
    "cost-usd": "1.234567890",
    "cost-nanos": "1234567890",
    "saved-nanos": "70",
    "budget-left-nanos": "55",
}
SPENDGATE = {
    "request_id": "req-1",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "model": "small",
    "provider": "fake",
    "cache": "miss",
    "route": "cheapest that can",
    "cost_usd": "1.234567890",
    "cost_nanos": 1_234_567_890,
    "saved_nanos": 70,
    "savings": {"routing": 90, "cache": -20},
    "counterfactual_nanos": 1_234_567_960,
    "usage_source": "reported",
    "booking_pending": False,
    "latency_ms": 12,
    "budget": {"id": "team", "left_nanos": 55, "limit_nanos": 100},
    "hold_used_up": False,
}


async def test_a_stream(client: AsyncOpenAI, door: FakeDoor) -> None:
    """Pieces in order; the summary rides on the chunk that ends the answer."""
    stream = await client.chat.completions.create(model="small", messages=[USER], stream=True)
    chunks = [chunk async for chunk in stream]
    # No chunk without choices, unless it was asked for: callers read choices[0].
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello you"
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, "stop"]
    assert {chunk.id for chunk in chunks} == {"chatcmpl-stream-1"}
    assert chunks[-1].model_extra is not None
    assert chunks[-1].model_extra["spendgate"] == SPENDGATE
    assert isinstance(door.requests[0], pb.StreamCompleteRequest)


async def test_a_stream_with_usage(client: AsyncOpenAI) -> None:
    """Who asks for the tokens gets a chunk with them at the end."""
    stream = await client.chat.completions.create(
        model="small", messages=[USER], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 15
    assert chunks[-1].model_extra is not None
    assert chunks[-1].model_extra["spendgate"]["cost_nanos"] == 1_234_567_890
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_the_stream_helper(client: AsyncOpenAI, door: FakeDoor) -> None:
    """The SDK's own accumulator makes the whole answer of our chunks, tool calls too."""
    door.deltas = [
        pb.Delta(content="On"),
        pb.Delta(content="ce"),
        pb.Delta(tool_calls=[pb.ToolCallDelta(index=0, id="c1", name="f", arguments_json='{"a"')]),
        pb.Delta(tool_calls=[pb.ToolCallDelta(index=0, arguments_json=":1}")]),
        pb.Delta(tool_calls=[pb.ToolCallDelta(index=1, id="c2", name="g", arguments_json="{}")]),
        pb.Delta(finish_reason=chat_pb2.FINISH_REASON_TOOL_CALLS),
    ]
    async with client.chat.completions.stream(model="small", messages=[USER]) as stream:
        told = await stream.get_final_completion()
    message = told.choices[0].message
    assert message.content == "Once"
    assert message.tool_calls is not None
    assert [
        (call.id, call.type, call.function.name, call.function.arguments)
        for call in message.tool_calls
    ] == [("c1", "function", "f", '{"a":1}'), ("c2", "function", "g", "{}")]
    assert told.choices[0].finish_reason == "tool_calls"


async def test_tools_there_and_back(client: AsyncOpenAI, door: FakeDoor) -> None:
    """Tools, choices, formats and every other option reach the door; calls come back."""
    function: Any = {"name": "f", "parameters": {"type": "object"}, "strict": True}
    options: Any = {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_object"},
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "n": 2,
        "stop": ["END"],
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"50256": -100},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
    }
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, image], "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c0", "content": ""},
    ]
    made = chat_pb2.ToolCall(id="c1", name="f", arguments_json='{"a":1}')
    door.choices = [
        chat_pb2.Choice(
            message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[made]),
            finish_reason=chat_pb2.FINISH_REASON_TOOL_CALLS,
            extra_json='{"logprobs":{"content":[],"refusal":null}}',
        ),
        chat_pb2.Choice(
            index=1, message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, refusal="No.")
        ),
    ]
    told = await client.chat.completions.create(
        model="small", messages=messages, max_completion_tokens=99, **options
    )
    (request,) = door.requests
    assert render_prompt(request.prompt) == {"messages": messages, **options}
    assert request.prompt.sampling.output_tokens_max == 99
    first, second = told.choices
    assert first.message.content is None
    assert first.message.tool_calls is not None
    assert first.message.tool_calls[0].function.arguments == '{"a":1}'  # type: ignore[union-attr]
    assert first.logprobs is not None
    assert first.finish_reason == "tool_calls"
    assert (second.index, second.message.refusal) == (1, "No.")


async def test_attribution(client: AsyncOpenAI, door: FakeDoor) -> None:
    """User and labels in the body, the rest in headers: to whom it is booked."""
    await client.chat.completions.create(
        model="small",
        messages=[USER],
        user="u1",
        metadata={"team": "a"},
        extra_headers={
            "x-spendgate-feature": "chat",
            "X-Spendgate-Session": "s1",
            "x-spendgate-project": "p1",
            "x-spendgate-cache": "refresh",
            "x-spendgate-cost-max-usd": "0.000000007",
        },
    )
    assert door.requests[0].options == pb.RequestOptions(
        user="u1",
        feature="chat",
        session="s1",
        project="p1",
        tags={"team": "a"},
        cache_mode=pb.CACHE_MODE_REFRESH,
        cost_max_nanos=7,
    )


BUDGET = ErrorStatus(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "BUDGET_EXCEEDED",
    "the budget would be broken",
    {"budgetId": "team", "leftNanos": "5", "neededNanos": "9"},
    quota=(("budget/team", "5 of 100 nano-USD left, 9 needed"),),
)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_refuses(client: AsyncOpenAI, door: FakeDoor, stream: bool) -> None:
    """As OpenAI tells an empty account: 429, but not to be tried again, and with the budget."""
    door.fails = StatusError(ERRORS.build(BUDGET))
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="small", messages=[USER], stream=stream)
    error = caught.value
    assert (error.type, error.code) == ("insufficient_quota", "BUDGET_EXCEEDED")
    assert "team" in error.message
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.json()["spendgate"]["metadata"]["leftNanos"] == "5"


async def test_a_budget_refusal_is_not_tried_again(base_url: str, door: FakeDoor) -> None:
    """The SDK retries a 429 by itself; an empty budget it leaves alone."""
    door.fails = StatusError(ERRORS.build(BUDGET))
    async with AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=3) as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="small", messages=[USER])
    assert len(door.requests) == 1


UNKNOWN_MODEL = StatusError(
    ERRORS.build(
        ErrorStatus(
            grpc.StatusCode.NOT_FOUND, "MODEL_UNKNOWN", "no model smal", {"nearest": "small"}
        )
    )
)


@pytest.mark.parametrize(
    ("fails", "kind", "told"),
    [
        (UNKNOWN_MODEL, openai.NotFoundError, ("model_not_found", "model")),
        (
            InvalidFields("REQUEST_INVALID", FieldViolation("prompt.sampling.top_p", "is above 0")),
            openai.BadRequestError,
            ("REQUEST_INVALID", "top_p"),
        ),
        (
            ProviderRefused(
                "p", http_status=400, reason=Refusal.CONTEXT_TOO_LONG, param="messages"
            ),
            openai.BadRequestError,
            ("context_length_exceeded", "messages"),
        ),
        (
            ProviderRefused("p", http_status=422),
            openai.UnprocessableEntityError,
            ("PROVIDER_REFUSED", None),
        ),
        (ProviderFailed("p", "TIMEOUT", 3), openai.InternalServerError, ("PROVIDER_FAILED", None)),
        (ServiceUnavailable("ledger"), openai.InternalServerError, ("SERVICE_UNAVAILABLE", None)),
        (ValueError("canary-in-error"), openai.InternalServerError, ("INTERNAL", None)),
    ],
)
async def test_refusals(
    client: AsyncOpenAI,
    door: FakeDoor,
    fails: Exception,
    kind: type[openai.APIStatusError],
    told: tuple[str, str | None],
) -> None:
    """Every refusal is the SDK's own exception, with its code and the parameter at fault."""
    door.fails = fails
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(model="small", messages=[USER])
    assert (caught.value.code, caught.value.param) == told
    assert "canary" not in str(caught.value)


async def test_the_fleet_is_full(client: AsyncOpenAI, door: FakeDoor) -> None:
    """Shed with a time to come back, which the SDK obeys."""
    door.fails = Overloaded(100)
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="small", messages=[USER])
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "1"


async def test_a_wrong_key(base_url: str, door: FakeDoor) -> None:
    """Nothing is read of a caller nobody knows."""
    async with AsyncOpenAI(base_url=base_url, api_key="sg-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="small", messages=[USER])
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert not door.requests


async def test_a_stream_that_breaks(client: AsyncOpenAI, door: FakeDoor) -> None:
    """What fails after the first piece ends the stream with an error, not with a short answer."""
    door.breaks = ProviderFailed("p", "RESET", 1)
    stream = await client.chat.completions.create(model="small", messages=[USER], stream=True)
    pieces: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")  # before the error

    with pytest.raises(openai.APIError) as caught:
        await read()
    assert pieces[:2] == ["Hello", " you"]
    assert caught.value.code == "PROVIDER_FAILED"


async def test_models(client: AsyncOpenAI) -> None:
    """The list of models, and one by its name or by another name of it."""
    assert [model.id async for model in await client.models.list()] == ["org/small", "large"]
    assert (await client.models.retrieve("org/small")).owned_by == "fake"
    told = await client.models.retrieve("cheap")
    assert told.id == "org/small"
    assert told.model_extra is not None
    extra: Any = told.model_extra["spendgate"]
    assert extra["pricing"]["input_usd_per_million"] == "1.250000"
    assert extra["capabilities"] == ["tools"]
    large: Any = (await client.models.retrieve("large")).model_extra
    assert large["spendgate"]["pricing"] is None
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("none")
    assert caught.value.code == "model_not_found"


async def test_the_blocking_client(base_url: str) -> None:
    """The SDK's other half works the same."""

    def call() -> str | None:
        with OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
            told = client.chat.completions.create(model="small", messages=[USER])
            return told.choices[0].message.content

    assert await asyncio.to_thread(call) == "Hello you"
