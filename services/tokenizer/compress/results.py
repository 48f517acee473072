"""Tool results that need not be read again: repeated ones and old ones."""

import json
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.compress.lossless import is_json
from services.tokenizer.compress.spans import FENCES

# Shorter ones are not worth a stub; every stub is shorter, so none is ever replaced again.
RESULT_CHARS_MIN: Final = 400
BLOCK_CHARS_MIN: Final = 200
_KEYS_SHOWN_MAX: Final = 6
_NAME_CHARS_MAX: Final = 24


def elide_old(messages: list[chat.Message], results_kept: int) -> dict[int, str]:
    """New content by place: all long tool results but the last `results_kept` become stubs."""
    names = {call.id: call.name for message in messages for call in message.tool_calls if call.name}
    places = [place for place, message in enumerate(messages) if message.role == chat.ROLE_TOOL]
    old = places[: max(0, len(places) - results_kept)]
    return {
        place: _stub(messages[place], names.get(messages[place].tool_call_id, "a tool"))
        for place in old
        if len(messages[place].content) >= RESULT_CHARS_MIN
    }


def blocks_of(text: str) -> list[str]:
    """What of a text is compared with what was said before: JSON whole, else its paragraphs.

    Short ones are not worth a pointer, and a text with code fences is left alone.
    """
    if is_json(text):
        blocks = [text]
    elif FENCES.search(text):
        return []
    else:
        blocks = text.split("\n\n")
    return [block for block in blocks if len(block) >= BLOCK_CHARS_MIN]


def pointer_to(block: str) -> str:
    """What stands for a block that was said before."""
    return f"[the same {len(block)} characters as further up]"


def drop_repeated(text: str, seen: set[str]) -> str:
    """Blocks that stood word for word in what was seen before become a pointer.

    Adds this text's own blocks to `seen`.
    """
    worth = set(blocks_of(text))
    if not worth:
        return text
    kept = []
    for block in [text] if text in worth else text.split("\n\n"):
        if block in worth and block in seen:
            kept.append(pointer_to(block))
            continue
        if block in worth:
            seen.add(block)
        kept.append(block)
    return "\n\n".join(kept)


def _stub(message: chat.Message, name: str) -> str:
    return (
        f"[left out: result of {name[:_NAME_CHARS_MAX]}, {_shape(message.content)}, "
        f"{len(message.content)} characters]"
    )


def _shape(content: str) -> str:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return f"text of {content.count(chr(10)) + 1} lines"
    if isinstance(value, dict):
        keys = ", ".join(key[:_NAME_CHARS_MAX] for key in list(value)[:_KEYS_SHOWN_MAX])
        return f"JSON object with {len(value)} keys ({keys})"
    if isinstance(value, list):
        return f"JSON array of {len(value)}"
    return "a JSON value"
