"""The official OpenAI SDK through the HTTP door to a provider that speaks Anthropic's Messages."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.fakes.anthropic_calls import anthropic_of
from tests.fakes.anthropic_scripts import CALLS, THINKING, content_of
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.http_door import KEY
from tests.fakes.provider_door import ProviderDoor, open_door

USER: Any = {"role": "user", "content": "hi"}


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicUpstream]:
    async with AnthropicUpstream() as server:
        yield server


@pytest.fixture
async def client(upstream: AnthropicUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with (
        anthropic_of(upstream) as provider,
        open_door(ProviderDoor(provider)) as url,
        AsyncOpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0) as made,
    ):
        yield made


TOOL_USE: Any = {"type": "tool_use", "id": "c0", "name": "f", "input": {"city": "Z"}}
SENT: Any = {
    "model": "happy",
    "max_tokens": 99,
    "system": "Be brief.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
                },
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "source": {
                        "type": "base64",
                        "media_type": "application/pdf",
                        "data": "AA==",
                    },
                    "title": "a.pdf",
                },
            ],
        },
        {"role": "assistant", "content": [TOOL_USE, {**TOOL_USE, "id": "c1"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c0", "content": "sun"},
                {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object"},
            "strict": True,
        }
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "output_config": {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    },
    "temperature": 0.5,
    "stop_sequences": ["END"],
    "thinking": {"type": "adaptive"},
    "top_k": 5,
}


async def test_all_of_a_turn(upstream: AnthropicUpstream, client: AsyncOpenAI) -> None:
    """Instructions, tools and their results, pictures, files, schemas and settings."""
    png = "data:image/png;base64,AA=="
    pdf = "data:application/pdf;base64,AA=="
    arguments = '{"city":"Z"}'
    called = {"id": "c0", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages: Any = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": png}},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [called, {**called, "id": "c1"}]},
        {"role": "tool", "tool_call_id": "c0", "content": "sun"},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "user", "content": "And now?"},
    ]
    function: Any = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    schema: Any = {"name": "a", "schema": {"type": "object"}, "strict": True}
    await client.chat.completions.create(
        model="happy",
        messages=messages,
        max_completion_tokens=99,
        tools=[{"type": "function", "function": {**function, "strict": True}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": schema},
        reasoning_effort="low",
        temperature=0.5,
        stop=["END"],
        user="u1",
        extra_body={"thinking": {"type": "adaptive"}, "top_k": 5},
    )
    (seen,) = upstream.seen
    assert seen.body == SENT


async def test_parallel_calls(client: AsyncOpenAI) -> None:
    """Whole and streamed, as the SDK's own helper joins them."""
    whole = await client.chat.completions.create(model="tools", messages=[USER])
    async with client.chat.completions.stream(model="tools", messages=[USER]) as stream:
        streamed = await stream.get_final_completion()
    for told in (whole, streamed):
        message = told.choices[0].message
        assert message.content == "You said: hi"
        assert message.tool_calls is not None
        assert [call.id for call in message.tool_calls] == [made["id"] for made in CALLS]
        assert told.choices[0].finish_reason == "tool_calls"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (11, 5)


@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_go_back_unharmed(
    upstream: AnthropicUpstream, client: AsyncOpenAI, stream: bool
) -> None:
    """They come beside the answer; who hands the message back hands them back with it."""
    if stream:
        async with client.chat.completions.stream(model="thinking", messages=[USER]) as events:
            told: Any = await events.get_final_completion()
    else:
        told = await client.chat.completions.create(model="thinking", messages=[USER])
    message = told.choices[0].message
    assert message.model_extra["reasoning_content"] == THINKING["thinking"]
    back = message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in back["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    result: Any = {"role": "tool", "tool_call_id": CALLS[0]["id"], "content": "sun"}
    await client.chat.completions.create(model="happy", messages=[USER, back, result])
    sent = upstream.seen[-1].body["messages"]
    assert sent[1]["content"] == content_of("thinking", upstream.seen[0].body)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"seed": 7}, "seed"),
        ({"n": 2}, "n"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"temperature": 1.5}, "temperature"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"extra_body": {"guided_regex": "a"}}, "guided_regex"),
        ({"messages": [{**USER, "name": "ann"}]}, "messages.name"),
    ],
)
async def test_what_anthropic_lacks(
    upstream: AnthropicUpstream, client: AsyncOpenAI, options: Any, param: str
) -> None:
    """An option with no counterpart is refused by its name, and nothing is sent."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**{"model": "happy", "messages": [USER], **options})
    assert caught.value.param == param
    assert not upstream.seen
