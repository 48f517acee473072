"""The fleet's messages and tools as Anthropic's turns and blocks. The inverse of parse.py."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.content import (
    CACHE_CONTROL,
    CONTENT,
    IS_ERROR,
    REASONING,
    Block,
    blocks_in,
    input_of,
    option_name,
)
from gateway.openai.read import invalid, object_from
from gateway.providers.options import Options, OptionUnsupported

_INSTRUCTIONS = (chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER)
_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.ASCII)
# What an assistant's message may hold beside its content, and no provider needs back.
_IDLE = frozenset(
    {
        REASONING,
        "reasoning",
        "annotations",
        "content_parts",
        "spendgate",
        "provider_specific_fields",
    }
)
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def render_system(
    messages: Iterable[chat_pb2.Message], options: Options
) -> str | list[Block] | None:
    """All instructions, wherever they stood; None without any.

    Raises: InvalidFields, OptionUnsupported.
    """
    told = [message for message in messages if message.role in _INSTRUCTIONS]
    if not told:
        return None
    if len(told) == 1 and told[0].content and not told[0].extra_json:
        _no_name(told[0], options)
        return told[0].content
    blocks: list[Block] = []
    for message in told:
        _no_name(message, options)
        blocks += _user_blocks(message, options)
    return blocks


def render_turns(messages: Iterable[chat_pb2.Message], options: Options) -> list[Block]:
    """The turns of a conversation. Results of tools and what the user says beside them are one.

    Raises: InvalidFields where JSON text holds none; OptionUnsupported for what Anthropic lacks.
    """
    turns: list[Block] = []
    with_results = False
    for message in messages:
        if message.role in _INSTRUCTIONS:
            continue
        if message.role == chat_pb2.ROLE_ASSISTANT:
            turns.append({"role": "assistant", "content": _assistant(message, options)})
            with_results = False
            continue
        result = message.role == chat_pb2.ROLE_TOOL
        content: Any = [_tool_result(message, options)] if result else _user(message, options)
        if turns and turns[-1]["role"] == "user" and (result or with_results):
            turns[-1]["content"] = _as_blocks(turns[-1]["content"]) + _as_blocks(content)
            with_results = True
        else:
            turns.append({"role": "user", "content": content})
            with_results = result
    return turns


def render_tools(tools: Sequence[chat_pb2.Tool], options: Options) -> list[Block]:
    """The tools a model may call. Raises: InvalidFields, OptionUnsupported."""
    rendered = [_tool(tool, f"prompt.tools[{at}]", options) for at, tool in enumerate(tools)]
    return [tool for tool in rendered if tool is not None]


def _as_blocks(content: str | list[Block]) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _no_name(message: chat_pb2.Message, options: Options) -> None:
    if message.name:
        options.lacks("messages.name")


def _user(message: chat_pb2.Message, options: Options) -> str | list[Block]:
    _no_name(message, options)
    if message.content and not message.extra_json:
        return message.content
    return _user_blocks(message, options)


def _user_blocks(message: chat_pb2.Message, options: Options) -> list[Block]:
    extra = object_from(message.extra_json, "prompt.messages.extra_json")
    blocks = _content_blocks(message, options)
    marker = extra.pop(CACHE_CONTROL, None)
    if marker is not None and blocks:
        blocks[-1] = {**blocks[-1], CACHE_CONTROL: marker}
    for name in extra:
        options.lacks(f"messages.{option_name(name)}")
    return blocks


def _content_blocks(message: chat_pb2.Message, options: Options) -> list[Block]:
    if message.content:
        return [{"type": "text", "text": message.content}]
    return [block for part in message.parts if (block := _part(part, options)) is not None]


def _part(part: chat_pb2.ContentPart, options: Options) -> Block | None:
    extra = object_from(part.extra_json, "prompt.messages.parts.extra_json")
    match part.WhichOneof("part"):
        case "text":
            # Anthropic takes no empty text; one says nothing.
            return {"type": "text", "text": part.text, **extra} if part.text else None
        case "image":
            extra.pop("image_url", None)
            # How closely to look is not for callers to say here: `detail` has no place.
            return {"type": "image", "source": _image_source(part.image.url), **extra}
        case "audio":
            raise OptionUnsupported("input_audio")
    return _foreign_part(extra, options)


def _image_source(url: str) -> Block:
    found = _DATA_URL.match(url)
    if found is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found[1], "data": url[found.end() :]}


def _foreign_part(extra: dict[str, Any], options: Options) -> Block:
    """A piece that the fleet has no field for: Anthropic's own as it is, OpenAI's translated."""
    kind = extra.get("type")
    if kind == "refusal":
        return {"type": "text", "text": str(extra.get("refusal", ""))}
    if kind != "file":
        return extra
    file = extra.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    found = _DATA_URL.match(data) if isinstance(data, str) else None
    if found is None or not isinstance(data, str) or not isinstance(file, dict):
        # A file kept at OpenAI is not there.
        raise OptionUnsupported("file.file_id")
    source = {"type": "base64", "media_type": found[1], "data": data[found.end() :]}
    title = file.get("filename")
    named = {"title": title} if isinstance(title, str) and title else {}
    return {"type": "document", "source": source, **named}


def _assistant(message: chat_pb2.Message, options: Options) -> str | list[Block]:
    _no_name(message, options)
    extra = object_from(message.extra_json, "prompt.messages.extra_json")
    own = blocks_in(extra)
    if CONTENT in extra and own is None:
        path = f"prompt.messages.extra_json.{CONTENT}"
        raise invalid(path, "must be a list of objects, each with a block")
    extra.pop(CONTENT, None)
    marker = extra.pop(CACHE_CONTROL, None)
    for name in extra.keys() - _IDLE:
        options.lacks(f"messages.{option_name(name)}")
    if own is not None:
        return own
    if message.content and not (message.tool_calls or message.refusal or marker):
        return message.content
    blocks = _content_blocks(message, options)
    if message.refusal:
        blocks.append({"type": "text", "text": message.refusal})
    blocks += [_call(call, options) for call in message.tool_calls]
    if marker is not None and blocks:
        blocks[-1] = {**blocks[-1], CACHE_CONTROL: marker}
    return blocks


def _call(call: chat_pb2.ToolCall, options: Options) -> Block:
    extra = object_from(call.extra_json, "prompt.messages.tool_calls.extra_json")
    if "type" in extra:
        raise OptionUnsupported("messages.tool_calls.type")
    # OpenAI keeps further fields of a function inside; there are none that mean anything here.
    extra.pop("function", None)
    body = {"type": "tool_use", "id": call.id, "name": call.name}
    return {**body, "input": input_of(call.arguments_json), **extra}


def _tool_result(message: chat_pb2.Message, options: Options) -> Block:
    extra = object_from(message.extra_json, "prompt.messages.extra_json")
    block: Block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if message.parts:
        block["content"] = _content_blocks(message, options)
    elif message.content:
        block["content"] = message.content
    for name in (IS_ERROR, CACHE_CONTROL):
        if name in extra:
            block[name] = extra.pop(name)
    for name in extra:
        options.lacks(f"messages.{option_name(name)}")
    return block


def _tool(tool: chat_pb2.Tool, path: str, options: Options) -> Block | None:
    extra = object_from(tool.extra_json, f"{path}.extra_json")
    if "type" in extra:
        if not isinstance(extra.get("custom"), dict):
            return extra
        options.lacks("tools.custom")
        return None
    if extra.pop("function", None):
        options.lacks("tools.function")
    schema = object_from(tool.parameters_json, f"{path}.parameters_json")
    body: Block = {"name": tool.name, "input_schema": schema or dict(_NO_PARAMETERS)}
    if tool.description:
        body["description"] = tool.description
    if tool.HasField("strict"):
        body["strict"] = tool.strict
    return {**body, **extra}
