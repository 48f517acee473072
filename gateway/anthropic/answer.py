"""Anthropic's answers and events of a stream, into the fleet's messages.

Blocks that the fleet's messages have no field for are kept whole (content.py), so that they can
be handed back unharmed. Lenient where that loses nothing, strict where an answer would be another.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.content import (
    CONTENT,
    REASONING,
    Block,
    arguments_of,
    is_plain,
    is_plain_call,
    is_plain_text,
    kept,
    text_of,
    thinking_of,
)
from gateway.anthropic.usage import merged, read_usage, web_searches
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.openai.usage import UsageReading
from gateway.providers.port import ProviderAnswer, ProviderEnd

BLOCKS_MAX = 4_096
SEARCHES_UNPRICED = "the provider's own web searches are billed beside tokens and not in the cost"

_FINISH_REASONS = {
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "pause_turn": chat_pb2.FINISH_REASON_STOP,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_context_window_exceeded": chat_pb2.FINISH_REASON_LENGTH,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "refusal": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}
# Those that the fleet's own word for them gives back.
_PLAIN_REASONS = frozenset({"end_turn", "max_tokens", "tool_use", "refusal"})


def read_answer(value: Any) -> ProviderAnswer:
    """A whole answer. Raises: BadAnswer, FailedInside."""
    message = _object(value)
    if message.get("type") == "error":
        raise FailedInside
    blocks = message.get("content")
    if not isinstance(blocks, list) or len(blocks) > BLOCKS_MAX:
        raise BadAnswer
    usage = message.get("usage")
    reading = read_usage(usage)
    choice = chat_pb2.Choice(
        message=_message([_object(block) for block in blocks]),
        finish_reason=_finish_reason(message),
        extra_json=_stop_details(message),
    )
    return ProviderAnswer(
        choices=[choice],
        usage=reading.usage,
        usage_impossible=reading.impossible,
        response_model=_text(message, "model"),
        response_id=_text(message, "id"),
        service_tier=_tier(usage),
        told=reading.told,
        warnings=_searches(usage),
    )


class StreamReader:
    """The events of one stream, in order."""

    def __init__(self) -> None:
        self.begun = False
        # Servers may end the line early; never before they said why the answer stopped.
        self.stopped = False
        self._head: Mapping[str, Any] = {}
        self._usage: Mapping[str, Any] | None = None
        self._blocks: list[Block] = []
        self._arguments: list[str] = []
        self._texts: list[str] = []
        self._calls = 0
        # Blocks told whole so far; None while the fields of a message say all.
        self._told: int | None = None

    def take(self, value: Any) -> list[gateway_pb2.Delta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        event = _object(value)
        match event.get("type"):
            case "message_start":
                self.begun = True
                self._head = _object(event.get("message"))
                self._usage = merged(None, self._head.get("usage"))
            case "content_block_start":
                return self._start(dict(_object(event.get("content_block"))))
            case "content_block_delta":
                return self._piece(_object(event.get("delta")))
            case "content_block_stop":
                return self._stop()
            case "message_delta":
                self._usage = merged(self._usage, event.get("usage"))
                return self._end_of_answer(_object(event.get("delta")))
            case "error":
                raise FailedInside
        # Pings, and what may be added one day.
        return []

    def end(self, warnings: tuple[str, ...] = ()) -> ProviderEnd:
        """What is told at the end; `warnings` are those of the request."""
        reading: UsageReading = read_usage(self._usage)
        return ProviderEnd(
            usage=reading.usage,
            usage_impossible=reading.impossible,
            response_model=_text(self._head, "model"),
            response_id=_text(self._head, "id"),
            service_tier=_tier(self._usage),
            told=reading.told,
            warnings=(*warnings, *_searches(self._usage)),
        )

    def _start(self, block: Block) -> list[gateway_pb2.Delta]:
        if not self.begun or len(self._blocks) >= BLOCKS_MAX:
            raise BadAnswer
        before = self._blocks
        self._blocks.append(block)
        self._arguments, self._texts = [], []
        plain = is_plain_call(block) or (is_plain_text(block) and len(before) == 1)
        deltas: list[gateway_pb2.Delta] = []
        if self._told is None and not plain:
            self._told = 0
            deltas = self._tell_whole(len(self._blocks) - 1)
        if block.get("type") == "tool_use":
            call = gateway_pb2.ToolCallDelta(
                index=self._calls, id=_text(block, "id"), name=_text(block, "name")
            )
            self._calls += 1
            if block.get("input"):
                # All of it at once: the block's end has nothing to add.
                call.arguments_json = arguments_of(block["input"])
            deltas.append(gateway_pb2.Delta(tool_calls=[call]))
        elif block.get("type") == "text" and block.get("text"):
            self._texts.append(str(block["text"]))
            deltas.append(gateway_pb2.Delta(content=str(block["text"])))
        elif block.get("type") == "thinking" and block.get("thinking"):
            self._texts.append(str(block["thinking"]))
            deltas.append(_reasoning(str(block["thinking"])))
        return deltas

    def _piece(self, delta: Mapping[str, Any]) -> list[gateway_pb2.Delta]:
        if not self._blocks:
            raise BadAnswer
        block = self._blocks[-1]
        match delta.get("type"):
            case "text_delta":
                text = _text(delta, "text")
                self._texts.append(text)
                return [gateway_pb2.Delta(content=text)] if text else []
            case "thinking_delta":
                text = _text(delta, "thinking")
                self._texts.append(text)
                return [_reasoning(text)] if text else []
            case "input_json_delta":
                return self._argument(_text(delta, "partial_json"))
            case "signature_delta":
                block["signature"] = _text(delta, "signature")
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
            case str(kind):
                _add_unknown(block, kind, delta)
        return []

    def _argument(self, text: str) -> list[gateway_pb2.Delta]:
        self._arguments.append(text)
        if self._blocks[-1].get("type") != "tool_use" or not text:
            return []
        call = gateway_pb2.ToolCallDelta(index=self._calls - 1, arguments_json=text)
        return [gateway_pb2.Delta(tool_calls=[call])]

    def _stop(self) -> list[gateway_pb2.Delta]:
        if not self._blocks:
            raise BadAnswer
        block = self._blocks[-1]
        if block.get("type") in ("text", "thinking"):
            block[str(block["type"])] = "".join(self._texts)
        arguments = "".join(self._arguments)
        if arguments:
            block["input"] = _input(arguments)
        if self._told is None and not (is_plain_text(block) or is_plain_call(block)):
            self._told = 0
        return [] if self._told is None else self._tell_whole(len(self._blocks))

    def _tell_whole(self, upto: int) -> list[gateway_pb2.Delta]:
        """Blocks that were not told whole so far, up to that one."""
        news = self._blocks[self._told or 0 : upto]
        self._told = upto
        if not news:
            return []
        told = _json({CONTENT: kept(news, upto - len(news))})
        return [gateway_pb2.Delta(extra_json=told)]

    def _end_of_answer(self, delta: Mapping[str, Any]) -> list[gateway_pb2.Delta]:
        if not isinstance(delta.get("stop_reason"), str):
            return []
        self.stopped = True
        return [
            gateway_pb2.Delta(
                finish_reason=_finish_reason(delta), choice_extra_json=_stop_details(delta)
            )
        ]


def _message(blocks: list[Mapping[str, Any]]) -> chat_pb2.Message:
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text_of(blocks))
    for block in blocks:
        if block.get("type") == "tool_use":
            message.tool_calls.add(
                id=_text(block, "id"),
                name=_text(block, "name"),
                arguments_json=arguments_of(block.get("input")),
            )
    if not is_plain(blocks):
        extra: dict[str, Any] = {}
        if thought := thinking_of(blocks):
            extra[REASONING] = thought
        message.extra_json = _json({**extra, CONTENT: kept(blocks)})
    return message


def _finish_reason(message: Mapping[str, Any]) -> chat_pb2.FinishReason:
    reason = message.get("stop_reason")
    if not isinstance(reason, str):
        return chat_pb2.FINISH_REASON_UNSPECIFIED
    return _FINISH_REASONS.get(reason, chat_pb2.FINISH_REASON_UNSPECIFIED)


def _stop_details(message: Mapping[str, Any]) -> str:
    """What the fleet's own word for the end leaves out."""
    details: dict[str, Any] = {}
    reason = message.get("stop_reason")
    if isinstance(reason, str) and reason not in _PLAIN_REASONS:
        details["stop_reason"] = reason
    for name in ("stop_sequence", "stop_details", "container"):
        if message.get(name) is not None:
            details[name] = message[name]
    return _json(details) if details else ""


def _searches(usage: Any) -> tuple[str, ...]:
    return (SEARCHES_UNPRICED,) if web_searches(usage) else ()


def _tier(usage: Any) -> str:
    return _text(usage, "service_tier") if isinstance(usage, dict) else ""


def _add_unknown(block: Block, kind: str, delta: Mapping[str, Any]) -> None:
    """A piece of a kind of block that nobody knew yet: texts add up, the rest takes its place."""
    for name, value in delta.items():
        if name == "type":
            continue
        own = block.get(name)
        block[name] = own + value if isinstance(own, str) and isinstance(value, str) else value


def _input(arguments: str) -> Any:
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"INVALID_JSON": arguments}


def _reasoning(text: str) -> gateway_pb2.Delta:
    return gateway_pb2.Delta(extra_json=_json({REASONING: text}))


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswer
    return value


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise BadAnswer from None
