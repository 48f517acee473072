"""The fleet's own prompt as a request of OpenAI's Responses API. The inverse of responses_parse."""

import binascii
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.openai.read import invalid, object_from, value_from
from gateway.openai.responses_items import LAYOUT, items_of

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "developer",
    chat_pb2.ROLE_USER: "user",
}
# Set by the gateway, or by fields of the prompt.
_KNOWN = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "text", "temperature", "top_p"}
    | {"max_output_tokens", "stream", "stream_options", "previous_response_id", "conversation"}
    | {"background", "prompt"}
)


def render_responses(prompt: chat_pb2.Prompt) -> dict[str, Any]:
    """Everything of the request but the model, the limit on output tokens and the stream.

    Raises InvalidFields when a field that holds JSON text holds none, or speaks over another
    field. Sampling that the protocol lacks is left to the caller.
    """
    body: dict[str, Any] = {"input": _input(prompt)}
    if prompt.tools:
        body["tools"] = [_tool(tool, f"prompt.tools[{at}]") for at, tool in enumerate(prompt.tools)]
    if prompt.tool_choice_json:
        body["tool_choice"] = _choice(
            value_from(prompt.tool_choice_json, "prompt.tool_choice_json")
        )
    for name in ("temperature", "top_p"):
        if prompt.sampling.HasField(name):
            body[name] = getattr(prompt.sampling, name)
    extra = object_from(prompt.extra_json, "prompt.extra_json")
    for name in extra:
        if name in _KNOWN:
            raise invalid("prompt.extra_json", f"holds {name}, which has a field of its own")
    if effort := extra.pop("reasoning_effort", None):
        extra["reasoning"] = {**(extra.get("reasoning") or {}), "effort": effort}
    text: dict[str, Any] = {}
    if verbosity := extra.pop("verbosity", None):
        text["verbosity"] = verbosity
    if prompt.response_format_json:
        text["format"] = _format(
            object_from(prompt.response_format_json, "prompt.response_format_json")
        )
    if text:
        body["text"] = text
    # Unless the caller wants it kept, the provider keeps nothing.
    return {**body, "store": False, **extra}


def _input(prompt: chat_pb2.Prompt) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    custom: set[str] = set()
    for at, message in enumerate(prompt.messages):
        path = f"prompt.messages[{at}]"
        if message.role == chat_pb2.ROLE_ASSISTANT:
            turn = list(items_of(message, path))
            custom |= {item["call_id"] for item in turn if item["type"] == "custom_tool_call"}
            items += turn
        elif message.role == chat_pb2.ROLE_TOOL:
            items += _result(message, path, custom)
        else:
            items.append({"role": _ROLES[message.role], "content": _content(message, path)})
    return items


def _result(message: chat_pb2.Message, path: str, custom: set[str]) -> list[dict[str, Any]]:
    raw = object_from(message.extra_json, f"{path}.extra_json").get(LAYOUT)
    if raw:
        return list(raw)
    kind = "custom_tool_call" if message.tool_call_id in custom else "function_call"
    output = _content(message, path)
    return [{"type": f"{kind}_output", "call_id": message.tool_call_id, "output": output}]


def _content(message: chat_pb2.Message, path: str) -> Any:
    if not message.parts:
        return message.content
    return [_part(part, f"{path}.parts[{at}]") for at, part in enumerate(message.parts)]


def _part(part: chat_pb2.ContentPart, path: str) -> dict[str, Any]:
    extra = object_from(part.extra_json, f"{path}.extra_json")
    match part.WhichOneof("part"):
        case "text":
            return {"type": "input_text", "text": part.text, **extra}
        case "image":
            detail = part.image.detail or "auto"
            return {
                "type": "input_image",
                "image_url": part.image.url,
                "detail": detail,
                **extra,
            }
        case "audio":
            data = binascii.b2a_base64(part.audio.data, newline=False).decode()
            audio = {"data": data, "format": part.audio.format}
            return {"type": "input_audio", "input_audio": audio, **extra}
    if extra.get("type") == "file":
        return {"type": "input_file", **(extra.get("file") or {})}
    if "type" not in extra:
        raise invalid(path, "must have a part")
    return extra


def _tool(tool: chat_pb2.Tool, path: str) -> dict[str, Any]:
    extra = object_from(tool.extra_json, f"{path}.extra_json")
    if extra.get("type") == "custom":
        custom = dict(extra.get("custom") or {})
        shape = custom.get("format")
        if isinstance(shape, dict) and isinstance(shape.get("grammar"), dict):
            custom["format"] = {"type": "grammar", **shape["grammar"]}
        return {"type": "custom", **custom}
    if "type" in extra:
        return extra
    parameters = tool.parameters_json or '{"type":"object","properties":{}}'
    told: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": object_from(parameters, f"{path}.parameters_json"),
    }
    if tool.description:
        told["description"] = tool.description
    if tool.HasField("strict"):
        told["strict"] = tool.strict
    return {**told, **extra}


def _choice(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    inner = value.get(kind) if isinstance(kind, str) else None
    if kind in {"function", "custom"} and isinstance(inner, dict):
        return {"type": kind, **inner}
    if kind == "allowed_tools" and isinstance(inner, dict):
        tools = [_choice(tool) for tool in inner.get("tools") or []]
        return {"type": kind, **inner, "tools": tools}
    return value


def _format(shape: dict[str, Any]) -> dict[str, Any]:
    schema = shape.get("json_schema")
    if shape.get("type") == "json_schema" and isinstance(schema, dict):
        return {"type": "json_schema", **schema}
    return shape
