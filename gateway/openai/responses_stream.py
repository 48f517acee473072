"""A stream of OpenAI's typed response events, made of the fleet's pieces."""

from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.errors import HttpError
from gateway.openai.responses_items import LAYOUT, REASONING, REFERENCES
from gateway.openai.responses_wire import ItemIds, ended, finished_item, response_object


class ResponseEvents:
    """gateway.http.stream.StreamWords: one item open at a time, events numbered from 0."""

    def __init__(
        self,
        response_id: str,
        model: str,
        created: int,
        echo: dict[str, Any],
        cache_mode: gateway_pb2.CacheMode,
    ) -> None:
        self._body = response_object(
            response_id, model, created, echo, status="in_progress", output=[]
        )
        self._ids = ItemIds(response_id)
        self._cache_mode = cache_mode
        self._count = 0
        self._output: list[dict[str, Any]] = []
        # The item under way and what opened it: its kind, and for a call its place.
        self._open: _Item | None = None
        self._reason: chat_pb2.FinishReason = chat_pb2.FINISH_REASON_UNSPECIFIED
        self._begun = False

    def piece(self, delta: gateway_pb2.Delta) -> bytes:
        """A piece of the answer."""
        told = [self._begin()]
        extra = _parsed(delta.extra_json)
        thoughts = extra.get(REASONING)
        if isinstance(thoughts, str) and thoughts:
            told += self._text("reasoning", "reasoning_text", thoughts)
        for item in extra.get(LAYOUT) or ():
            if isinstance(item, dict) and item.get("type") not in REFERENCES:
                told += self._whole(item)
        if delta.content:
            told += self._text("message", "output_text", delta.content)
        if delta.refusal:
            told += self._text("message", "refusal", delta.refusal)
        for call in delta.tool_calls:
            told += self._call(call)
        if delta.finish_reason:
            self._reason = delta.finish_reason
        return b"".join(told)

    def end(self, summary: gateway_pb2.Summary) -> bytes:
        """The end of a whole answer."""
        told = [self._begin(), *self._close()]
        body = {**self._body, "output": self._output}
        response = ended(body, self._reason, summary, self._cache_mode)
        told.append(self._event(f"response.{response['status']}", {"response": response}))
        return b"".join(told)

    def error(self, error: HttpError) -> bytes:
        """Two events: the response failed, and why. SDKs raise the second."""
        told = error.body["error"]
        failed = {
            **self._body,
            "status": "failed",
            "error": {"code": told["code"] or "server_error", "message": told["message"]},
            "output": self._output,
        }
        said = {name: told[name] for name in ("code", "message", "param")}
        return (
            self._begin()
            + self._event("response.failed", {"response": failed})
            + self._event("error", {**said, **error.body})
        )

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._event("response.created", {"response": self._body}) + self._event(
            "response.in_progress", {"response": self._body}
        )

    def _text(self, kind: str, part: str, text: str) -> list[bytes]:
        """Text of an item's part; opens what is not open."""
        told: list[bytes] = []
        if self._open is None or self._open.key != (kind, 0):
            told += self._open_item(kind, {"type": kind, **_EMPTY[kind]}, (kind, 0))
        assert self._open is not None  # noqa: S101  # just opened
        if self._open.part != part:
            told += self._close_part()
            self._open.part, self._open.pieces = part, []
            told.append(self._of_part("response.content_part.added", part=_part(part, "")))
        self._open.pieces.append(text)
        more: dict[str, Any] = {"logprobs": []} if part == "output_text" else {}
        told.append(self._of_part(f"response.{part}.delta", delta=text, **more))
        return told

    def _call(self, call: gateway_pb2.ToolCallDelta) -> list[bytes]:
        custom = _parsed(call.extra_json).get("custom")
        told: list[bytes] = []
        kind = "custom_tool_call" if isinstance(custom, dict) else "function_call"
        field = "input" if isinstance(custom, dict) else "arguments"
        text = call.arguments_json
        name = call.name
        if isinstance(custom, dict):
            text, name = str(custom.get("input", "")), str(custom.get("name", ""))
        key = ("call", call.index)
        if self._open is None or self._open.key != key:
            item = {"type": kind, "call_id": call.id, "name": name, field: ""}
            told += self._open_item(kind, item, key)
        assert self._open is not None  # noqa: S101  # just opened
        if text:
            self._open.pieces.append(text)
            word = f"response.{_CALL_WORDS[kind]}.delta"
            told.append(self._of_item(word, delta=text))
        return told

    def _open_item(self, kind: str, item: dict[str, Any], key: tuple[str, int]) -> list[bytes]:
        told = self._close()
        made = {"id": self._ids.new(kind), **item, "status": "in_progress"}
        self._open = _Item(key, made)
        shown = {"output_index": len(self._output), "item": made}
        return [*told, self._event("response.output_item.added", shown)]

    def _close_part(self) -> list[bytes]:
        """Ends the part of the open item, if one is under way."""
        item = self._open
        if item is None or not item.part:
            return []
        text = "".join(item.pieces)
        part = _part(item.part, text)
        item.parts.append(part)
        field = "refusal" if item.part == "refusal" else "text"
        place = len(item.parts) - 1
        more: dict[str, Any] = {"logprobs": []} if item.part == "output_text" else {}
        told = [
            self._of_part(
                f"response.{item.part}.done", **{field: text, "content_index": place}, **more
            ),
            self._of_part("response.content_part.done", part=part, content_index=place),
        ]
        item.part = ""
        return told

    def _close(self) -> list[bytes]:
        """Ends the open item."""
        told = self._close_part()
        item = self._open
        if item is None:
            return told
        self._open = None
        whole = {**item.made, "status": "completed"}
        if item.key[0] == "call":
            field = "input" if whole["type"] == "custom_tool_call" else "arguments"
            whole[field] = "".join(item.pieces)
            shown = {
                "item_id": whole["id"],
                "output_index": len(self._output),
                field: whole[field],
            }
            told.append(self._event(f"response.{_CALL_WORDS[whole['type']]}.done", shown))
        else:
            whole["content"] = item.parts
        return [*told, *self._item_done(whole)]

    def _whole(self, item: dict[str, Any]) -> list[bytes]:
        """An item that came whole and goes out as it is."""
        told = self._close()
        made = finished_item(item, self._ids)
        shown = {"output_index": len(self._output), "item": made}
        return [
            *told,
            self._event("response.output_item.added", shown),
            *self._item_done(made),
        ]

    def _item_done(self, item: dict[str, Any]) -> list[bytes]:
        shown = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        return [self._event("response.output_item.done", shown)]

    def _of_part(self, kind: str, **told: Any) -> bytes:
        item = self._open
        return self._of_item(
            kind, **{"content_index": len(item.parts) if item is not None else 0, **told}
        )

    def _of_item(self, kind: str, **told: Any) -> bytes:
        item = self._open
        where = {
            "item_id": item.made["id"] if item is not None else "",
            "output_index": len(self._output),
        }
        return self._event(kind, {**where, **told})

    def _event(self, kind: str, told: dict[str, Any]) -> bytes:
        body = {"type": kind, "sequence_number": self._count, **told}
        self._count += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"


class _Item:
    """An item under way."""

    def __init__(self, key: tuple[str, int], made: dict[str, Any]) -> None:
        self.key = key
        self.made = made
        self.parts: list[dict[str, Any]] = []
        self.part = ""
        self.pieces: list[str] = []


_EMPTY: dict[str, dict[str, Any]] = {
    "message": {"role": "assistant", "content": []},
    "reasoning": {"summary": [], "content": []},
}
_CALL_WORDS = {
    "function_call": "function_call_arguments",
    "custom_tool_call": "custom_tool_call_input",
}


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "output_text":
        return {"type": kind, "text": text, "annotations": [], "logprobs": []}
    return {"type": kind, "refusal" if kind == "refusal" else "text": text}


def _parsed(text: str) -> dict[str, Any]:
    value = orjson.loads(text) if text else {}
    return value if isinstance(value, dict) else {}
