"""How content of Anthropic's that the fleet's messages have no field for is kept in them.

docs/providers.md says it in full. In short: an assistant's message whose blocks are more than one
text and calls of functions keeps them all, whole and in order, under CONTENT of its `extra_json`;
its text and calls stand in their own fields as well. A block in a user's message that is neither
text nor image is a part whose `extra_json` is the whole block. Options stand under OPTIONS of the
prompt's `extra_json`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from catalog.foreign import ANTHROPIC_CONTENT as CONTENT
from catalog.foreign import ANTHROPIC_OPTIONS as OPTIONS
from catalog.foreign import CACHE_CONTROL, REASONING

__all__ = [
    "BETAS",
    "CACHE_CONTROL",
    "CONTENT",
    "INVALID_JSON",
    "IS_ERROR",
    "OPTIONS",
    "REASONING",
    "Block",
    "arguments_of",
    "blocks_in",
    "input_of",
    "is_plain",
    "is_plain_call",
    "is_plain_text",
    "kept",
    "option_name",
    "text_of",
    "thinking_of",
]

Block = dict[str, Any]

# Among the options: what the caller's anthropic-beta header says.
BETAS = "betas"
# Of a tool result's extra_json.
IS_ERROR = "is_error"
# Arguments that a model wrote and that are no JSON object; a block's input must be one.
INVALID_JSON = "INVALID_JSON"

_OPTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_PLAIN_TEXT = frozenset({"type", "text", "citations"})
_PLAIN_CALL = frozenset({"type", "id", "name", "input"})


def is_plain_text(block: Mapping[str, Any]) -> bool:
    """A text with nothing beside it."""
    return (
        block.get("type") == "text" and block.keys() <= _PLAIN_TEXT and not block.get("citations")
    )


def is_plain_call(block: Mapping[str, Any]) -> bool:
    """A call of a function with nothing beside it."""
    return block.get("type") == "tool_use" and block.keys() <= _PLAIN_CALL


def is_plain(blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an assistant's blocks are at most one text and then calls of functions: the fields
    of a message say all of it."""
    rest = blocks[1:] if blocks and is_plain_text(blocks[0]) else blocks
    return all(is_plain_call(block) for block in rest)


def kept(blocks: Sequence[Mapping[str, Any]], first: int = 0) -> list[Block]:
    """Blocks as they stand under CONTENT, `first` the place of the first. Each with its place: the
    helpers of OpenAI's SDKs join the pieces of a stream by it."""
    return [{"index": first + at, "block": block} for at, block in enumerate(blocks)]


def blocks_in(extra: Mapping[str, Any]) -> list[Block] | None:
    """The blocks that stand under CONTENT of an extra_json; None when none do, or not so."""
    value = extra.get(CONTENT)
    if not isinstance(value, list):
        return None
    blocks = [each.get("block") if isinstance(each, dict) else None for each in value]
    told = [block for block in blocks if isinstance(block, dict)]
    return told if told and len(told) == len(blocks) else None


def text_of(blocks: Sequence[Mapping[str, Any]]) -> str:
    """The texts, joined."""
    return "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")


def thinking_of(blocks: Sequence[Mapping[str, Any]]) -> str:
    """What was thought, where it is told."""
    return "".join(
        str(block.get("thinking", "")) for block in blocks if block.get("type") == "thinking"
    )


def input_of(arguments_json: str) -> dict[str, Any]:
    """A call's arguments as an object."""
    if not arguments_json:
        return {}
    try:
        value = orjson.loads(arguments_json)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {INVALID_JSON: arguments_json}


def arguments_of(value: Any) -> str:
    """A call's input as JSON text. Raises TypeError (orjson.JSONEncodeError): nested too deep."""
    if isinstance(value, dict) and value.keys() == {INVALID_JSON}:
        return str(value[INVALID_JSON])
    return orjson.dumps({} if value is None else value).decode()


def option_name(name: str) -> str:
    """A caller's own key as it may be told: one that is not like an option's may be anything."""
    return name if _OPTION_NAME.fullmatch(name) else "extra_json"
