"""A prompt that came in Anthropic's shapes, for a provider that speaks another protocol.

What has a counterpart there is translated. What has none is an option that the provider lacks,
which the operator's policy decides on; a piece of the prompt itself is never left out, but for what
only the model that wrote it can read: signed thoughts of earlier turns.
"""

import re
from collections.abc import Iterator
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.content import (
    BETAS,
    CACHE_CONTROL,
    CONTENT,
    IS_ERROR,
    OPTIONS,
    blocks_in,
    option_name,
)
from gateway.openai.read import object_from, to_json
from gateway.providers.options import Options, OptionUnsupported

# Labels, flags and hints: no answer is another for them.
_IDLE = frozenset({"metadata", "service_tier", "diagnostics", BETAS, CACHE_CONTROL})
_IDLE_OF_TOOLS = frozenset({CACHE_CONTROL, "eager_input_streaming"})
# Those of Anthropic's own functions; "defer_loading" and the like make others of them.
_OF_TOOLS = frozenset({"input_examples", "defer_loading", "allowed_callers"})
# Anthropic's own tools carry the day of their version.
_DATED = re.compile(r"_[0-9]{8}\Z", re.ASCII)
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
# What of an assistant's blocks the fields of a message say, or nobody else can read.
_SAID = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})
_FAILED = "The tool failed."


def chat_prompt(
    prompt: chat_pb2.Prompt, options: Options, *, keep_markers: bool = False
) -> chat_pb2.Prompt:
    """The prompt without what is Anthropic's; the given one is left as it is.

    `keep_markers`: the provider knows cache_control. Raises: InvalidFields where JSON text holds
    none; OptionUnsupported for what the provider lacks.
    """
    if not _concerned(prompt):
        return prompt
    told = chat_pb2.Prompt()
    told.CopyFrom(prompt)
    told.extra_json = _options(prompt.extra_json, options)
    del told.messages[:], told.tools[:]
    told.messages.extend(_messages(prompt, options, keep_markers))
    told.tools.extend(_tools(prompt, options, keep_markers))
    if not told.tools:
        told.tool_choice_json = ""
    return told


def _concerned(prompt: chat_pb2.Prompt) -> bool:
    """Whether anything may be Anthropic's: only further fields can."""
    return bool(
        f'"{OPTIONS}"' in prompt.extra_json
        or any(tool.extra_json for tool in prompt.tools)
        or any(
            message.extra_json
            or any(part.extra_json for part in message.parts)
            or (message.role == chat_pb2.ROLE_TOOL and message.parts)
            for message in prompt.messages
        )
    )


def _options(text: str, options: Options) -> str:
    extra = object_from(text, "prompt.extra_json")
    own = extra.pop(OPTIONS, None) or {}
    for name, value in own.items():
        if name in _IDLE:
            continue
        if name == "top_k":
            # Servers of open models know it by this name.
            extra.setdefault(name, value)
        elif name == "thinking" and isinstance(value, dict):
            # Models that think decide how much by themselves; so "adaptive" is what they do.
            if value.get("type") not in ("adaptive", "disabled"):
                options.lacks("thinking")
        elif name == "output_config" and isinstance(value, dict):
            _add_config(extra, value, options)
        else:
            options.lacks(option_name(name))
    return to_json(extra, "prompt.extra_json") if extra else ""


def _add_config(extra: dict[str, Any], config: dict[str, Any], options: Options) -> None:
    for name, value in config.items():
        if name == "effort" and value in _EFFORTS:
            extra.setdefault("reasoning_effort", _EFFORTS[value])
        else:
            options.lacks(f"output_config.{option_name(name)}")


def _messages(
    prompt: chat_pb2.Prompt, options: Options, keep_markers: bool
) -> Iterator[chat_pb2.Message]:
    pictures: list[chat_pb2.ContentPart] = []
    for message in prompt.messages:
        told = chat_pb2.Message()
        told.CopyFrom(message)
        if message.role != chat_pb2.ROLE_TOOL and pictures:
            # Results of tools are text there: what they show comes after them.
            yield chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=pictures)
            pictures = []
        _translate_parts(told, keep_markers)
        _translate_fields(told, options, keep_markers)
        if message.role == chat_pb2.ROLE_TOOL:
            pictures += _take_pictures(told)
        if told.ByteSize() > _EMPTY_BYTES:
            yield told
    if pictures:
        yield chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=pictures)


# An assistant's message that only held thoughts is none.
_EMPTY_BYTES = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT).ByteSize()


def _translate_fields(message: chat_pb2.Message, options: Options, keep_markers: bool) -> None:
    if not message.extra_json:
        return
    extra = object_from(message.extra_json, "prompt.messages.extra_json")
    for block in blocks_in(extra) or []:
        if block.get("type") not in _SAID:
            options.lacks("messages.content.type")
    extra.pop(CONTENT, None)
    if not keep_markers:
        extra.pop(CACHE_CONTROL, None)
    if extra.pop(IS_ERROR, False) and message.role == chat_pb2.ROLE_TOOL:
        if message.parts:
            message.parts.insert(0, chat_pb2.ContentPart(text=_FAILED))
        else:
            message.content = f"{_FAILED}\n{message.content}".rstrip()
    message.extra_json = to_json(extra, "prompt.messages.extra_json") if extra else ""


def _translate_parts(message: chat_pb2.Message, keep_markers: bool) -> None:
    for part in message.parts:
        if not part.extra_json:
            continue
        extra = object_from(part.extra_json, "prompt.messages.parts.extra_json")
        if not keep_markers:
            extra.pop(CACHE_CONTROL, None)
        if part.WhichOneof("part") is None:
            extra = _translate_block(extra, part)
        elif not extra.get("citations"):
            extra.pop("citations", None)
        part.extra_json = to_json(extra, "prompt.messages.parts.extra_json") if extra else ""


def _translate_block(block: dict[str, Any], part: chat_pb2.ContentPart) -> dict[str, Any]:
    """A block of Anthropic's own; others are the server's business and stay."""
    kind = block.get("type")
    if kind in ("search_result", "container_upload", "tool_reference"):
        raise OptionUnsupported("messages.content.type")
    source = block.get("source")
    if kind == "image":
        # One that is kept by Anthropic: no address tells it.
        raise OptionUnsupported("image.source")
    if kind != "document" or not isinstance(source, dict):
        return block
    title = block.get("title") or "document"
    if source.get("type") == "text":
        part.text = f"{title}\n\n{source.get('data', '')}"
        return {}
    if source.get("type") != "base64":
        raise OptionUnsupported("document.source")
    data = f"data:{source.get('media_type')};base64,{source.get('data')}"
    return {"type": "file", "file": {"filename": title, "file_data": data}}


def _take_pictures(message: chat_pb2.Message) -> list[chat_pb2.ContentPart]:
    """The parts of a tool's result that are no text, out of it."""
    taken = [part for part in message.parts if part.WhichOneof("part") != "text"]
    if not taken:
        return []
    texts = [part for part in message.parts if part.WhichOneof("part") == "text"]
    shown = chat_pb2.ContentPart(text=f"What the tool call {message.tool_call_id} showed:")
    kept = texts or [chat_pb2.ContentPart(text="It is shown below.")]
    copies = [shown, *taken]
    del message.parts[:]
    message.parts.extend(kept)
    return copies


def _tools(
    prompt: chat_pb2.Prompt, options: Options, keep_markers: bool
) -> Iterator[chat_pb2.Tool]:
    for tool in prompt.tools:
        extra = object_from(tool.extra_json, "prompt.tools.extra_json")
        if _DATED.search(str(extra.get("type", ""))):
            options.lacks("tools.type")
            continue
        for name in _OF_TOOLS & extra.keys():
            options.lacks(f"tools.{name}")
            del extra[name]
        for name in _IDLE_OF_TOOLS & extra.keys():
            if name != CACHE_CONTROL or not keep_markers:
                del extra[name]
        told = chat_pb2.Tool()
        told.CopyFrom(tool)
        told.extra_json = to_json(extra, "prompt.tools.extra_json") if extra else ""
        yield told
