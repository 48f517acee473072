"""The official Anthropic SDK through the HTTP door to a server that speaks OpenAI's protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.fakes.anthropic_scripts import CALLS
from tests.fakes.anthropic_turns import TURN, plain_turn
from tests.fakes.http_door import KEY
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import providers_of
from tests.fakes.provider_door import ProviderDoor, open_door


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


async def test_what_another_vendor_lacks_may_be_left_out(openai_upstream: OpenAIUpstream) -> None:
    """Where the operator says so, as a coding agent needs it: the caller is told."""
    thinking: Any = {"type": "enabled", "budget_tokens": 2_000}
    async with (
        providers_of(openai_upstream) as opened,
        open_door(ProviderDoor(opened(unsupported="drop"))) as url,
        AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client,
    ):
        raw = await client.messages.with_raw_response.create(
            **plain_turn("happy", thinking=thinking)
        )
        told = await raw.parse()
    assert "thinking" in raw.headers["x-spendgate-warnings"]
    assert len(told.to_dict()["spendgate"]["warnings"]) == 1
    assert "thinking" not in openai_upstream.seen[0].body


async def test_what_another_vendor_lacks(
    openai_upstream: OpenAIUpstream, elsewhere: AsyncAnthropic
) -> None:
    """An option with no counterpart is refused by its name, and nothing is sent."""
    thinking: Any = {"type": "enabled", "budget_tokens": 2_000}
    with pytest.raises(anthropic.BadRequestError) as caught:
        await elsewhere.messages.create(**plain_turn("happy", thinking=thinking))
    assert caught.value.body["error"]["message"].startswith("thinking: ")  # type: ignore[index,call-overload]
    assert not openai_upstream.seen
