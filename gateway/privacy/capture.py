"""Prompts and answers on a trace, for tenants that have agreed to it: redacted, cut, on an event of
their own, so that a collector can drop them by its name."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.trace import Span
from spendgate.chat.v1 import chat_pb2

from catalog.privacy import PrivacyConfig
from chassis import names
from gateway.privacy.redact import Redactor

# Of a conversation longer than this only the end is looked at.
MESSAGES_MAX = 64
# Redacting more than this may take longer than the loop may be kept.
INLINE_BYTES_MAX = 1024


class Capture:
    """Notes what was asked and answered. Does nothing for tenants that did not opt in."""

    def __init__(self, privacy: PrivacyConfig) -> None:
        self._privacy = privacy
        self._redactor = Redactor(privacy.redact_patterns)

    async def note(
        self,
        span: Span,
        tenant: str,
        prompt: chat_pb2.Prompt,
        choices: Sequence[chat_pb2.Choice],
    ) -> None:
        """Adds the event names.CONTENT_EVENT: JSON by the GenAI conventions' message schema.

        Texts are redacted and cut to `captured_chars_max` in all, the newest message's first;
        pictures and sound are named, never kept.
        """
        if not span.is_recording() or not self._privacy.captures(tenant):
            return
        size = prompt.ByteSize() + sum(choice.ByteSize() for choice in choices)
        if size > INLINE_BYTES_MAX:
            content = await asyncio.to_thread(self._content, prompt, choices)
        else:
            content = self._content(prompt, choices)
        span.add_event(names.CONTENT_EVENT, content)

    def _content(
        self, prompt: chat_pb2.Prompt, choices: Iterable[chat_pb2.Choice]
    ) -> dict[str, str]:
        answers = [(chat_pb2.ROLE_ASSISTANT, choice.message) for choice in choices]
        asked = [(message.role, message) for message in prompt.messages[-MESSAGES_MAX:]]
        return {
            names.GEN_AI_INPUT_MESSAGES: self._told(asked[::-1], reverse=True),
            names.GEN_AI_OUTPUT_MESSAGES: self._told(answers),
        }

    def _told(
        self, messages: Sequence[tuple[Any, chat_pb2.Message]], *, reverse: bool = False
    ) -> str:
        room = _Room(self._redactor, self._privacy.captured_chars_max)
        told = [
            {"role": _role(role), "parts": [*_parts(message, room)]} for role, message in messages
        ]
        return json.dumps(told[::-1] if reverse else told, ensure_ascii=False)


class _Room:
    """Redacts texts until their characters are used up."""

    def __init__(self, redactor: Redactor, chars: int) -> None:
        self._redactor = redactor
        self._left = chars

    def take(self, text: str) -> str:
        kept = self._redactor.redact_beginning(text, self._left)
        cut = len(text) - self._left
        self._left = max(0, self._left - len(text))
        return f"{kept}[{cut} more characters]" if cut > 0 else kept


def _role(role: Any) -> str:
    return chat_pb2.Role.Name(role).removeprefix("ROLE_").lower()


def _parts(message: chat_pb2.Message, room: _Room) -> Iterable[dict[str, str]]:
    result = message.role == chat_pb2.ROLE_TOOL
    if message.content:
        text = room.take(message.content)
        yield {"type": "tool_call_response", "response": text} if result else _text(text)
    for part in message.parts:
        kind = part.WhichOneof("part") or "other"
        yield _text(room.take(part.text)) if kind == "text" else {"type": kind}
    if message.refusal:
        yield _text(room.take(message.refusal))
    for call in message.tool_calls:
        arguments = room.take(call.arguments_json)
        yield {"type": "tool_call", "name": call.name, "arguments": arguments}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
