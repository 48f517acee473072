"""A request of Anthropic's Messages API as one of Converse."""

import binascii
import re
from collections.abc import Callable
from typing import Any

import orjson

from gateway.anthropic.content import BETAS, CACHE_CONTROL, Block
from gateway.providers.options import Options, OptionUnsupported

# Options of Claude's that Converse hands on as they are.
_OF_THE_MODEL = ("thinking", "top_k", "context_management")
# What changes no answer, or asks for what happens anyway.
_IDLE = frozenset({"metadata", "service_tier"})
_KNOWN = frozenset(
    {"messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p"}
    | {"stop_sequences", "output_config", BETAS, CACHE_CONTROL, *_OF_THE_MODEL, *_IDLE}
)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")
_FORMATS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
}
_SCHEMA_NAME = "answer"


def render_converse(body: dict[str, Any], options: Options) -> dict[str, Any]:
    """Everything of the request; the model stands in its path.

    Raises: OptionUnsupported for what Converse lacks where `options` says so, and always for a
    piece of the prompt that it cannot read.
    """
    for name in sorted(body.keys() - _KNOWN):
        options.lacks(name)
    messages = _turns(body["messages"], options)
    if body.get(CACHE_CONTROL) and messages:
        messages[-1]["content"].append(_cache_point(body[CACHE_CONTROL]))
    told: dict[str, Any] = {"messages": messages, "inferenceConfig": _sampling(body)}
    if system := body.get("system"):
        told["system"] = _system(system)
    if body.get("tools"):
        told["toolConfig"] = _tools(body, options)
    if further := _further(body):
        told["additionalModelRequestFields"] = further
    if body.get("stop_sequences"):
        told["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    schema = (body.get("output_config") or {}).get("format")
    if schema is not None:
        text = orjson.dumps(schema.get("schema")).decode()
        structure = {"jsonSchema": {"schema": text, "name": _SCHEMA_NAME}}
        told["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    return told


def _sampling(body: dict[str, Any]) -> dict[str, Any]:
    names = {
        "max_tokens": "maxTokens",
        "temperature": "temperature",
        "top_p": "topP",
        "stop_sequences": "stopSequences",
    }
    return {theirs: body[ours] for ours, theirs in names.items() if ours in body}


def _further(body: dict[str, Any]) -> dict[str, Any]:
    further = {name: body[name] for name in _OF_THE_MODEL if name in body}
    config = {k: v for k, v in (body.get("output_config") or {}).items() if k != "format"}
    if config:
        further["output_config"] = config
    if body.get(BETAS):
        further["anthropic_beta"] = body[BETAS]
    return further


def _system(system: str | list[Block]) -> list[Block]:
    if isinstance(system, str):
        return [{"text": system}]
    blocks: list[Block] = []
    for block in system:
        blocks.append({"text": block.get("text", "")})
        _mark(blocks, block)
    return blocks


def _mark(blocks: list[Block], block: Block) -> None:
    """A cache point behind a block that is marked."""
    if marker := block.get(CACHE_CONTROL):
        blocks.append(_cache_point(marker))


def _cache_point(marker: Any) -> Block:
    ttl = marker.get("ttl") if isinstance(marker, dict) else None
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}


def _turns(turns: list[Block], options: Options) -> list[Block]:
    """Roles alternate in Converse: turns of one role in a row are one."""
    told: list[Block] = []
    for turn in turns:
        content = turn["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        blocks: list[Block] = []
        for block in content:
            blocks.append(_block(block, options))
            _mark(blocks, block)
        if told and told[-1]["role"] == turn["role"]:
            told[-1]["content"] += blocks
        else:
            told.append({"role": turn["role"], "content": blocks})
    return told


def _block(block: Block, options: Options) -> Block:
    kind = block.get("type")
    if kind == "text":
        return {"text": block.get("text", "")}
    if kind == "tool_result":
        return {"toolResult": _result(block, options)}
    render = _BLOCKS.get(str(kind))
    if render is None:
        raise OptionUnsupported("messages.content.type")
    return render(block)


def _image(block: Block) -> Block:
    source = block.get("source") or {}
    if source.get("type") != "base64":
        # Converse fetches nothing from the web.
        raise OptionUnsupported("image.source.url")
    kind = str(source.get("media_type", "")).removeprefix("image/")
    kind = "jpeg" if kind == "jpg" else kind
    return {"format": kind, "source": {"bytes": source.get("data", "")}}


def _document(block: Block) -> Block:
    source = block.get("source") or {}
    kind = _FORMATS.get(str(source.get("media_type", "")))
    data = source.get("data")
    if kind is None or not isinstance(data, str) or source.get("type") not in ("base64", "text"):
        raise OptionUnsupported("document.source")
    if source["type"] == "text":
        data = binascii.b2a_base64(data.encode(), newline=False).decode()
    # A name is required, of few characters.
    name = _NOT_IN_A_NAME.sub(" ", str(block.get("title") or "")).strip()[:200] or "document"
    told: Block = {"format": kind, "name": name, "source": {"bytes": data}}
    for field in ("context", "citations"):
        if block.get(field):
            told[field] = block[field]
    return told


def _call(block: Block) -> Block:
    call = {"toolUseId": block.get("id"), "name": block.get("name")}
    return {"toolUse": {**call, "input": block.get("input") or {}}}


def _thought(block: Block) -> Block:
    text = {"text": block.get("thinking", ""), "signature": block.get("signature", "")}
    return {"reasoningContent": {"reasoningText": text}}


_BLOCKS: dict[str, Callable[[Block], Block]] = {
    "image": lambda block: {"image": _image(block)},
    "document": lambda block: {"document": _document(block)},
    "tool_use": _call,
    "thinking": _thought,
    "redacted_thinking": lambda block: {
        "reasoningContent": {"redactedContent": block.get("data", "")}
    },
}


def _result(block: Block, options: Options) -> Block:
    content = block.get("content") or []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    told: Block = {
        "toolUseId": block.get("tool_use_id"),
        # An empty list is refused.
        "content": [_block(each, options) for each in content] or [{"text": ""}],
    }
    if block.get("is_error"):
        told["status"] = "error"
    return told


def _tools(body: dict[str, Any], options: Options) -> Block:
    tools: list[Block] = []
    for tool in body["tools"]:
        if tool.get("type", "custom") != "custom":
            options.lacks("tools.type")
            continue
        spec = {"name": tool["name"], "inputSchema": {"json": tool.get("input_schema") or {}}}
        for name in ("description", "strict"):
            if name in tool:
                spec[name] = tool[name]
        tools.append({"toolSpec": spec})
        _mark(tools, tool)
    config: Block = {"tools": tools}
    choice = body.get("tool_choice")
    if not choice:
        return config
    if choice.get("disable_parallel_tool_use"):
        options.lacks("parallel_tool_calls")
    match choice.get("type"):
        case "auto" | "any" as kind:
            config["toolChoice"] = {kind: {}}
        case "tool":
            config["toolChoice"] = {"tool": {"name": choice.get("name")}}
        case _:
            options.lacks("tool_choice")
    return config
