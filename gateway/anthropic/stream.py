"""A stream of Anthropic's events as server-sent events."""

from collections.abc import Sequence
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.content import Block, blocks_in
from gateway.anthropic.usage import render_usage
from gateway.anthropic.wire import ANSWER_ID, ending, parsed, reasoning_of
from gateway.openai.errors import HttpError
from gateway.openai.wire import render_summary

_EMPTY: dict[str, Block] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
# Blocks whose input comes in pieces.
_WITH_INPUT = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class MessageStream:
    """gateway.http.stream.StreamWords."""

    def __init__(
        self, answer_id: str, model: str, cache_mode: gateway_pb2.CacheMode, stops: Sequence[str]
    ) -> None:
        self._id = answer_id
        self._model = model
        self._cache_mode = cache_mode
        self._stops = stops
        self._begun = False
        self._blocks = _BlockEvents()
        self._reason = chat_pb2.FINISH_REASON_UNSPECIFIED
        self._ending_json = ""

    def piece(self, delta: gateway_pb2.Delta) -> bytes:
        """A piece of the answer."""
        self._reason = delta.finish_reason or self._reason
        self._ending_json = delta.choice_extra_json or self._ending_json
        return self._begin() + self._blocks.take(delta)

    def end(self, summary: gateway_pb2.Summary) -> bytes:
        """The end of a whole answer."""
        before = self._begin() + self._blocks.end()
        told = render_summary(summary, self._cache_mode)
        told["hold_used_up"] = self._reason == chat_pb2.FINISH_REASON_HOLD_USED_UP
        ended = ending(self._reason, self._ending_json, self._blocks.begun, self._stops)
        last = {"delta": ended, "usage": render_usage(summary.usage), "spendgate": told}
        return before + event_bytes("message_delta", last) + event_bytes("message_stop", {})

    def error(self, error: HttpError) -> bytes:
        """An event that tells the error, and no message_stop."""
        return event_bytes("error", error.body)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": ANSWER_ID + self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # What was read is known at the end only: message_delta tells it.
            "usage": render_usage(chat_pb2.TokenUsage()),
        }
        return event_bytes("message_start", {"message": message}) + event_bytes("ping", {})


class _BlockEvents:
    """Blocks one after the other, each begun, told in pieces and ended."""

    def __init__(self) -> None:
        # As they were begun, for what is to be known of them at the end.
        self.begun: list[Block] = []
        self._open = False
        # Native blocks told whole so far: each stands for the one begun at its place, or for one
        # that was not told in pieces.
        self._told = 0
        # Calls by their index in the message: the one under way, and pieces of those after it.
        self._call: int | None = None
        self._waiting: dict[int, gateway_pb2.ToolCallDelta] = {}

    def take(self, delta: gateway_pb2.Delta) -> bytes:
        extra = parsed(delta.extra_json)
        blocks = blocks_in(extra) or []
        thought = reasoning_of(extra)
        out: list[bytes] = []
        if not (blocks and (delta.content or delta.tool_calls or thought)):
            for kind, text in (("thinking", thought), ("text", delta.content + delta.refusal)):
                if text:
                    out += [self._ready(kind), self._text(kind, text)]
            out += [self._call_piece(piece) for piece in delta.tool_calls]
        # Otherwise it is a whole answer, all of which stands in its blocks.
        for block in blocks:
            out.append(self._whole(block))
            self._told += 1
        return b"".join(out)

    def end(self) -> bytes:
        """What was waiting, and the end of what is open."""
        return self._end_calls() + self._stop()

    def _ready(self, kind: str) -> bytes:
        """A block of this kind is open."""
        if self._open and self.begun[-1]["type"] == kind:
            return b""
        return self._start(dict(_EMPTY[kind]))

    def _start(self, block: Block) -> bytes:
        before = self._end_calls() + self._stop()
        self.begun.append(block)
        self._open = True
        told = {"index": len(self.begun) - 1, "content_block": block}
        return before + event_bytes("content_block_start", told)

    def _stop(self) -> bytes:
        if not self._open:
            return b""
        self._open = False
        self._call = None
        return event_bytes("content_block_stop", {"index": len(self.begun) - 1})

    def _text(self, kind: str, text: str) -> bytes:
        return self._delta({"type": f"{kind}_delta", kind: text})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        told = {"index": len(self.begun) - 1, "delta": delta}
        return event_bytes("content_block_delta", told)

    def _input(self, text: str) -> bytes:
        return self._delta({"type": "input_json_delta", "partial_json": text}) if text else b""

    def _call_piece(self, piece: gateway_pb2.ToolCallDelta) -> bytes:
        if piece.index == self._call:
            return self._input(piece.arguments_json)
        if self._call is None and piece.index not in self._waiting:
            out = self._start(_call_block(piece))
            self._call = piece.index
            return out + self._input(piece.arguments_json)
        # Blocks do not overlap here; calls of other vendors' models may.
        waiting = self._waiting.setdefault(piece.index, gateway_pb2.ToolCallDelta())
        waiting.id, waiting.name = waiting.id or piece.id, waiting.name or piece.name
        waiting.arguments_json += piece.arguments_json
        return b""

    def _end_calls(self) -> bytes:
        waiting, self._waiting = self._waiting, {}
        out: list[bytes] = []
        for _, call in sorted(waiting.items()):
            out += [self._start(_call_block(call)), self._input(call.arguments_json)]
        return b"".join(out)

    def _whole(self, block: Block) -> bytes:
        """A block that is known whole now: what was not told of it yet."""
        if self._told < len(self.begun):
            last = self._told == len(self.begun) - 1 and self._open
            return self._rest_of(block) + self._stop() if last else b""
        kind = str(block.get("type"))
        if kind in _EMPTY:
            return self._whole_text(kind, block)
        if kind in _WITH_INPUT:
            out = self._start({**block, "input": {}})
            value = block.get("input")
            return out + self._input(orjson.dumps(value).decode() if value else "") + self._stop()
        return self._start(block) + self._stop()

    def _whole_text(self, kind: str, block: Block) -> bytes:
        out = self._start(
            {**block, **_EMPTY[kind], **({"citations": None} if _cited(block) else {})}
        )
        if text := str(block.get(kind, "")):
            out += self._text(kind, text)
        return out + self._rest_of(block) + self._stop()

    def _rest_of(self, block: Block) -> bytes:
        """What comes at the end of a block: its signature, its citations."""
        if block.get("signature"):
            return self._delta({"type": "signature_delta", "signature": block["signature"]})
        return b"".join(
            self._delta({"type": "citations_delta", "citation": one}) for one in _cited(block)
        )


def _cited(block: Block) -> Sequence[Any]:
    cited = block.get("citations")
    return cited if isinstance(cited, list) else ()


def _call_block(piece: gateway_pb2.ToolCallDelta) -> Block:
    return {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}}


def event_bytes(name: str, data: dict[str, Any]) -> bytes:
    """One event."""
    content = orjson.dumps({**data, "type": name} if name == "error" else {"type": name, **data})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), content)
