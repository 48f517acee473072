"""A request of OpenAI's Responses API, as JSON, into the fleet's own messages. Nothing is lost.

What both of OpenAI's protocols have is put as its chat completions put it, so that any provider
can be called; what only this one has stays under its own name.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.parse import MESSAGES_MAX, PARTS_MAX, TOOLS_MAX, options_of
from gateway.openai.read import Fields, NotJson, invalid, to_json
from gateway.openai.responses_items import LAYOUT, REFERENCES, Turn

_ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
}
# Results of calls that are no function's have types that end so.
_RESULT_ENDS = ("_output", "_response")
_TOOL_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
# What would need a conversation kept here, or at the provider.
_STATEFUL = {
    "previous_response_id": "conversations are not kept here: send the whole of it as input",
    "conversation": "conversations are not kept here: send the whole of it as input",
    "prompt": "prompts are not kept here: send instructions and input",
}
# Shown again in the response.
_ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
    "reasoning", "service_tier", "temperature", "text", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A request as it came, less what HTTP headers add."""

    model: str
    prompt: chat_pb2.Prompt
    options: gateway_pb2.RequestOptions
    stream: bool
    # The request's settings, as the response shows them again.
    echo: dict[str, Any]


def parse_responses(body: bytes) -> ResponsesRequest:
    """The request in `body`. Raises: NotJson, InvalidFields with the path of the first fault."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    fields = Fields(value, "")
    model = fields.required_text("model")
    echo = {name: value[name] for name in _ECHOED if value.get(name) is not None}
    _refuse_state(fields)
    stream = fields.boolean("stream") or False
    # Its options are about the wire, which is ours.
    fields.take("stream_options")
    options = options_of(fields)
    prompt = chat_pb2.Prompt(
        messages=_messages(fields),
        tools=[
            _tool(tool, f"tools[{at}]")
            for at, tool in enumerate(fields.items("tools", TOOLS_MAX) or [])
        ],
        tool_choice_json=_tool_choice(fields),
        sampling=chat_pb2.Sampling(
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
            output_tokens_max=fields.integer("max_output_tokens"),
        ),
    )
    _add_text(fields, prompt)
    _add_reasoning(fields)
    # Last: whatever nobody knew.
    prompt.extra_json = fields.rest_json()
    return ResponsesRequest(model, prompt, options, stream, echo)


def _refuse_state(fields: Fields) -> None:
    for name, why in _STATEFUL.items():
        if fields.take(name) is not None:
            raise invalid(name, why)
    if fields.boolean("background"):
        raise invalid("background", "answers are not kept here to be fetched later")
    # Whether OpenAI is to keep the response is the caller's choice; here none is kept.
    if fields.boolean("store"):
        fields.rest()["store"] = True


def _messages(fields: Fields) -> list[chat_pb2.Message]:
    messages = []
    if instructions := fields.text("instructions"):
        messages.append(chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=instructions))
    told = fields.take("input")
    if isinstance(told, str) and told:
        return [*messages, chat_pb2.Message(role=chat_pb2.ROLE_USER, content=told)]
    if not isinstance(told, list) or not told:
        raise invalid("input", "must be a text or a list of items")
    if len(told) > MESSAGES_MAX:
        raise invalid("input", f"has {len(told)} items, at most {MESSAGES_MAX}")
    turn: Turn | None = None
    for at, item in enumerate(told):
        path = f"input[{at}]"
        if not isinstance(item, dict):
            raise invalid(path, "must be an object")
        if _is_said_by_the_model(item):
            turn = turn or Turn()
            turn.add(item, path)
            continue
        if turn is not None:
            messages.append(turn.message())
            turn = None
        messages.append(_message(item, path))
    return [*messages, turn.message()] if turn is not None else messages


def _is_said_by_the_model(item: dict[str, Any]) -> bool:
    kind = item.get("type", "message")
    if kind == "message":
        return item.get("role") == "assistant"
    return kind in REFERENCES or not str(kind).endswith((*_RESULT_ENDS, "item_reference"))


def _message(item: dict[str, Any], path: str) -> chat_pb2.Message:
    fields = Fields(item, path)
    kind = fields.text("type") or "message"
    if kind == "item_reference":
        raise invalid(path, "items are not kept here: send the item itself")
    if kind in _TOOL_RESULTS:
        message = chat_pb2.Message(
            role=chat_pb2.ROLE_TOOL, tool_call_id=fields.required_text("call_id")
        )
        _content(fields.take("output"), fields.path("output"), message)
        return message
    if kind != "message":
        call_id = item.get("call_id")
        return chat_pb2.Message(
            role=chat_pb2.ROLE_TOOL,
            tool_call_id=call_id if isinstance(call_id, str) else "",
            extra_json=to_json({LAYOUT: [item]}, path),
        )
    role = fields.required_text("role")
    if role not in _ROLES:
        raise invalid(fields.path("role"), f"must be one of: assistant, {', '.join(_ROLES)}")
    message = chat_pb2.Message(role=_ROLES[role])
    _content(fields.take("content"), fields.path("content"), message)
    return message


def _content(value: Any, path: str, message: chat_pb2.Message) -> None:
    if isinstance(value, str):
        message.content = value
        return
    if not isinstance(value, list) or not value:
        raise invalid(path, "must be a text or a list of parts")
    if len(value) > PARTS_MAX:
        raise invalid(path, f"has {len(value)} parts, at most {PARTS_MAX}")
    message.parts.extend(_part(part, f"{path}[{at}]") for at, part in enumerate(value))


def _part(value: Any, path: str) -> chat_pb2.ContentPart:
    fields = Fields(value, path)
    kind = fields.required_text("type")
    part = chat_pb2.ContentPart()
    rest = fields.rest()
    if kind in {"input_text", "text", "output_text"}:
        part.text = fields.text("text")
    elif kind == "input_image" and isinstance(rest.get("image_url"), str):
        part.image.url = fields.required_text("image_url")
        part.image.detail = fields.text("detail")
    elif kind == "input_file":
        # OpenAI's other protocol has the same under another name.
        file = {name: rest.pop(name) for name in ("file_id", "filename", "file_data") & rest.keys()}
        rest.update({"type": "file", "file": file})
    else:
        rest["type"] = kind
    part.extra_json = fields.rest_json()
    return part


def _tool(value: Any, path: str) -> chat_pb2.Tool:
    fields = Fields(value, path)
    kind = fields.required_text("type")
    if kind == "function":
        tool = chat_pb2.Tool(
            name=fields.required_text("name"),
            description=fields.text("description"),
            parameters_json=fields.json_text("parameters"),
        )
        strict = fields.boolean("strict")
        if strict is not None:
            tool.strict = strict
        tool.extra_json = fields.rest_json()
        return tool
    if kind == "custom":
        custom = dict(fields.rest())
        shape = custom.get("format")
        if isinstance(shape, dict) and shape.get("type") == "grammar":
            grammar = {name: shape[name] for name in shape if name != "type"}
            custom["format"] = {"type": "grammar", "grammar": grammar}
        told = {"type": "custom", "custom": custom}
    else:
        told = {"type": kind, **fields.rest()}
    return chat_pb2.Tool(extra_json=to_json(told, path))


def _tool_choice(fields: Fields) -> str:
    value = fields.take("tool_choice")
    if value is None:
        return ""
    if isinstance(value, dict):
        return to_json(_chosen(value), "tool_choice")
    if not isinstance(value, str):
        raise invalid("tool_choice", "must be a string or an object")
    return to_json(value, "tool_choice")


def _chosen(value: dict[str, Any]) -> dict[str, Any]:
    """{"type": "function", "name": n} as {"type": "function", "function": {"name": n}}."""
    kind = value.get("type")
    rest = {name: item for name, item in value.items() if name != "type"}
    if kind in {"function", "custom"}:
        return {"type": kind, kind: rest}
    if kind == "allowed_tools":
        tools = [_chosen(tool) for tool in rest.get("tools") or [] if isinstance(tool, dict)]
        return {"type": kind, kind: {**rest, "tools": tools}}
    return value


def _add_text(fields: Fields, prompt: chat_pb2.Prompt) -> None:
    """`text`: the format of the answer, and how wordy it is."""
    value = fields.take("text")
    if value is None:
        return
    text = Fields(value, "text")
    shape = text.take("format")
    if isinstance(shape, dict):
        if shape.get("type") == "json_schema":
            schema = {name: item for name, item in shape.items() if name != "type"}
            shape = {"type": "json_schema", "json_schema": schema}
        if shape.get("type") != "text":
            prompt.response_format_json = to_json(shape, "text.format")
    elif shape is not None:
        raise invalid("text.format", "must be an object")
    if verbosity := text.text("verbosity"):
        fields.rest()["verbosity"] = verbosity
    if text.rest():
        raise invalid(f"text.{sorted(text.rest())[0]}", "is not known here")


def _add_reasoning(fields: Fields) -> None:
    """How hard to think has a name in both protocols; the rest of `reasoning` stays."""
    value = fields.take("reasoning")
    if value is None:
        return
    reasoning = Fields(value, "reasoning")
    if effort := reasoning.text("effort"):
        fields.rest()["reasoning_effort"] = effort
    if reasoning.rest():
        fields.rest()["reasoning"] = reasoning.rest()
