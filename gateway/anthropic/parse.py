"""A request of Anthropic's Messages API, as JSON, into the fleet's own messages. Nothing is lost.

Coding agents send fields and flags that are newer than this: what nobody knows is kept among
Anthropic's own options (content.py) and reaches an upstream of Anthropic's as it came.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.content import (
    BETAS,
    CONTENT,
    OPTIONS,
    REASONING,
    Block,
    arguments_of,
    is_plain,
    kept,
    text_of,
)
from gateway.openai.read import Fields, NotJson, invalid, to_json

MESSAGES_MAX = 4_096
BLOCKS_MAX = 256
TOOLS_MAX = 512
STOPS_MAX = 16
USER_BYTES_MAX = 128
_DIGEST_HEX_CHARS = 32
_ROLES = ("user", "assistant", "system")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_FORMAT_NAME = "answer"


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request as it came, less what HTTP headers add."""

    model: str
    prompt: chat_pb2.Prompt
    options: gateway_pb2.RequestOptions
    stream: bool
    stops: Sequence[str]


def parse_messages(body: bytes, betas: Sequence[str] = ()) -> MessagesRequest:
    """The request in `body`; `betas` are the flags of its anthropic-beta header.

    Raises: NotJson, InvalidFields with the path of the first fault.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    fields = Fields(value, "")
    model = fields.required_text("model")
    stream = fields.boolean("stream") or False
    extra: dict[str, Any] = {}
    stops = _stops(fields)
    prompt = chat_pb2.Prompt(
        messages=[*_system(fields), *_messages(fields)],
        tools=_tools(fields),
        sampling=chat_pb2.Sampling(
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
            output_tokens_max=fields.integer("max_tokens"),
            stop=stops,
        ),
        tool_choice_json=_tool_choice(fields, extra),
        response_format_json=_format(fields),
    )
    options = gateway_pb2.RequestOptions(user=_user(fields))
    # Last: whatever nobody took is Anthropic's own.
    own = fields.rest()
    if betas:
        own[BETAS] = list(betas)
    if own:
        extra[OPTIONS] = own
    prompt.extra_json = to_json(extra, "") if extra else ""
    return MessagesRequest(model, prompt, options, stream, stops)


def _stops(fields: Fields) -> list[str]:
    stops = fields.items("stop_sequences", STOPS_MAX) or []
    if not all(isinstance(text, str) for text in stops):
        raise invalid("stop_sequences", "must be a list of strings")
    return stops


def _user(fields: Fields) -> str:
    """The end user by `metadata.user_id`; a name too long for the books is told by its digest."""
    metadata = fields.rest().get("metadata")
    name = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        return ""
    if len(name.encode()) <= USER_BYTES_MAX:
        return name
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_HEX_CHARS]


def _system(fields: Fields) -> list[chat_pb2.Message]:
    value = fields.take("system")
    if not value:
        return []
    message = chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM)
    if isinstance(value, str):
        message.content = value
    else:
        _put_parts(message, [_part(each, at) for each, at in _blocks(value, "system")])
    return [message]


def _messages(fields: Fields) -> list[chat_pb2.Message]:
    values = fields.items("messages", MESSAGES_MAX)
    if not values:
        raise invalid("messages", "must have a message")
    told: list[chat_pb2.Message] = []
    for at, value in enumerate(values):
        told += _turn(Fields(value, f"messages[{at}]"))
    return told


def _turn(fields: Fields) -> list[chat_pb2.Message]:
    role = fields.required_text("role")
    path = fields.path("content")
    content = fields.take("content")
    if role not in _ROLES:
        raise invalid(fields.path("role"), f"must be one of: {', '.join(_ROLES)}")
    if content in (None, "", []):
        raise invalid(path, "is required")
    if role == "assistant":
        return [_assistant(content, path)]
    if isinstance(content, str):
        kind = chat_pb2.ROLE_SYSTEM if role == "system" else chat_pb2.ROLE_USER
        return [chat_pb2.Message(role=kind, content=content)]
    return _user_turn(content, path, role)


def _user_turn(content: Any, path: str, role: str) -> list[chat_pb2.Message]:
    """Each result of a tool is a message; what stands between them is one of the user's."""
    told: list[chat_pb2.Message] = []
    parts: list[chat_pb2.ContentPart] = []
    kind = chat_pb2.ROLE_SYSTEM if role == "system" else chat_pb2.ROLE_USER

    def flush() -> None:
        if parts:
            message = chat_pb2.Message(role=kind)
            _put_parts(message, parts)
            told.append(message)
            parts.clear()

    for block, at in _blocks(content, path):
        if block.get("type") == "tool_result":
            flush()
            told.append(_tool_result(block, at))
        else:
            parts.append(_part(block, at))
    flush()
    return told


def _put_parts(message: chat_pb2.Message, parts: Sequence[chat_pb2.ContentPart]) -> None:
    """The parts; a single plain text stands as such, for that is what it means."""
    if len(parts) == 1 and parts[0].text and not parts[0].extra_json:
        message.content = parts[0].text
    else:
        message.parts.extend(parts)


def _blocks(value: Any, path: str) -> list[tuple[Block, str]]:
    """Blocks, each with its path."""
    if not isinstance(value, list):
        raise invalid(path, "must be a string or a list of blocks")
    if len(value) > BLOCKS_MAX:
        raise invalid(path, f"has {len(value)} blocks, at most {BLOCKS_MAX}")
    for at, block in enumerate(value):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise invalid(f"{path}[{at}]", "must be an object with a type")
    return [(block, f"{path}[{at}]") for at, block in enumerate(value)]


def _part(block: Block, path: str) -> chat_pb2.ContentPart:
    fields = Fields(block, path)
    part = chat_pb2.ContentPart()
    kind = fields.text("type")
    if kind == "text":
        part.text = fields.text("text")
    elif kind == "image" and (url := _image_url(fields)):
        part.image.url = url
        fields.take("source")
    else:
        fields.rest()["type"] = kind
    part.extra_json = fields.rest_json()
    return part


def _image_url(fields: Fields) -> str:
    """The picture as a URL; "" when it is one kept by the provider."""
    source = fields.rest().get("source")
    if not isinstance(source, dict):
        raise invalid(fields.path("source"), "must be an object")
    inner = Fields(dict(source), fields.path("source"))
    kind = inner.required_text("type")
    if kind == "base64":
        return f"data:{inner.required_text('media_type')};base64,{inner.required_text('data')}"
    return inner.required_text("url") if kind == "url" else ""


def _tool_result(block: Block, path: str) -> chat_pb2.Message:
    fields = Fields(block, path)
    fields.take("type")
    message = chat_pb2.Message(
        role=chat_pb2.ROLE_TOOL, tool_call_id=fields.required_text("tool_use_id")
    )
    content = fields.take("content")
    if isinstance(content, str):
        message.content = content
    elif content:
        where = fields.path("content")
        _put_parts(message, [_part(each, at) for each, at in _blocks(content, where)])
    message.extra_json = fields.rest_json()
    return message


def _assistant(content: Any, path: str) -> chat_pb2.Message:
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
    if isinstance(content, str):
        message.content = content
        return message
    blocks = [block for block, _ in _blocks(content, path)]
    # What another vendor's model thought has no signature, and no use for anybody's.
    unsigned = [block for block in blocks if _is_unsigned(block)]
    blocks = [block for block in blocks if not _is_unsigned(block)]
    extra: dict[str, Any] = {}
    if unsigned:
        extra[REASONING] = "".join(str(block.get("thinking", "")) for block in unsigned)
    if not is_plain(blocks):
        extra[CONTENT] = kept(blocks)
    message.content = text_of(blocks)
    for block in blocks:
        if block["type"] == "tool_use":
            message.tool_calls.append(_call(block, path))
    message.extra_json = to_json(extra, path) if extra else ""
    return message


def _is_unsigned(block: Block) -> bool:
    return block["type"] == "thinking" and not block.get("signature")


def _call(block: Block, path: str) -> chat_pb2.ToolCall:
    fields = Fields(block, path)
    try:
        arguments = arguments_of(fields.take("input"))
    except orjson.JSONEncodeError:
        raise invalid(fields.path("input"), "is nested too deep") from None
    return chat_pb2.ToolCall(
        id=fields.required_text("id"),
        name=fields.required_text("name"),
        arguments_json=arguments,
    )


def _tools(fields: Fields) -> list[chat_pb2.Tool]:
    values = fields.items("tools", TOOLS_MAX) or []
    return [_tool(value, f"tools[{at}]") for at, value in enumerate(values)]


def _tool(value: Any, path: str) -> chat_pb2.Tool:
    fields = Fields(value, path)
    tool = chat_pb2.Tool()
    kind = fields.text("type") or "custom"
    if kind == "custom":
        tool.name = fields.required_text("name")
        tool.description = fields.text("description")
        tool.parameters_json = fields.json_text("input_schema")
        strict = fields.boolean("strict")
        if strict is not None:
            tool.strict = strict
    else:
        fields.rest()["type"] = kind
    tool.extra_json = fields.rest_json()
    return tool


def _tool_choice(fields: Fields, extra: dict[str, Any]) -> str:
    value = fields.take("tool_choice")
    if value is None:
        return ""
    inner = Fields(value, "tool_choice")
    kind = inner.required_text("type")
    if inner.boolean("disable_parallel_tool_use"):
        extra["parallel_tool_calls"] = False
    if kind == "tool":
        function = {"name": inner.required_text("name")}
        return to_json({"type": "function", "function": function}, "tool_choice")
    if kind not in _CHOICES:
        raise invalid("tool_choice.type", f"must be one of: {', '.join(_CHOICES)}, tool")
    return to_json(_CHOICES[kind], "tool_choice")


def _format(fields: Fields) -> str:
    """The schema of the answer, as in OpenAI's API; what else stands beside it stays."""
    rest = fields.rest()
    config = rest.get("output_config")
    told = config.get("format") if isinstance(config, dict) else rest.get("output_format")
    if not isinstance(told, dict) or told.get("type") != "json_schema":
        return ""
    if isinstance(config, dict):
        rest["output_config"] = {k: v for k, v in config.items() if k != "format"}
        if not rest["output_config"]:
            del rest["output_config"]
    else:
        del rest["output_format"]
    schema = {"name": _FORMAT_NAME, "strict": True, "schema": told.get("schema")}
    return to_json({"type": "json_schema", "json_schema": schema}, "output_config")
