"""Bedrock's adapter against a server on loopback that speaks Converse and its framing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.parse import parse_messages
from gateway.anthropic.wire import content_of
from gateway.bedrock.sigv4 import AwsKeys
from gateway.providers.bedrock import BedrockProvider
from gateway.providers.http import open_session
from gateway.providers.port import (
    Billed,
    Provider,
    ProviderCall,
    ProviderRefused,
    Refusal,
    Unavailability,
)
from tests.fakes.anthropic_calls import line_of
from tests.fakes.bedrock_upstream import REDACTED, BedrockUpstream
from tests.fakes.provider_calls import KEY, call, failure, soon, whole_stream

KEYS = AwsKeys(SecretStr("AKIDEXAMPLE"), SecretStr(KEY), SecretStr("session-token"))
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture
async def upstream() -> AsyncIterator[BedrockUpstream]:
    async with BedrockUpstream() as server:
        yield server


@pytest.fixture
async def provider(upstream: BedrockUpstream) -> AsyncIterator[Provider]:
    async with open_session() as session:
        yield _provider(session, upstream, KEYS)


def _provider(session: Any, upstream: BedrockUpstream, keys: AwsKeys | SecretStr) -> Provider:
    return BedrockProvider(
        line_of(session), base_url=upstream.base_url, region="us-east-1", keys=keys, markers=None
    )


USED = chat_pb2.TokenUsage(
    input_tokens=11,
    cached_input_tokens=2_000,
    cache_write_tokens=100,
    cache_write_1h_tokens=200,
    output_tokens=5,
)


async def test_an_answer(upstream: BedrockUpstream, provider: Provider) -> None:
    """A whole answer with its tokens; the model stands in the path, encoded as it is signed."""
    told = await provider.complete(call(MODEL, "hi"), soon())
    (choice,) = told.choices
    assert choice.message.content == "Hello you"
    assert choice.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert told.usage == USED
    ((path, headers, body),) = upstream.seen
    assert path == f"/model/{MODEL.replace(':', '%3A')}/converse"
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 1_000},
    }
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "session-token"
    assert KEY not in str(headers)


async def test_an_api_key_of_bedrocks(upstream: BedrockUpstream) -> None:
    """Instead of an access key there may be one key, sent as it is."""
    async with open_session() as session:
        await _provider(session, upstream, SecretStr(KEY)).complete(call(MODEL), soon())
    assert upstream.seen[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("script", ["happy", "tools", "thinking", "long", "guarded"])
async def test_a_stream_tells_the_same_answer(provider: Provider, script: str) -> None:
    """Streamed or whole: texts, parallel calls, thoughts with their signatures."""
    whole = await provider.complete(call(script), soon())
    choices, end = await whole_stream(provider, call(script))
    assert choices == list(whole.choices)
    assert end.usage == whole.usage == USED


async def test_thoughts_come_back(upstream: BedrockUpstream, provider: Provider) -> None:
    """What was thought goes back in Converse's words."""
    told = await provider.complete(call("thinking"), soon())
    assert [block["type"] for block in content_of(told.choices[0].message)] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]
    wanted = call("happy")
    wanted.prompt.messages.append(told.choices[0].message)
    wanted.prompt.messages.add(role=chat_pb2.ROLE_USER, content="Go on.")
    await provider.complete(wanted, soon())
    assert upstream.seen[1][2]["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "It is late.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": REDACTED}},
        {"text": "Late."},
    ]


TURN = b"""{
  "model": "m", "max_tokens": 9, "stop_sequences": ["END"], "temperature": 0.5, "top_k": 3,
  "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
  "tools": [{"name": "t", "input_schema": {"type": "object"},
             "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
  "tool_choice": {"type": "tool", "name": "t"},
  "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
  "messages": [
    {"role": "user", "content": [
      {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
      {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
      {"type": "document", "title": "a/b.pdf",
       "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}]},
    {"role": "user", "content": "please"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "t", "input": {}}]},
    {"role": "user", "content": [
      {"type": "tool_result", "tool_use_id": "i", "content": "x", "is_error": true}]}]
}"""


async def test_all_of_a_turn(upstream: BedrockUpstream, provider: Provider) -> None:
    """Tools, results, pictures, documents, schemas and markers in Converse's words."""
    prompt = parse_messages(TURN, ["a-1"]).prompt
    await provider.complete(ProviderCall("happy", prompt, 9), soon())
    body = upstream.seen[0][2]
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "Be brief."}, point]
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]}
    assert body["additionalModelRequestFields"] == {"top_k": 3, "anthropic_beta": ["a-1"]}
    assert body["toolConfig"] == {
        "tools": [
            {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}},
            {"cachePoint": {"type": "default", "ttl": "1h"}},
        ],
        "toolChoice": {"tool": {"name": "t"}},
    }
    schema = {"schema": '{"type":"object"}', "name": "answer"}
    assert body["outputConfig"]["textFormat"]["structure"] == {"jsonSchema": schema}
    first, second, third = body["messages"]
    assert first["content"] == [
        {"text": "See"},
        point,
        {"image": {"format": "png", "source": {"bytes": "AA=="}}},
        {"document": {"format": "pdf", "name": "a b pdf", "source": {"bytes": "AA=="}}},
        {"text": "please"},
    ]
    assert second["content"] == [{"toolUse": {"toolUseId": "i", "name": "t", "input": {}}}]
    result = {"toolUseId": "i", "content": [{"text": "x"}], "status": "error"}
    assert third["content"] == [{"toolResult": result}]


@pytest.mark.parametrize(
    ("extra", "option"),
    [
        ({"tool_choice_json": '"none"', "tools": [chat_pb2.Tool(name="t")]}, "tool_choice"),
        ({"extra_json": '{"anthropic":{"container":"c"}}'}, "container"),
        ({"sampling": chat_pb2.Sampling(seed=1)}, "seed"),
    ],
)
async def test_what_converse_lacks(provider: Provider, extra: Any, option: str) -> None:
    """It is refused by its name."""
    error = await failure(provider, call("happy", **extra), streamed=False)
    assert isinstance(error, ProviderRefused)
    assert (error.reason, error.param) == (Refusal.OPTION_UNSUPPORTED, option)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("too-long", Refusal.CONTEXT_TOO_LONG),
        ("too-long-inside", Refusal.CONTEXT_TOO_LONG),
        ("invalid", Refusal.REQUEST_INVALID),
        ("throttled", Unavailability.RATE_LIMITED),
        ("denied", Unavailability.CREDENTIALS),
        ("model-failed", Unavailability.SERVER_ERROR),
        ("away", Unavailability.SERVER_ERROR),
    ],
)
async def test_errors(provider: Provider, script: str, reason: str, streamed: bool) -> None:
    """Each error means one thing, and nothing of its text goes any further."""
    error = await failure(provider, call(script), streamed)
    assert error.reason == reason
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("cut", Unavailability.RESET),
        ("broken", Unavailability.BAD_ANSWER),
        ("exception", Unavailability.SERVER_ERROR),
    ],
)
async def test_a_stream_that_breaks(provider: Provider, script: str, reason: str) -> None:
    """An answer that is not whole is never taken for one."""
    error = await failure(provider, call(script), streamed=True)
    assert (error.reason, error.billed) == (reason, Billed.UNKNOWN)
