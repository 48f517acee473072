"""The official SDK, the HTTP door, the adapter and a server that speaks the real Responses API."""

import time
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.lib._tools import ResponsesPydanticFunctionTool  # noqa: F401  # the SDK has this part
from pydantic import BaseModel, SecretStr
from spendgate.chat.v1 import chat_pb2

from gateway.errors import ERRORS
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.openai.render import render_prompt
from gateway.providers.dialects import DIALECTS
from gateway.providers.http import open_session
from gateway.providers.openai import OpenAIProvider
from gateway.providers.responses import ResponsesProvider
from tests.fakes.http_door import KEY
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import call, line_of, soon
from tests.fakes.provider_door import ProviderDoor
from tests.fakes.responses_scripts import CALL, CUSTOM, MESSAGE, REASONING, events, response
from tests.fakes.wire_upstream import Failure, WireUpstream


@pytest.fixture
async def upstream():
    async with WireUpstream() as server:
        yield server


@pytest.fixture
async def session():
    async with open_session() as opened:
        yield opened


@pytest.fixture
async def door(upstream, session):
    made = ProviderDoor()
    made.provider = ResponsesProvider(
        line_of(session), base_url=f"{upstream.address}/v1", api_key=SecretStr("sk-up")
    )
    return made


@pytest.fixture
async def client(door):
    limits = EdgeLimits()
    edge = make_edge(door, ERRORS, limits, ready=lambda: True, new_id=lambda: "s1", now=time.time)
    server = HttpServer(edge, limits)
    await server.start("127.0.0.1:0")
    async with AsyncOpenAI(
        base_url=f"http://{server.address}/v1", api_key=KEY, max_retries=0
    ) as made:
        yield made
    await server.stop()


TOOLS: Any = [
    {
        "type": "function",
        "name": "weather",
        "description": "Tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
    {
        "type": "custom",
        "name": "patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
    },
    {"type": "mcp", "server_label": "d", "server_url": "https://m.example"},
]  # fmt: skip
INPUT: Any = [
    {"role": "user", "content": [
        {"type": "input_text", "text": "Wie spät ist es? 🕰"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:text/plain;base64,JVBE"},
    ]},
    REASONING,
    {**MESSAGE, "phase": "commentary"},
    CALL,
    CUSTOM,
    {"type": "function_call_output", "call_id": "call_1", "output": '{"sun":true}'},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    {"type": "computer_call_output", "call_id": "c3", "output": {"type": "computer_screenshot",
        "image_url": "data:image/png;base64,iVBORw=="}},
    {"role": "developer", "content": "Be brief."},
]  # fmt: skip


async def test_an_answer(client, upstream, door):
    """Text, reasoning, tokens and cost arrive where the SDK and where its users look."""
    upstream.plays = [response(REASONING, MESSAGE)]
    raw = await client.responses.with_raw_response.create(model="m", input="Wie spät?")
    told = raw.parse()
    assert told.output_text == "Guten Tag 🕰"
    assert told.output[0].to_dict() == REASONING
    assert told.output[1].to_dict() == MESSAGE
    assert (told.status, told.store, told.model) == ("completed", False, "small")
    assert (told.usage.input_tokens, told.usage.output_tokens) == (100, 30)
    assert told.usage.input_tokens_details.cached_tokens == 40
    assert told.usage.output_tokens_details.reasoning_tokens == 20
    assert told.model_extra["spendgate"]["cost_nanos"] == 1_234_567_890
    assert raw.headers["x-spendgate-cost-nanos"] == "1234567890"
    seen = upstream.seen[0]
    assert seen.path == "/v1/responses"
    assert seen.headers["Authorization"] == "Bearer sk-up"
    assert seen.body == {
        "model": "m",
        "input": [{"role": "user", "content": "Wie spät?"}],
        "store": False,
        "max_output_tokens": 1000,
    }


async def test_the_request_is_what_was_asked(client, upstream):
    """Items, tools, schema and options reach the provider as they were sent."""
    upstream.plays = [response(MESSAGE)]
    asked: Any = {
        "tools": TOOLS,
        "tool_choice": {"type": "function", "name": "weather"},
        "text": {"verbosity": "low", "format": {
            "type": "json_schema", "name": "s", "strict": True, "schema": {"type": "object"}}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 77,
        "truncation": "auto",
        "prompt_cache_key": "mine",
        "extra_body": {"made_up_later": {"by": "OpenAI"}},
    }  # fmt: skip
    await client.responses.create(model="m", input=INPUT, instructions="Sei nett.", **asked)
    body = dict(upstream.seen[0].body)
    system, *items = body.pop("input")
    assert system == {"role": "system", "content": "Sei nett."}
    assert [_without_noise(item) for item in items] == [_without_noise(item) for item in INPUT]
    more = asked.pop("extra_body")
    assert body == {"model": "m", "store": False, **asked, **more}


def _without_noise(item):
    """States are the answer's; empty lists say nothing."""
    told = {k: v for k, v in item.items() if k != "status"}
    if item.get("type") == "message":
        parts = told["content"]
        told["content"] = [{k: v for k, v in p.items() if v != []} for p in parts]
    return told


@pytest.mark.parametrize(
    "output", [(MESSAGE,), (REASONING, MESSAGE), (REASONING, MESSAGE, CALL, CUSTOM), (CALL,)]
)
async def test_a_stream_tells_the_same_answer(client, upstream, output):
    """Typed events, numbered without a gap; the SDK's own accumulation is the final response."""
    upstream.plays = [events(*output)]
    async with client.responses.stream(model="m", input="Wie spät?") as stream:
        seen = [event async for event in stream]
        final = await stream.get_final_response()
    kinds = [event.type for event in seen]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert final.output_text == ("Guten Tag 🕰" if MESSAGE in output else "")
    assert [item.type for item in final.output] == [item["type"] for item in output]
    for item, wanted in zip(final.output, output, strict=True):
        told = {k: v for k, v in item.to_dict().items() if k != "parsed_arguments"}
        if wanted["type"] == "reasoning":
            assert told == wanted
        if wanted["type"] in ("function_call", "custom_tool_call"):
            assert {**told, "id": ""} == {**wanted, "id": ""}
    assert final.usage.total_tokens == 130
    assert final.model_extra["spendgate"]["request_id"] == "req-1"


async def test_what_was_streamed_can_be_handed_back(client, upstream):
    """A next turn carries reasoning in its place, and no id that this gateway made up."""
    upstream.plays = [events(REASONING, MESSAGE, CALL), response(MESSAGE)]
    async with client.responses.stream(model="m", input="Wie spät?") as stream:
        final = await stream.get_final_response()
    output: Any = [item.to_dict() for item in final.output]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
    await client.responses.create(model="m", input=[*output, result])
    items = upstream.seen[1].body["input"]
    assert items[0] == REASONING
    assert [item["type"] for item in items] == [
        "reasoning", "message", "function_call", "function_call_output"
    ]  # fmt: skip
    assert not any("_sg_" in str(item) for item in items)


class Time(BaseModel):
    """A schema."""

    hour: int


async def test_a_schema_of_the_sdk(client, upstream):
    """`responses.parse` sends its schema and reads the answer into it."""
    text = {**MESSAGE["content"][0], "text": '{"hour": 7}'}
    upstream.plays = [response({**MESSAGE, "content": [text]})]
    told = await client.responses.parse(model="m", input="Wie spät?", text_format=Time)
    assert told.output_parsed == Time(hour=7)
    sent = upstream.seen[0].body["text"]["format"]
    assert (sent["type"], sent["name"], sent["strict"]) == ("json_schema", "Time", True)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"extra_body": {"conversation": "conv_1"}}, "conversation"),
        ({"extra_body": {"prompt": {"id": "pmpt_1"}}}, "input"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ],
)
async def test_what_is_not_kept_here_is_refused(client, upstream, more, param):
    upstream.plays = [response(MESSAGE)]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="m", input="hi", **more)
    assert caught.value.param == param
    assert not upstream.seen


async def test_nothing_is_kept(client):
    with pytest.raises(openai.NotFoundError, match="not kept here"):
        await client.responses.retrieve("resp_1")


async def test_errors_have_the_sdks_exceptions(client, upstream):
    """A refusal of the provider keeps its status; a stream that fails raises."""
    upstream.plays = [Failure(400, {"error": {"message": "canary", "param": "temperature"}})]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="m", input="hi", temperature=1)
    assert caught.value.param == "temperature"
    assert "canary" not in str(caught.value)
    upstream.plays = [events(MESSAGE)[:6]]
    with pytest.raises(openai.APIError):
        async with client.responses.stream(model="m", input="hi") as stream:
            async for _ in stream:
                pass


async def test_an_answer_that_was_cut(client, upstream):
    upstream.plays = [
        response(MESSAGE, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    ]
    told = await client.responses.create(model="m", input="hi")
    assert told.status == "incomplete"
    assert told.incomplete_details.reason == "max_output_tokens"


async def test_a_chat_caller_before_a_responses_provider(client, upstream):
    """The other protocol's caller gets its words, and hands the reasoning back unharmed."""
    upstream.plays = [response(REASONING, MESSAGE, CALL), response(MESSAGE)]
    asked: Any = [{"role": "user", "content": "Wie spät?"}]
    told = await client.chat.completions.create(model="m", messages=asked)
    message = told.choices[0].message
    assert (message.content, told.choices[0].finish_reason) == ("Guten Tag 🕰", "tool_calls")
    assert message.tool_calls[0].function.arguments == CALL["arguments"]
    back = message.to_dict(exclude_none=True)
    answer = {"role": "tool", "tool_call_id": "call_1", "content": "sun"}
    await client.chat.completions.create(model="m", messages=[*asked, back, answer])
    items = upstream.seen[1].body["input"]
    assert items[1] == REASONING
    assert items[2]["content"][0]["text"] == "Guten Tag 🕰"
    assert items[3]["call_id"] == "call_1"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_responses_caller_before_a_chat_provider(client, door, session, streamed):
    """Reasoning told in words comes as an item, and goes back as what it was."""
    async with OpenAIUpstream() as chat:
        door.provider = OpenAIProvider(line_of(session), base_url=chat.base_url, api_key=None)
        if streamed:
            async with client.responses.stream(model="reasoning", input="hi") as stream:
                told = await stream.get_final_response()
        else:
            told = await client.responses.create(model="reasoning", input="hi")
        assert told.output_text.startswith("Answer ")
        # The server streams its thoughts last.
        (thoughts,) = [item for item in told.output if item.type == "reasoning"]
        assert thoughts.content[0].text == "First this, then that."
        again: Any = [item.to_dict() for item in told.output]
        await client.responses.create(
            model="happy", input=[*again, {"role": "user", "content": "x"}]
        )
        sent = chat.seen[1].body["messages"][0]
        assert sent["reasoning_content"] == "First this, then that."
        assert sent["content"] == told.output_text


async def test_options_of_the_other_protocol(session, upstream):
    """What the provider lacks is an error that names it, or is dropped with a warning."""
    upstream.plays = [response(MESSAGE)]
    wanted = call("m", sampling=chat_pb2.Sampling(seed=1), extra_json='{"logit_bias":{"1":1}}')
    url = f"{upstream.address}/v1"
    strict = ResponsesProvider(line_of(session), base_url=url, api_key=None)
    with pytest.raises(Exception, match="OPTION_UNSUPPORTED") as caught:
        await strict.complete(wanted, soon())
    assert caught.value.param == "seed"
    assert not upstream.seen
    lenient = ResponsesProvider(line_of(session, unsupported="drop"), base_url=url, api_key=None)
    told = await lenient.complete(wanted, soon())
    assert told.warnings == (
        "seed was left out: fake lacks it",
        "logit_bias was left out: fake lacks it",
    )
    assert not {"seed", "logit_bias"} & upstream.seen[0].body.keys()


async def test_the_chat_api_is_not_sent_what_it_refuses(session):
    """Thoughts of another protocol stay out of requests to OpenAI's own chat completions."""
    async with OpenAIUpstream() as chat:
        provider = OpenAIProvider(
            line_of(session),
            base_url=chat.base_url,
            api_key=None,
            dialect=DIALECTS["openai"],
        )
        wanted = call("happy", extra_json='{"include":["reasoning.encrypted_content"]}')
        wanted.prompt.messages.append(
            chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                content="x",
                extra_json='{"responses_items":[{"type":"reasoning"}],"reasoning_content":"y"}',
            )
        )
        await provider.complete(wanted, soon())
        assert chat.seen[0].body["messages"][1] == {"role": "assistant", "content": "x"}
        assert "include" not in chat.seen[0].body
        assert render_prompt(wanted.prompt)["include"]
