"""The adapter against a server on loopback that speaks the real wire format."""

import asyncio
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from chassis.deadline import Deadline
from gateway.openai_render import render_prompt
from gateway.provider import (
    Billed,
    Provider,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from gateway.provider_http import HttpLimits, open_session
from gateway.provider_join import AnswerJoiner
from gateway.provider_openai import LimitField, OpenAIProvider
from tests.fakes.openai_scripts import (
    ERROR_CANARY,
    RETRY_AFTER_SECONDS,
    answer_to,
    words_in,
)
from tests.fakes.openai_upstream import OpenAIUpstream

KEY = "sk-canary-key-5f2e"
LIMITS = HttpLimits(answer_seconds_max=20, connect_seconds_max=2, idle_seconds_max=10)
Open = Any


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def open_provider(upstream: OpenAIUpstream) -> AsyncIterator[Open]:
    async with open_session() as session:

        def opened(
            limits: HttpLimits = LIMITS,
            base_url: str = "",
            limit_field: LimitField | None = None,
        ) -> Provider:
            return OpenAIProvider(
                name="fake",
                base_url=base_url or upstream.base_url,
                api_key=SecretStr(KEY),
                session=session,
                limits=limits,
                now=time.time,
                limit_field=limit_field,
            )

        yield opened


@pytest.fixture
def provider(open_provider: Open) -> Provider:
    opened: Provider = open_provider()
    return opened


def call(model: str, text: str = "Wie spät ist es? 🕰", **prompt: Any) -> ProviderCall:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)
    return ProviderCall(model, chat_pb2.Prompt(messages=[message], **prompt), 1_000)


def soon(seconds: float = 10) -> Deadline:
    return Deadline.after(seconds)


async def whole_stream(
    provider: Provider, wanted: ProviderCall, deadline: Deadline | None = None
) -> tuple[list[chat_pb2.Choice], ProviderEnd]:
    joiner = AnswerJoiner()
    async with aclosing(provider.stream(wanted, deadline or soon())) as events:
        async for event in events:
            if isinstance(event, ProviderEnd):
                return joiner.choices(), event
            assert isinstance(event, ProviderDelta)
            joiner.add(event.delta)
    pytest.fail("the stream ended without its end")


async def test_an_answer(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A whole answer with its tokens, asked for with the operator's key and the limit given."""
    told = await provider.complete(call("happy"), soon())
    seen = upstream.seen[0]
    choice = told.choices[0]
    assert choice.message.content == answer_to(seen.body)
    assert choice.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert told.usage == chat_pb2.TokenUsage(
        input_tokens=words_in(seen.body["messages"]),
        output_tokens=len(choice.message.content.split()),
    )
    assert told.response_model == "happy-2026-01-01"
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.body["max_tokens"] == 1_000


async def test_the_request_is_what_was_asked(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Every option reaches the provider; the gateway adds the model and the limit only."""
    wanted = call(
        "happy",
        tools=[chat_pb2.Tool(name="t", parameters_json='{"type":"object"}', strict=True)],
        tool_choice_json='{"type":"function","function":{"name":"t"}}',
        response_format_json='{"type":"json_object"}',
        sampling=chat_pb2.Sampling(temperature=0.5, seed=7, stop=["END"], choice_count=2),
        extra_json='{"logit_bias":{"50256":-100},"reasoning_effort":"low"}',
    )
    await provider.complete(wanted, soon())
    assert upstream.seen[0].body == {
        "model": "happy",
        "max_tokens": 1_000,
        **render_prompt(wanted.prompt),
    }


async def test_a_stream_tells_the_same_answer(provider: Provider) -> None:
    """Streamed or whole, the same request gets the same answer and the same tokens."""
    whole = await provider.complete(call("happy"), soon())
    choices, end = await whole_stream(provider, call("happy"))
    assert choices == whole.choices
    assert end.usage == whole.usage
    assert end.response_model == whole.response_model


async def test_usage_is_always_asked_for(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A stream that is not asked for its tokens tells none, and then nothing is booked."""
    await whole_stream(provider, call("happy"))
    assert upstream.seen[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("model", ["odd-splits", "no-done"])
async def test_streams_of_other_servers(provider: Provider, model: str) -> None:
    """Cuts anywhere, comments, CR LF, no [DONE]: the answer comes out whole."""
    choices, end = await whole_stream(provider, call(model))
    assert choices[0].message.content.endswith("Wie spät ist es? 🕰")
    assert choices[0].finish_reason == chat_pb2.FINISH_REASON_STOP
    assert end.usage is not None


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls(provider: Provider, streamed: bool) -> None:
    """Calls of tools come with their ids, names and arguments, streamed or not."""
    wanted = call("tools", tools=[chat_pb2.Tool(name="weather")])
    if streamed:
        choices, _ = await whole_stream(provider, wanted)
    else:
        choices = list((await provider.complete(wanted, soon())).choices)
    assert [
        (made.id, made.name, made.arguments_json) for made in choices[0].message.tool_calls
    ] == [(f"call_{at}", "weather", '{"city": "Z\\u00fcrich", "days": 3}') for at in range(2)]
    assert choices[0].finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_of_the_model(provider: Provider, streamed: bool) -> None:
    """What a model says instead of an answer is told as that."""
    if streamed:
        choices, _ = await whole_stream(provider, call("refusal"))
    else:
        choices = list((await provider.complete(call("refusal"), soon())).choices)
    assert choices[0].message.refusal == "I would rather not."


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "impossible"), [("usage-missing", False), ("usage-impossible", True)]
)
async def test_tokens_not_told(
    provider: Provider, model: str, impossible: bool, streamed: bool
) -> None:
    """The answer counts all the same; its tokens are left to the gateway to count."""
    if streamed:
        _, told = await whole_stream(provider, call(model))
        assert (told.usage, told.usage_impossible) == (None, impossible)
    else:
        answer = await provider.complete(call(model), soon())
        assert (answer.usage, answer.usage_impossible) == (None, impossible)


async def test_cached_and_reasoning_tokens_are_apart(provider: Provider) -> None:
    """Buckets do not overlap."""
    cached = (await provider.complete(call("usage-cached"), soon())).usage
    assert cached is not None
    assert cached.cached_input_tokens == 2
    reasoned = (await provider.complete(call("usage-reasoning"), soon())).usage
    plain = (await provider.complete(call("happy"), soon())).usage
    assert reasoned is not None
    assert plain is not None
    assert reasoned.reasoning_tokens == 40
    assert cached.input_tokens + 2 == reasoned.input_tokens == plain.input_tokens
    assert reasoned.output_tokens == len(answer_to({"messages": [{"content": "x"}]}).split()) + 4


async def failure(provider: Provider, wanted: ProviderCall, streamed: bool) -> ProviderError:
    work = whole_stream(provider, wanted) if streamed else provider.complete(wanted, soon())
    with pytest.raises(ProviderError) as caught:
        await work
    return caught.value


FAILURES = {
    "fail-401": (Unavailability.CREDENTIALS, Billed.NO, 401),
    "fail-404": (Unavailability.NOT_FOUND, Billed.NO, 404),
    "fail-429": (Unavailability.RATE_LIMITED, Billed.NO, 429),
    "fail-429-quota": (Unavailability.QUOTA_USED_UP, Billed.NO, 429),
    "fail-500": (Unavailability.SERVER_ERROR, Billed.NO, 500),
    "fail-503": (Unavailability.SERVER_ERROR, Billed.NO, 503),
    "fail-504": (Unavailability.SERVER_ERROR, Billed.UNKNOWN, 504),
    "redirect": (Unavailability.REDIRECT, Billed.NO, 307),
    "reset": (Unavailability.RESET, Billed.UNKNOWN, 0),
    "garbage": (Unavailability.BAD_ANSWER, Billed.UNKNOWN, 200),
    "error-in-stream": (Unavailability.SERVER_ERROR, Billed.UNKNOWN, 200),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", FAILURES)
async def test_failures_of_the_provider(provider: Provider, model: str, streamed: bool) -> None:
    """Each failure has its word, and says whether the call may have cost."""
    error = await failure(provider, call(model), streamed)
    assert isinstance(error, ProviderUnavailable)
    assert (error.reason, error.billed, error.http_status) == FAILURES[model]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "reason"),
    [("fail-400", Refusal.REQUEST_INVALID), ("fail-400-context", Refusal.CONTEXT_TOO_LONG)],
)
async def test_refusals_of_the_provider(
    provider: Provider, model: str, reason: Refusal, streamed: bool
) -> None:
    """A request that the provider will not take names the option, and costs nothing."""
    error = await failure(provider, call(model), streamed)
    assert isinstance(error, ProviderRefused)
    assert (error.reason, error.billed, error.http_status, error.param) == (
        reason,
        Billed.NO,
        400,
        "temperature",
    )


async def test_a_prompt_that_cannot_be_sent_is_refused(
    upstream: OpenAIUpstream, provider: Provider
) -> None:
    """Options that speak over the model or the price never reach a provider."""
    error = await failure(provider, call("happy", extra_json='{"model": "dear"}'), streamed=False)
    assert isinstance(error, ProviderRefused)
    assert not upstream.seen


async def test_the_provider_says_when_to_come_back(provider: Provider) -> None:
    """Retry-After is handed on."""
    error = await failure(provider, call("fail-429"), streamed=False)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after_seconds == RETRY_AFTER_SECONDS


async def test_a_redirect_is_not_followed(upstream: OpenAIUpstream, provider: Provider) -> None:
    """The key goes where the operator said and nowhere else."""
    await failure(provider, call("redirect"), streamed=False)
    assert upstream.calls == {"redirect": 1}


@pytest.mark.parametrize("model", ["reset-mid-stream", "cut-short"])
async def test_a_stream_that_breaks(provider: Provider, model: str) -> None:
    """What came before the break was told; the end is an error, never a short answer."""
    pieces: list[ProviderDelta | ProviderEnd] = []

    async def read() -> None:
        async for event in provider.stream(call(model), soon()):
            pieces.append(event)  # what came before the error counts

    with pytest.raises(ProviderUnavailable) as caught:
        await read()
    assert (caught.value.reason, caught.value.billed) == (Unavailability.RESET, Billed.UNKNOWN)
    assert pieces
    assert not any(isinstance(piece, ProviderEnd) for piece in pieces)


async def test_nobody_there(open_provider: Open, upstream: OpenAIUpstream) -> None:
    """No connection: nothing was sent, so nothing was billed."""
    provider = open_provider()
    await upstream.stop()
    error = await failure(provider, call("happy"), streamed=False)
    assert (error.reason, error.billed) == (Unavailability.CONNECT, Billed.NO)


@pytest.mark.parametrize("model", ["hang", "hang-mid-stream"])
async def test_the_deadline_ends_a_call(
    upstream: OpenAIUpstream, provider: Provider, model: str
) -> None:
    """A provider that hangs is left when the time is up, and its connection closed."""
    with pytest.raises(ProviderUnavailable) as caught:
        await whole_stream(provider, call(model), Deadline.after(0.2))
    assert (caught.value.reason, caught.value.billed) == (Unavailability.TIMEOUT, Billed.UNKNOWN)
    await until_hung_up(upstream, model)


async def test_no_time_left_means_no_call(upstream: OpenAIUpstream, provider: Provider) -> None:
    """What cannot be waited for is not begun, so it costs nothing."""
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.complete(call("happy"), Deadline.after(0))
    assert (caught.value.reason, caught.value.billed) == (Unavailability.TIMEOUT, Billed.NO)
    assert not upstream.seen


async def test_silence_ends_a_stream(open_provider: Open) -> None:
    """A stream that falls silent is given up long before the deadline."""
    provider = open_provider(HttpLimits(idle_seconds_max=0.2))
    with pytest.raises(ProviderUnavailable) as caught:
        await whole_stream(provider, call("hang-mid-stream"), Deadline.after(60))
    assert caught.value.reason == Unavailability.TIMEOUT


async def until_hung_up(upstream: OpenAIUpstream, model: str) -> None:
    async with asyncio.timeout(5):
        await upstream.until(lambda: upstream.hung_up[model] > 0)


async def test_a_cancelled_call_hangs_up(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A caller who goes away stops the provider's work."""
    task = asyncio.create_task(provider.complete(call("hang"), soon()))
    async with asyncio.timeout(5):
        await upstream.until(lambda: bool(upstream.seen))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_hung_up(upstream, "hang")


async def test_a_closed_stream_hangs_up(upstream: OpenAIUpstream, provider: Provider) -> None:
    """So does a caller who stops reading a stream."""
    async with aclosing(provider.stream(call("slow"), soon())) as events:
        async for _ in events:
            break
    await until_hung_up(upstream, "slow")


async def test_connections_are_used_again(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Whole answers, whole streams and plain errors give their connection back."""
    for _ in range(3):
        await provider.complete(call("happy"), soon())
        await whole_stream(provider, call("happy"))
        await failure(provider, call("fail-429"), streamed=False)
    assert len(upstream.connections) == 1


@pytest.mark.parametrize("model", ["bomb", "happy"])
async def test_an_answer_has_a_limit(open_provider: Open, model: str) -> None:
    """Too large an answer is refused before it fills the memory, packed or not."""
    provider = open_provider(HttpLimits(answer_bytes_max=300))
    wanted = call(model, "many words " * 100)
    tracemalloc.start()
    error = await failure(provider, wanted, streamed=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.reason, error.billed) == (Unavailability.ANSWER_TOO_LARGE, Billed.UNKNOWN)
    assert peak < 64 * 2**20


@pytest.mark.parametrize(
    "limits", [HttpLimits(stream_bytes_max=2_000), HttpLimits(event_bytes_max=100)]
)
async def test_a_stream_has_a_limit(open_provider: Open, limits: HttpLimits) -> None:
    """So has a stream, as a whole and in each event."""
    error = await failure(open_provider(limits), call("slow"), streamed=True)
    assert error.reason == Unavailability.ANSWER_TOO_LARGE


async def test_a_packed_answer_is_unpacked(provider: Provider) -> None:
    """Nobody asked for it packed; servers in between do it anyway."""
    told = await provider.complete(call("packed"), soon())
    assert told.choices[0].message.content.startswith("Answer ")


async def test_a_large_prompt(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Megabytes go through, and leave the loop to others meanwhile."""
    text = "word " * 400_000
    await provider.complete(call("happy", text), soon())
    assert upstream.seen[0].body["messages"][0]["content"] == text


async def test_the_newer_name_of_the_limit(upstream: OpenAIUpstream, open_provider: Open) -> None:
    """The operator can say which name the server knows."""
    provider = open_provider(limit_field="max_completion_tokens")
    await provider.complete(call("happy"), soon())
    assert upstream.seen[0].body["max_completion_tokens"] == 1_000
    assert "max_tokens" not in upstream.seen[0].body


@pytest.mark.parametrize(
    "model",
    ["fail-400", "fail-401", "fail-429", "fail-500", "garbage", "error-in-stream", "redirect"],
)
async def test_errors_quote_nobody(
    provider: Provider, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the prompt, nor the key, nor what the provider wrote is in an error or a log."""
    caplog.set_level(logging.DEBUG)
    wanted = call(model, "canary-in-prompt")
    for streamed in (False, True):
        error = await failure(provider, wanted, streamed)
        told = f"{error} {error!r} {vars(error)} {caplog.text}"
        for canary in ("canary", *ERROR_CANARY.split(), KEY):
            assert canary not in told
