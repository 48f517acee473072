"""A request of OpenAI's API goes into the fleet's messages and out to a provider unharmed."""

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2

from chassis.errors import InvalidFields
from gateway.openai.parse import parse_chat
from gateway.openai.read import NotJson
from gateway.openai.render import render_prompt

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.sampled_from("abc_XYZ019-"), min_size=1, max_size=8)
JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=6,
)
# Names that no field of ours has, so that they must travel as further fields.
FURTHER = st.dictionaries(NAME.map("x_".__add__), JSON, max_size=2)


def _object(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    typed = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda further, own: {**further, **own}, FURTHER, typed)


PART = st.one_of(
    _object({"type": st.just("text"), "text": TEXT}, {"cache_control": JSON}),
    _object(
        {
            "type": st.just("image_url"),
            "image_url": _object({"url": NAME}, {"detail": st.sampled_from(["low", "auto"])}),
        },
        {},
    ),
    _object(
        {
            "type": st.just("input_audio"),
            "input_audio": _object(
                {
                    "data": st.binary(min_size=1, max_size=9).map(
                        lambda raw: base64.b64encode(raw).decode()
                    ),
                    "format": st.sampled_from(["wav", "mp3"]),
                },
                {},
            ),
        },
        {},
    ),
    _object({"type": st.just("file"), "file": JSON}, {}),
)
TOOL_CALL = st.one_of(
    _object(
        {
            "id": NAME,
            "type": st.just("function"),
            "function": _object({"name": NAME, "arguments": TEXT}, {}),
        },
        {},
    ),
    _object({"id": NAME, "type": st.just("custom"), "custom": JSON}, {}),
)
CONTENT = TEXT | st.lists(PART, min_size=1, max_size=3)
MESSAGE = st.one_of(
    _object(
        {"role": st.sampled_from(["system", "developer", "user"]), "content": CONTENT},
        {"name": NAME},
    ),
    _object({"role": st.just("tool"), "content": CONTENT, "tool_call_id": NAME}, {}),
    _object(
        {
            "role": st.just("assistant"),
            "content": st.none(),
            "tool_calls": st.lists(TOOL_CALL, min_size=1, max_size=2),
        },
        {},
    ),
    _object(
        {"role": st.just("assistant"), "content": TEXT.filter(bool)},
        {"refusal": TEXT.filter(bool), "audio": JSON},
    ),
)
TOOL = st.one_of(
    _object(
        {
            "type": st.just("function"),
            "function": _object(
                {"name": NAME},
                {
                    "description": TEXT.filter(bool),
                    "parameters": st.dictionaries(NAME, JSON, max_size=2),
                    "strict": st.booleans(),
                },
            ),
        },
        {},
    ),
    _object({"type": st.just("custom"), "custom": JSON}, {}),
)
NUMBER = st.floats(-2, 2) | st.integers(-2, 2)
REQUEST = _object(
    {"messages": st.lists(MESSAGE, min_size=1, max_size=4)},
    {
        "tools": st.lists(TOOL, min_size=1, max_size=2),
        "tool_choice": st.sampled_from(["auto", "required"]) | FURTHER,
        "response_format": FURTHER,
        "temperature": NUMBER,
        "top_p": NUMBER,
        "seed": st.integers(-(2**63) + 1, 2**63 - 1),
        "n": st.integers(1, 16),
        "presence_penalty": NUMBER,
        "frequency_penalty": NUMBER,
        "stop": st.lists(TEXT, min_size=1, max_size=4),
        "logit_bias": st.dictionaries(NAME, st.integers(-100, 100), max_size=2),
        "reasoning_effort": st.sampled_from(["low", "high"]),
        "parallel_tool_calls": st.booleans(),
    },
)


@given(REQUEST)
def test_nothing_is_lost(request: dict[str, Any]) -> None:
    """What a provider gets is what the caller set, every option and every further field."""
    parsed = parse_chat(json.dumps({"model": "m", **request}).encode())
    again = chat_pb2.Prompt.FromString(parsed.prompt.SerializeToString())
    assert render_prompt(again) == request


def parsed(**fields: Any) -> Any:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return parse_chat(orjson.dumps(request))


def test_the_order_of_a_schema_is_kept() -> None:
    """A model writes an object's fields in the order of its schema, so that order is meaning."""
    schema = {"type": "object", "properties": {"z": {}, "a": {}}, "required": ["z", "a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    told = parsed(response_format=form).prompt.response_format_json
    assert told == json.dumps(form, separators=(",", ":"))


def test_a_single_stop_is_a_list_of_one() -> None:
    """`stop` may be one text."""
    assert list(parsed(stop="END").prompt.sampling.stop) == ["END"]


def test_null_is_absent() -> None:
    """SDKs send null for what is not set."""
    assert parsed(temperature=None, tools=None, stream=None, user=None) == parsed()


def test_an_empty_tool_result_is_content() -> None:
    """A tool may return nothing; that is no missing field."""
    message = {"role": "tool", "tool_call_id": "c", "content": ""}
    prompt = parsed(messages=[message]).prompt
    assert render_prompt(prompt)["messages"] == [message]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
    ],
)
def test_either_name_limits_the_output(fields: dict[str, int], limit: int) -> None:
    """The newer name wins when both are set."""
    told = parsed(**fields)
    assert told.prompt.sampling.output_tokens_max == limit
    assert fields[told.limit_name] == limit


def test_attribution_is_no_part_of_the_prompt() -> None:
    """`user` and `metadata` are for the books: they must not split the cache."""
    told = parsed(user="u1", metadata={"team": "a"})
    assert told.prompt == parsed().prompt
    assert told.options.user == "u1"
    assert dict(told.options.tags) == {"team": "a"}


def test_metadata_goes_along_when_the_provider_stores() -> None:
    """Who has the provider keep the answer gets its labels kept there as well."""
    told = parsed(metadata={"team": "a"}, store=True)
    assert render_prompt(told.prompt)["metadata"] == {"team": "a"}
    assert dict(told.options.tags) == {"team": "a"}


def test_a_stream_may_ask_for_usage() -> None:
    """`stream_options.include_usage` is for the edge, not for the provider."""
    told = parsed(stream=True, stream_options={"include_usage": True})
    assert told.stream
    assert told.include_usage
    assert told.prompt == parsed().prompt


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [USER, {"role": "oracle", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [{**USER, "name": 5}]}, "messages[0].name"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].image_url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].input_audio.data",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": [USER] * 4097}, "messages"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "x"}] * 129}, "tools"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"n": 2**31}, "n"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 2**200}, "seed"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"stop": 5}, "stop"),
        ({"stop": [5]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"user": 5}, "user"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": 5}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ],
)
def test_the_field_at_fault_is_named(fields: dict[str, Any], param: str) -> None:
    """A request that cannot be taken is refused with the path of its first fault."""
    request = {"model": "m", "messages": [USER], **fields}
    with pytest.raises(InvalidFields) as caught:
        parse_chat(json.dumps(request).encode())
    assert caught.value.violations[0].field == param


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"model":"\xff"}', b'{"a":NaN}', b'"\\ud800"', b"[" * 5000],
    ids=["empty", "cut", "not UTF-8", "text not UTF-8", "NaN", "half a surrogate", "too deep"],
)
def test_what_is_no_json_is_told_apart(body: bytes) -> None:
    """Bytes that are no JSON are refused as such, whatever is wrong with them."""
    with pytest.raises(NotJson):
        parse_chat(body)


def test_a_body_that_is_no_object_is_refused() -> None:
    """JSON that is no object is no request."""
    with pytest.raises(InvalidFields):
        parse_chat(b"[]")


def test_options_nested_too_deep_are_refused() -> None:
    """What cannot be written out again is refused where it came in."""
    deep = '{"a":' * 400 + "1" + "}" * 400
    body = '{"model":"m","messages":[{"role":"user","content":"hi"}],"logit_bias":' + deep + "}"
    with pytest.raises(InvalidFields):
        parse_chat(body.encode())


@pytest.mark.parametrize("canary", ["canary-8c1f"])
def test_no_error_quotes_the_caller(canary: str) -> None:
    """The text of a refusal holds paths and rules, not what the caller wrote."""
    bad: list[dict[str, Any]] = [
        {"messages": [{"role": canary, "content": canary}]},
        {"messages": [{"role": "user", "content": [{"type": canary, canary: {}}, 5]}]},
        {"metadata": {canary: 5}},
        {"temperature": canary},
        {"seed": canary},
        {"stop": [canary] * 17},
    ]
    for fields in bad:
        with pytest.raises(InvalidFields) as caught:
            parsed(**fields)
        told = str(caught.value) + "".join(map(str, caught.value.violations))
        assert canary not in told


@pytest.mark.parametrize(
    ("prompt", "path"),
    [
        (chat_pb2.Prompt(extra_json="{"), "prompt.extra_json"),
        (chat_pb2.Prompt(extra_json="[]"), "prompt.extra_json"),
        (chat_pb2.Prompt(extra_json='{"stream": false}'), "prompt.extra_json"),
        (chat_pb2.Prompt(extra_json='{"model": "dear"}'), "prompt.extra_json"),
        (chat_pb2.Prompt(extra_json='{"n": 100}'), "prompt.extra_json"),
        (chat_pb2.Prompt(extra_json='{"max_tokens": 100}'), "prompt.extra_json"),
        (chat_pb2.Prompt(tool_choice_json="auto"), "prompt.tool_choice_json"),
        (chat_pb2.Prompt(response_format_json='"x"'), "prompt.response_format_json"),
        (
            chat_pb2.Prompt(tools=[chat_pb2.Tool(name="t", parameters_json="[]")]),
            "prompt.tools[0].parameters_json",
        ),
        (
            chat_pb2.Prompt(
                messages=[chat_pb2.Message(role="ROLE_USER", extra_json='{"content": "x"}')]
            ),
            "prompt.messages[0].extra_json",
        ),
        (
            chat_pb2.Prompt(
                messages=[
                    chat_pb2.Message(role="ROLE_USER", parts=[chat_pb2.ContentPart()]),
                ]
            ),
            "prompt.messages[0].parts[0]",
        ),
    ],
)
def test_further_fields_speak_over_nothing(prompt: chat_pb2.Prompt, path: str) -> None:
    """JSON text from a gRPC caller can add options, never change what is counted and priced."""
    with pytest.raises(InvalidFields) as caught:
        render_prompt(prompt)
    assert caught.value.violations[0].field == path
