"""The fleet's answers as messages of Anthropic's API, with a `spendgate` object beside."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.content import REASONING, Block, blocks_in, input_of
from gateway.anthropic.usage import render_usage
from gateway.openai.wire import render_summary

ANSWER_ID = "msg_"
_STOP_REASONS = {
    chat_pb2.FINISH_REASON_STOP: "end_turn",
    chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "refusal",
    # For the caller the answer is cut short, as by any other limit.
    chat_pb2.FINISH_REASON_HOLD_USED_UP: "max_tokens",
}
# Those that only Anthropic tells: they come as they were told.
_OWN_REASONS = frozenset({"stop_sequence", "pause_turn", "model_context_window_exceeded"})


def render_message(
    response: gateway_pb2.CompleteResponse,
    cache_mode: gateway_pb2.CacheMode,
    stops: Sequence[str],
) -> dict[str, Any]:
    """A whole `message`. `stops` are the caller's stop sequences."""
    choice = response.choices[0] if response.choices else chat_pb2.Choice()
    told = render_summary(response.summary, cache_mode)
    told["hold_used_up"] = choice.finish_reason == chat_pb2.FINISH_REASON_HOLD_USED_UP
    content = content_of(choice.message)
    return {
        "id": ANSWER_ID + response.summary.request_id,
        "type": "message",
        "role": "assistant",
        "model": response.summary.model,
        "content": content,
        **ending(choice.finish_reason, choice.extra_json, content, stops),
        "usage": render_usage(response.summary.usage),
        "spendgate": told,
    }


def content_of(message: chat_pb2.Message) -> list[Block]:
    """An answer's blocks: as Anthropic told them, or made of what another vendor's model said."""
    extra = parsed(message.extra_json)
    own = blocks_in(extra)
    if own is not None:
        return own
    blocks: list[Block] = []
    if thought := reasoning_of(extra):
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    text = message.content or "".join(part.text for part in message.parts)
    for said in (text, message.refusal):
        if said:
            blocks.append({"type": "text", "text": said})
    for call in message.tool_calls:
        named = {"type": "tool_use", "id": call.id, "name": call.name}
        blocks.append({**named, "input": input_of(call.arguments_json)})
    return blocks


def ending(
    reason: chat_pb2.FinishReason,
    extra_json: str,
    content: Sequence[Mapping[str, Any]],
    stops: Sequence[str],
) -> dict[str, Any]:
    """Why the answer stopped."""
    extra = parsed(extra_json)
    own = extra.get("stop_reason")
    sequence = extra.get("stop_sequence")
    if sequence is None and own in stops:
        # vLLM tells the text that stopped it so.
        sequence, own = own, "stop_sequence"
    told = _STOP_REASONS.get(reason, "end_turn")
    if told == "end_turn" and any(block.get("type") == "tool_use" for block in content):
        told = "tool_use"
    ended: dict[str, Any] = {
        "stop_reason": own if own in _OWN_REASONS else told,
        "stop_sequence": sequence,
    }
    for name in ("stop_details", "container"):
        if extra.get(name) is not None:
            ended[name] = extra[name]
    return ended


def reasoning_of(extra: Mapping[str, Any]) -> str:
    """What was thought, by whichever name a server told it."""
    for name in (REASONING, "reasoning"):
        if isinstance(text := extra.get(name), str) and text:
            return text
    return ""


def parsed(text: str) -> dict[str, Any]:
    """The object in `text`, {} when there is none."""
    value = orjson.loads(text) if text else {}
    return value if isinstance(value, dict) else {}
