"""An assistant's turn as items of OpenAI's Responses API, both ways. Nothing is lost.

A turn is one message of the fleet: its text, its tool calls. What a message has no field for, such
as reasoning that only its provider can read, is kept whole in the message's `extra_json` under
LAYOUT, among references that say where text and calls stood between: a list of raw items and of
`{"type": "message" | "function_call" | "custom_tool_call", ...}` without their content.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2

from gateway.openai.parse import TOOL_CALLS_MAX
from gateway.openai.read import Fields, invalid, object_from, to_json

LAYOUT = "responses_items"
REASONING = "reasoning_content"
# In ids that this gateway made up: they mean nothing to a provider and are not handed back.
OWN_ID = "_sg_"
REFERENCES = frozenset({"message", "function_call", "custom_tool_call"})


@dataclass
class Turn:
    """A turn being read from its items."""

    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    calls: list[chat_pb2.ToolCall] = field(default_factory=list)
    layout: list[dict[str, Any]] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    # Whether the order or some field cannot be told from text and calls alone.
    special: bool = False

    def add(self, item: dict[str, Any], path: str) -> dict[str, Any]:
        """Takes an item; what it is in the layout. Raises: InvalidFields."""
        kind = item.get("type", "message")
        if kind == "message":
            placed = self._message(Fields(item, path))
        elif kind in REFERENCES:
            placed = self._call(Fields(item, path))
        elif kind == "reasoning" and OWN_ID in str(item.get("id", "")):
            # Told by a server of the chat protocol: back into its own field.
            self.thoughts += [
                part["text"]
                for part in item.get("content") or []
                if isinstance(part, dict) and isinstance(part.get("text"), str)
            ]
            return {}
        else:
            self.special = True
            placed = item
        self.layout.append(placed)
        return placed

    def message(self) -> chat_pb2.Message:
        """The whole turn."""
        extra: dict[str, Any] = {}
        if self.special:
            extra[LAYOUT] = self.layout
        if self.thoughts:
            extra[REASONING] = "".join(self.thoughts)
        return chat_pb2.Message(
            role=chat_pb2.ROLE_ASSISTANT,
            content="".join(self.texts),
            refusal="".join(self.refusals),
            tool_calls=self.calls,
            extra_json=to_json(extra, "") if extra else "",
        )

    def _message(self, fields: Fields) -> dict[str, Any]:
        fields.take("type")
        fields.take("role")
        content = fields.take("content") or []
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        if not isinstance(content, list):
            raise invalid(fields.path("content"), "must be a string or a list of parts")
        parts = [self._part(Fields(part, fields.path("content"))) for part in content]
        placed = {"type": "message", **_kept(fields)}
        plain = len(placed) == 1 and len(parts) == 1 and len(parts[0]) == 1
        if self.layout or not plain:
            self.special = True
        return {**placed, "parts": parts}

    def _part(self, fields: Fields) -> dict[str, Any]:
        kind = fields.text("type")
        if kind == "refusal":
            self.refusals.append(fields.text("refusal"))
            return {"refused": len(self.refusals[-1])}
        self.texts.append(fields.text("text"))
        rest = {name: value for name, value in fields.rest().items() if value not in ([], {}, "")}
        return {"chars": len(self.texts[-1]), **rest}

    def _call(self, fields: Fields) -> dict[str, Any]:
        if len(self.calls) == TOOL_CALLS_MAX:
            raise invalid(fields.path("type"), f"a turn has at most {TOOL_CALLS_MAX} calls")
        kind = fields.text("type")
        call = chat_pb2.ToolCall(id=fields.required_text("call_id"))
        if kind == "function_call":
            call.name = fields.required_text("name")
            call.arguments_json = fields.text("arguments")
        else:
            custom = {"name": fields.required_text("name"), "input": fields.text("input")}
            call.extra_json = to_json({"type": "custom", "custom": custom}, fields.path("name"))
        self.calls.append(call)
        placed = {"type": kind, **_kept(fields)}
        if len(placed) > 1:
            self.special = True
        return placed


def items_of(message: chat_pb2.Message, path: str) -> Iterator[dict[str, Any]]:
    """The turn's items in order, less what only an answer has: ids made up, states.

    Raises: InvalidFields when a field that holds JSON text holds none.
    """
    layout = object_from(message.extra_json, f"{path}.extra_json").get(LAYOUT) or []
    texts, calls = _Texts(message), list(message.tool_calls)
    for placed in layout:
        kind = placed.get("type")
        if kind == "message":
            yield from texts.take(placed)
        elif kind in REFERENCES:
            if calls:
                rest = {name: value for name, value in placed.items() if name != "type"}
                yield {**_call_item(calls.pop(0), path), **rest}
        else:
            yield placed
    yield from texts.rest()
    for call in calls:
        yield _call_item(call, path)


class _Texts:
    """Hands a turn's text out to the messages it stood in."""

    def __init__(self, message: chat_pb2.Message) -> None:
        self._text = message.content or "".join(part.text for part in message.parts)
        self._refusal = message.refusal

    def take(self, placed: dict[str, Any]) -> Iterator[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for part in placed.get("parts") or []:
            if "refused" in part:
                told, self._refusal = _cut(self._refusal, part["refused"])
                parts.append({"type": "refusal", "refusal": told})
                continue
            text, self._text = _cut(self._text, part["chars"])
            more = {name: value for name, value in part.items() if name != "chars"}
            parts.append({"type": "output_text", "text": text, "annotations": [], **more})
        more = {name: value for name, value in placed.items() if name not in {"type", "parts"}}
        yield {"type": "message", "role": "assistant", "content": parts, **more}

    def rest(self) -> Iterator[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if self._text:
            parts.append({"type": "output_text", "text": self._text, "annotations": []})
        if self._refusal:
            parts.append({"type": "refusal", "refusal": self._refusal})
        if parts:
            yield {"type": "message", "role": "assistant", "content": parts}


def _cut(text: str, chars: Any) -> tuple[str, str]:
    count = chars if isinstance(chars, int) and chars >= 0 else 0
    return text[:count], text[count:]


def _call_item(call: chat_pb2.ToolCall, path: str) -> dict[str, Any]:
    extra = object_from(call.extra_json, f"{path}.tool_calls.extra_json")
    if extra.get("type") == "custom":
        custom = extra.get("custom") or {}
        return {
            "type": "custom_tool_call",
            "call_id": call.id,
            "name": custom.get("name", ""),
            "input": custom.get("input", ""),
        }
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments_json,
    }


def _kept(fields: Fields) -> dict[str, Any]:
    """What is left of an item and means something to who made it."""
    rest = {name: value for name, value in fields.rest().items() if name != "status"}
    if OWN_ID in str(rest.get("id", "")):
        del rest["id"]
    return rest


def layout_json(layout: list[dict[str, Any]]) -> str:
    """A message's `extra_json` with these entries."""
    return orjson.dumps({LAYOUT: layout}).decode()
