"""The fleet's own prompt as a chat request of OpenAI's API. The inverse of openai_parse."""

import binascii
from collections.abc import Collection
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.openai.parse import ROLES
from gateway.openai.read import invalid, object_from, value_from

_ROLE_NAMES = {number: name for name, number in ROLES.items()}

# What the request's own fields say. Further fields may not speak over them.
_KNOWN_OPTIONS = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "stream",
        "stream_options",
    }
)
_KNOWN_OF_MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})


def render_prompt(prompt: chat_pb2.Prompt) -> dict[str, Any]:
    """Everything of the request but the model, the limit on output tokens and the stream.

    Raises InvalidFields when a field that holds JSON text holds none, or speaks over another
    field; the path is that of the proto field.
    """
    body: dict[str, Any] = {
        "messages": [
            render_message(message, f"prompt.messages[{at}]")
            for at, message in enumerate(prompt.messages)
        ]
    }
    if prompt.tools:
        body["tools"] = [_tool(tool, f"prompt.tools[{at}]") for at, tool in enumerate(prompt.tools)]
    if prompt.tool_choice_json:
        body["tool_choice"] = value_from(prompt.tool_choice_json, "prompt.tool_choice_json")
    if prompt.response_format_json:
        body["response_format"] = object_from(
            prompt.response_format_json, "prompt.response_format_json"
        )
    _add_sampling(body, prompt.sampling)
    body.update(_further(prompt.extra_json, "prompt.extra_json", _KNOWN_OPTIONS))
    return body


def render_message(message: chat_pb2.Message, path: str) -> dict[str, Any]:
    """One message, asked or answered. Raises InvalidFields."""
    if message.role not in _ROLE_NAMES:
        raise invalid(f"{path}.role", "is required")
    body: dict[str, Any] = {"role": _ROLE_NAMES[message.role]}
    if message.parts:
        body["content"] = [
            _part(part, f"{path}.parts[{at}]") for at, part in enumerate(message.parts)
        ]
    else:
        body["content"] = None if _content_is_elsewhere(message) else message.content
    for name in ("name", "tool_call_id", "refusal"):
        if value := getattr(message, name):
            body[name] = value
    if message.tool_calls:
        body["tool_calls"] = [
            render_tool_call(call, f"{path}.tool_calls[{at}]")
            for at, call in enumerate(message.tool_calls)
        ]
    body.update(_further(message.extra_json, f"{path}.extra_json", _KNOWN_OF_MESSAGE))
    return body


def render_tool_call(call: chat_pb2.ToolCall, path: str) -> dict[str, Any]:
    """One tool call. Raises InvalidFields."""
    body: dict[str, Any] = {"id": call.id}
    extra = object_from(call.extra_json, f"{path}.extra_json")
    if "type" not in extra:
        body["type"] = "function"
        body["function"] = {"name": call.name, "arguments": call.arguments_json}
    return _beside(body, extra, f"{path}.extra_json")


def _content_is_elsewhere(message: chat_pb2.Message) -> bool:
    return (
        message.role == chat_pb2.ROLE_ASSISTANT
        and not message.content
        and bool(message.tool_calls or message.refusal or message.extra_json)
    )


def _part(part: chat_pb2.ContentPart, path: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    match part.WhichOneof("part"):
        case "text":
            body = {"type": "text", "text": part.text}
        case "image":
            image = {"url": part.image.url}
            if part.image.detail:
                image["detail"] = part.image.detail
            body = {"type": "image_url", "image_url": image}
        case "audio":
            data = binascii.b2a_base64(part.audio.data, newline=False).decode()
            body = {
                "type": "input_audio",
                "input_audio": {"data": data, "format": part.audio.format},
            }
    extra = object_from(part.extra_json, f"{path}.extra_json")
    if not body and "type" not in extra:
        raise invalid(path, "must have a part")
    return _beside(body, extra, f"{path}.extra_json")


def _tool(tool: chat_pb2.Tool, path: str) -> dict[str, Any]:
    extra = object_from(tool.extra_json, f"{path}.extra_json")
    if "type" in extra:
        return extra
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = object_from(tool.parameters_json, f"{path}.parameters_json")
    if tool.HasField("strict"):
        function["strict"] = tool.strict
    return _beside({"type": "function", "function": function}, extra, f"{path}.extra_json")


def _add_sampling(body: dict[str, Any], sampling: chat_pb2.Sampling) -> None:
    names = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
    for name in names:
        if sampling.HasField(name):
            body[name] = getattr(sampling, name)
    if sampling.HasField("choice_count"):
        body["n"] = sampling.choice_count
    if sampling.stop:
        body["stop"] = list(sampling.stop)


def _further(text: str, path: str, known: Collection[str]) -> dict[str, Any]:
    extra = object_from(text, path)
    for name in extra:
        if name in known:
            raise invalid(path, f"holds {name}, which has a field of its own")
    return extra


def _beside(body: dict[str, Any], extra: dict[str, Any], path: str) -> dict[str, Any]:
    """`extra` laid beside `body`, one level into its objects; it may speak over nothing."""
    for name, value in extra.items():
        own = body.get(name)
        if own is None:
            body[name] = value
        elif isinstance(own, dict) and isinstance(value, dict) and not own.keys() & value.keys():
            own.update(value)
        else:
            # `name` is one of ours here, so it quotes nobody.
            raise invalid(path, f"holds {name}, which has a field of its own")
    return body
