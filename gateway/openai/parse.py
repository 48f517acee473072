"""A chat request of OpenAI's API, as JSON, into the fleet's own messages. Nothing is lost.

Ranges are checked behind the door, where requests over gRPC come by too; here only what has no
place in the messages is refused: wrong types, unknown roles, and numbers of items past bounds.
"""

import binascii
from dataclasses import dataclass
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.read import Fields, NotJson, invalid, to_json

MESSAGES_MAX = 4_096
PARTS_MAX = 256
TOOLS_MAX = 128
TOOL_CALLS_MAX = 128
STOPS_MAX = 16
TAGS_MAX = 16
_INT32_MAX = 2**31 - 1

ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request as it came, less what HTTP headers add."""

    model: str
    prompt: chat_pb2.Prompt
    options: gateway_pb2.RequestOptions
    stream: bool
    # The caller wants a chunk with the tokens at the end of its stream.
    include_usage: bool
    # The option it set the limit on output tokens with, for errors about it.
    limit_name: str


def parse_chat(body: bytes) -> ChatRequest:
    """The request in `body`. Raises: NotJson, InvalidFields with the path of the first fault."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    fields = Fields(value, "")
    model = fields.required_text("model")
    stream = fields.boolean("stream") or False
    include_usage = _include_usage(fields, stream)
    options = options_of(fields)
    limit_name, limit = _output_tokens_max(fields)
    prompt = chat_pb2.Prompt(
        messages=_messages(fields),
        tools=_tools(fields),
        sampling=_sampling(fields, limit),
        tool_choice_json=_tool_choice(fields),
        response_format_json=_response_format(fields),
    )
    # Last: whatever nobody knew.
    prompt.extra_json = fields.rest_json()
    return ChatRequest(model, prompt, options, stream, include_usage, limit_name)


def parse_content(
    value: Any, path: str, message: chat_pb2.Message, *, parts_max: int = PARTS_MAX
) -> None:
    """Puts a message's content, a text or a list of parts, into `message`."""
    if isinstance(value, str):
        message.content = value
        return
    if not isinstance(value, list):
        raise invalid(path, "must be a string or a list of parts")
    if not value:
        raise invalid(path, "must have a part")
    if len(value) > parts_max:
        raise invalid(path, f"has {len(value)} parts, at most {parts_max}")
    message.parts.extend(_part(item, f"{path}[{at}]") for at, item in enumerate(value))


def parse_tool_call(value: Any, path: str) -> chat_pb2.ToolCall:
    """A tool call, of a function or of another kind."""
    fields = Fields(value, path)
    call = chat_pb2.ToolCall(id=fields.text("id"))
    kind = fields.text("type") or "function"
    rest = fields.rest()
    if kind == "function":
        function = Fields(rest.pop("function", None), fields.path("function"))
        call.name = function.required_text("name")
        call.arguments_json = _arguments(function)
        _nest(rest, "function", function)
    else:
        rest["type"] = kind
    call.extra_json = fields.rest_json()
    return call


def _arguments(function: Fields) -> str:
    # JSON text by the book; some servers send the object itself.
    value = function.take("arguments")
    if isinstance(value, dict):
        return to_json(value, function.path("arguments"))
    if value is not None and not isinstance(value, str):
        raise invalid(function.path("arguments"), "must be a string")
    return value or ""


def _nest(rest: dict[str, Any], name: str, inner: Fields) -> None:
    """What is left of an inner object stays where it was."""
    if inner.rest():
        rest[name] = inner.rest()


def _messages(fields: Fields) -> list[chat_pb2.Message]:
    values = fields.items("messages", MESSAGES_MAX)
    if not values:
        raise invalid("messages", "must have a message")
    return [_message(value, f"messages[{at}]") for at, value in enumerate(values)]


def _message(value: Any, path: str) -> chat_pb2.Message:
    fields = Fields(value, path)
    role = fields.required_text("role")
    if role not in ROLES:
        raise invalid(fields.path("role"), f"must be one of: {', '.join(ROLES)}")
    message = chat_pb2.Message(
        role=ROLES[role],
        name=fields.text("name"),
        tool_call_id=fields.text("tool_call_id"),
        refusal=fields.text("refusal"),
    )
    calls = fields.items("tool_calls", TOOL_CALLS_MAX) or []
    message.tool_calls.extend(
        parse_tool_call(call, f"{path}.tool_calls[{at}]") for at, call in enumerate(calls)
    )
    content = fields.take("content")
    message.extra_json = fields.rest_json()
    if content is not None:
        parse_content(content, fields.path("content"), message)
    elif role != "assistant" or not (calls or message.refusal or message.extra_json):
        raise invalid(fields.path("content"), "is required")
    return message


def _part(value: Any, path: str) -> chat_pb2.ContentPart:
    fields = Fields(value, path)
    part = chat_pb2.ContentPart()
    kind = fields.required_text("type")
    rest = fields.rest()
    if kind == "text":
        # Set also when it is empty: a part without anything is another thing.
        part.text = fields.text("text")
    elif kind == "image_url":
        image = Fields(rest.pop("image_url", None), fields.path("image_url"))
        part.image.url = image.required_text("url")
        part.image.detail = image.text("detail")
        _nest(rest, "image_url", image)
    elif kind == "input_audio":
        audio = Fields(rest.pop("input_audio", None), fields.path("input_audio"))
        part.audio.data = _base64(audio)
        part.audio.format = audio.required_text("format")
        _nest(rest, "input_audio", audio)
    else:
        rest["type"] = kind
    part.extra_json = fields.rest_json()
    return part


def _base64(audio: Fields) -> bytes:
    text = audio.required_text("data")
    try:
        return binascii.a2b_base64(text.encode(), strict_mode=True)
    except binascii.Error:
        raise invalid(audio.path("data"), "is not base64") from None


def _tools(fields: Fields) -> list[chat_pb2.Tool]:
    values = fields.items("tools", TOOLS_MAX) or []
    return [_tool(value, f"tools[{at}]") for at, value in enumerate(values)]


def _tool(value: Any, path: str) -> chat_pb2.Tool:
    fields = Fields(value, path)
    tool = chat_pb2.Tool()
    kind = fields.required_text("type")
    rest = fields.rest()
    if kind == "function":
        function = Fields(rest.pop("function", None), fields.path("function"))
        tool.name = function.required_text("name")
        tool.description = function.text("description")
        tool.parameters_json = function.json_text("parameters")
        strict = function.boolean("strict")
        if strict is not None:
            tool.strict = strict
        _nest(rest, "function", function)
    else:
        rest["type"] = kind
    tool.extra_json = fields.rest_json()
    return tool


def _output_tokens_max(fields: Fields) -> tuple[str, int | None]:
    """The limit and the name it was set by; the newer one counts when both are."""
    older = fields.integer("max_tokens")
    newer = fields.integer("max_completion_tokens")
    if newer is None and older is not None:
        return "max_tokens", older
    return "max_completion_tokens", newer


def _sampling(fields: Fields, output_tokens_max: int | None) -> chat_pb2.Sampling:
    stop = fields.take("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(text, str) for text in stops):
        raise invalid("stop", "must be a string or a list of strings")
    if len(stops) > STOPS_MAX:
        raise invalid("stop", f"has {len(stops)} texts, at most {STOPS_MAX}")
    return chat_pb2.Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        output_tokens_max=output_tokens_max,
        stop=stops,
        seed=fields.integer("seed"),
        choice_count=fields.integer("n", _INT32_MAX),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
    )


def _tool_choice(fields: Fields) -> str:
    value = fields.take("tool_choice")
    if value is None:
        return ""
    if not isinstance(value, str | dict):
        raise invalid("tool_choice", "must be a string or an object")
    return to_json(value, "tool_choice")


def _response_format(fields: Fields) -> str:
    value = fields.take("response_format")
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise invalid("response_format", "must be an object")
    return to_json(value, "response_format")


def _include_usage(fields: Fields, stream: bool) -> bool:
    value = fields.take("stream_options")
    if value is None:
        return False
    if not stream:
        raise invalid("stream_options", "is only for a stream")
    # Its other options are about the wire, which is ours.
    return Fields(value, "stream_options").boolean("include_usage") or False


def options_of(fields: Fields) -> gateway_pb2.RequestOptions:
    """Attribution that the body carries: `user`, and `metadata` as tags."""
    options = gateway_pb2.RequestOptions(user=fields.text("user"))
    metadata = fields.take("metadata")
    if metadata is None:
        return options
    if not isinstance(metadata, dict):
        raise invalid("metadata", "must be an object")
    if len(metadata) > TAGS_MAX:
        raise invalid("metadata", f"has {len(metadata)} labels, at most {TAGS_MAX}")
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise invalid("metadata", "must have strings as values")
        options.tags[name] = value
    if fields.rest().get("store") is True:
        # Who has the provider keep the answer wants its labels kept with it.
        fields.rest()["metadata"] = metadata
    return options
