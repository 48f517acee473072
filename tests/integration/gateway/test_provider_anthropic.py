"""Anthropic's adapter against a server on loopback that speaks the real wire format."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.content import CONTENT
from gateway.anthropic.wire import content_of
from gateway.providers.port import (
    Billed,
    Provider,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from tests.fakes.anthropic_calls import anthropic_of
from tests.fakes.anthropic_scripts import content_of as content_said
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.provider_calls import KEY, call, failure, soon, whole_stream


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicUpstream]:
    async with AnthropicUpstream() as server:
        yield server


@pytest.fixture
async def provider(upstream: AnthropicUpstream) -> AsyncIterator[Provider]:
    async with anthropic_of(upstream) as made:
        yield made


async def test_an_answer(upstream: AnthropicUpstream, provider: Provider) -> None:
    """A whole answer with its tokens, asked for with the operator's key and the limit given."""
    told = await provider.complete(call("happy", "hi"), soon())
    (choice,) = told.choices
    assert choice.message.content == "You said: hi"
    assert not choice.message.extra_json
    assert choice.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert told.usage == chat_pb2.TokenUsage(input_tokens=11, output_tokens=5)
    assert told.told == (11, 5)
    assert told.response_model == "happy-20260101"
    assert told.service_tier == "standard"
    (seen,) = upstream.seen
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert seen.body == {
        "model": "happy",
        "max_tokens": 1_000,
        "messages": [{"role": "user", "content": "hi"}],
    }


@pytest.mark.parametrize("script", ["happy", "tools", "thinking", "cited", "server", "empty"])
async def test_blocks_come_whole_streamed_or_not(
    upstream: AnthropicUpstream, provider: Provider, script: str
) -> None:
    """Thoughts with their signatures, citations and tools of Anthropic's own are kept in order."""
    whole = await provider.complete(call(script, "hi"), soon())
    choices, end = await whole_stream(provider, call(script, "hi"))
    said = content_said(script, upstream.seen[0].body)
    assert content_of(whole.choices[0].message) == said
    if said:
        assert content_of(choices[0].message) == said
        assert choices[0].message == whole.choices[0].message
    assert choices[0].finish_reason == whole.choices[0].finish_reason
    assert end.usage == whole.usage


async def test_a_plain_answer_is_not_said_twice(provider: Provider) -> None:
    """What the fields of a message say is not kept beside them once more."""
    told = await provider.complete(call("tools"), soon())
    message = told.choices[0].message
    assert CONTENT not in message.extra_json
    assert [made.id for made in message.tool_calls] == ["toolu_00", "toolu_01"]
    assert json.loads(message.tool_calls[1].arguments_json) == {"city": "Zürich", "days": 1}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "reason", "extra"),
    [
        ("tools", chat_pb2.FINISH_REASON_TOOL_CALLS, {}),
        ("long", chat_pb2.FINISH_REASON_LENGTH, {}),
        ("refused", chat_pb2.FINISH_REASON_CONTENT_FILTER, {}),
        ("paused", chat_pb2.FINISH_REASON_STOP, {"stop_reason": "pause_turn"}),
        (
            "stopped",
            chat_pb2.FINISH_REASON_STOP,
            {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        ),
        (
            "window",
            chat_pb2.FINISH_REASON_LENGTH,
            {"stop_reason": "model_context_window_exceeded"},
        ),
    ],
)
async def test_why_it_stopped(
    provider: Provider, script: str, reason: int, extra: dict[str, str], streamed: bool
) -> None:
    """Every reason has the fleet's word; what that leaves out stands beside it."""
    if streamed:
        choices, _ = await whole_stream(provider, call(script))
    else:
        choices = list((await provider.complete(call(script), soon())).choices)
    assert choices[0].finish_reason == reason
    assert json.loads(choices[0].extra_json or "{}") == extra


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "usage", "impossible"),
    [
        (
            "usage-cached",
            chat_pb2.TokenUsage(
                input_tokens=11,
                cached_input_tokens=2000,
                cache_write_tokens=100,
                cache_write_1h_tokens=200,
                output_tokens=5,
            ),
            False,
        ),
        (
            "usage-thinking",
            chat_pb2.TokenUsage(input_tokens=11, output_tokens=2, reasoning_tokens=3),
            False,
        ),
        ("usage-missing", None, False),
        ("usage-impossible", None, True),
    ],
)
async def test_tokens_by_bucket(
    provider: Provider,
    script: str,
    usage: chat_pb2.TokenUsage | None,
    impossible: bool,
    streamed: bool,
) -> None:
    """Buckets do not overlap, and numbers that cannot be are none."""
    told: Any
    if streamed:
        _, told = await whole_stream(provider, call(script))
    else:
        told = await provider.complete(call(script), soon())
    assert (told.usage, told.usage_impossible) == (usage, impossible)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("too-long", Refusal.CONTEXT_TOO_LONG),
        ("too-large", Refusal.REQUEST_TOO_LARGE),
        ("bad-option", Refusal.REQUEST_INVALID),
        ("no-credit", Unavailability.QUOTA_USED_UP),
        ("bad-key", Unavailability.CREDENTIALS),
        ("no-model", Unavailability.NOT_FOUND),
        ("limited", Unavailability.RATE_LIMITED),
        ("limited-until", Unavailability.RATE_LIMITED),
        ("overloaded", Unavailability.SERVER_ERROR),
        ("failed", Unavailability.SERVER_ERROR),
    ],
)
async def test_errors(provider: Provider, script: str, reason: str, streamed: bool) -> None:
    """Each error means one thing, and nothing of its text goes any further."""
    error = await failure(provider, call(script), streamed)
    assert error.reason == reason
    assert error.billed is Billed.NO
    assert "canary" not in str(error)
    if script == "bad-option":
        assert isinstance(error, ProviderRefused)
        assert error.param == "temperature"
    if script.startswith("limited"):
        assert isinstance(error, ProviderUnavailable)
        assert error.retry_after_seconds == (7 if script == "limited" else 0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("reset", Unavailability.RESET), ("error-inside", Unavailability.SERVER_ERROR)],
)
async def test_a_stream_that_breaks(provider: Provider, script: str, reason: str) -> None:
    """An answer that is not whole is never taken for one."""
    error = await failure(provider, call(script), streamed=True)
    assert error.reason == reason
    assert error.billed is Billed.UNKNOWN


async def test_who_hangs_up_is_heard(upstream: AnthropicUpstream, provider: Provider) -> None:
    """A stream left early closes its connection, so that the provider stops working."""
    async with aclosing(provider.stream(call("hang-later"), soon())) as events:
        await anext(events)
    async with asyncio.timeout(5):
        await upstream.until(lambda: upstream.hung_up["hang-later"] > 0)


async def test_betas_reach_the_provider(upstream: AnthropicUpstream, provider: Provider) -> None:
    """Flags go in their header; what is no flag goes nowhere."""
    extra = json.dumps({"anthropic": {"betas": ["context-1m-2025-08-07", "x\r\ny: z"], "top_k": 4}})
    await provider.complete(call("happy", extra_json=extra), soon())
    (seen,) = upstream.seen
    assert seen.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert seen.body["top_k"] == 4
    assert "betas" not in seen.body


async def test_an_option_that_is_lacking(upstream: AnthropicUpstream) -> None:
    """By default it is refused by name and nothing is sent; by policy left out with a warning."""
    wanted = call("happy", sampling=chat_pb2.Sampling(seed=7))
    async with anthropic_of(upstream) as strict:
        error = await failure(strict, wanted, streamed=False)
    assert isinstance(error, ProviderRefused)
    assert (error.reason, error.param) == (Refusal.OPTION_UNSUPPORTED, "seed")
    assert not upstream.seen
    async with anthropic_of(upstream, unsupported="drop") as lenient:
        told = await lenient.complete(wanted, soon())
        _, end = await whole_stream(lenient, wanted)
    assert "seed" not in upstream.seen[0].body
    assert len(told.warnings) == len(end.warnings) == 1
    assert "seed" in told.warnings[0]


async def test_what_pays_is_marked(upstream: AnthropicUpstream) -> None:
    """A long beginning that was sent before is kept by the provider from its second time on."""
    system = chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="rule " * 2_000)
    user = chat_pb2.Message(role=chat_pb2.ROLE_USER, content="hi")
    wanted = call("claude-sonnet-4-5")
    del wanted.prompt.messages[:]
    wanted.prompt.messages.extend([system, user])
    async with anthropic_of(upstream, marked=True) as provider:
        await provider.complete(wanted, soon())
        await provider.complete(wanted, soon())
    first, second = (seen.body["system"] for seen in upstream.seen)
    assert first == system.content
    assert second == [
        {"type": "text", "text": system.content, "cache_control": {"type": "ephemeral"}}
    ]
