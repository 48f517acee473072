"""Conversations from JSON lines in the shape of OpenAI's messages."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from spendgate.chat.v1 import chat_pb2 as chat

_ROLES = {
    "system": chat.ROLE_SYSTEM,
    "developer": chat.ROLE_DEVELOPER,
    "user": chat.ROLE_USER,
    "assistant": chat.ROLE_ASSISTANT,
    "tool": chat.ROLE_TOOL,
}


class LineInvalid(Exception):
    """A line is no conversation. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


def read(lines: Iterable[str]) -> Iterator[list[chat.Message]]:
    """One conversation a line: an object with `messages`. Raises: LineInvalid."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise LineInvalid(number, "is not valid JSON") from None
        found = row.get("messages") if isinstance(row, dict) else None
        if not isinstance(found, list) or not found:
            raise LineInvalid(number, "has no list `messages`")
        yield [_message(each, number) for each in found]


def stretch(talks: Sequence[list[chat.Message]], turns: int) -> list[list[chat.Message]]:
    """Each conversation with the ones after it in the file, up to so many user messages."""
    return [_longer(talks, place, turns) for place in range(len(talks))]


def _longer(talks: Sequence[list[chat.Message]], place: int, turns: int) -> list[chat.Message]:
    messages: list[chat.Message] = []
    asked = 0
    while True:
        for message in talks[place % len(talks)]:
            if message.role == chat.ROLE_USER:
                if asked == turns:
                    return messages
                asked += 1
            if message.role in (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER) and messages:
                continue  # one conversation has one set of instructions
            messages.append(message)
        if not asked:
            return messages
        place += 1


def _message(found: Any, line: int) -> chat.Message:
    role = _ROLES.get(found.get("role", "")) if isinstance(found, dict) else None
    if role is None:
        raise LineInvalid(line, "has a message without a known role")
    content = found.get("content")
    message = chat.Message(role=role, tool_call_id=found.get("tool_call_id") or "")
    if isinstance(content, str):
        message.content = content
    elif isinstance(content, list):
        message.content = "\n".join(
            part["text"] for part in content if isinstance(part, dict) and "text" in part
        )
    for call in found.get("tool_calls") or []:
        function = call.get("function") or {}
        message.tool_calls.add(
            id=call.get("id") or "",
            name=function.get("name") or "",
            arguments_json=function.get("arguments") or "",
        )
    return message
