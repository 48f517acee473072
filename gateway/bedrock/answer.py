"""Answers and streams of Converse as those of Anthropic's Messages API."""

from collections.abc import Iterator
from typing import Any

from gateway.openai.answer import BadAnswer

_REASONS = {
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
}


def message_of(value: Any) -> dict[str, Any]:
    """A whole answer. Raises: BadAnswer."""
    answer = _object(value)
    message = _object(_object(answer.get("output")).get("message"))
    blocks = message.get("content")
    if not isinstance(blocks, list):
        raise BadAnswer
    return {
        "type": "message",
        "content": [told for block in blocks for told in _blocks(_object(block))],
        **_end(answer),
        "usage": usage_of(answer.get("usage")),
    }


def usage_of(value: Any) -> dict[str, Any] | None:
    """The tokens under Anthropic's names. Cached ones are apart from `inputTokens` here too."""
    if not isinstance(value, dict):
        return None
    names = {
        "inputTokens": "input_tokens",
        "outputTokens": "output_tokens",
        "cacheReadInputTokens": "cache_read_input_tokens",
        "cacheWriteInputTokens": "cache_creation_input_tokens",
    }
    told: dict[str, Any] = {ours: value.get(theirs) for theirs, ours in names.items()}
    details = value.get("cacheDetails")
    if isinstance(details, list) and details:
        told["cache_creation"] = {
            f"ephemeral_{each.get('ttl')}_input_tokens": each.get("inputTokens")
            for each in details
            if isinstance(each, dict)
        }
    return told


class Events:
    """One stream: Converse's events in, Anthropic's out."""

    def __init__(self) -> None:
        self._open: int | None = None
        # The tokens come after the end of the answer.
        self.done = False

    def take(self, value: Any) -> Iterator[dict[str, Any]]:
        """What an event stands for. Raises: BadAnswer."""
        for name, told in _object(value).items():
            event = _object(told)
            match name:
                case "messageStart":
                    yield {"type": "message_start", "message": {}}
                case "contentBlockStart":
                    call = _object(event.get("start")).get("toolUse")
                    if isinstance(call, dict):
                        yield from self._begin(event, _call(call, {}))
                case "contentBlockDelta":
                    yield from self._piece(event, _object(event.get("delta")))
                case "contentBlockStop":
                    if self._open is not None:
                        self._open = None
                        yield {"type": "content_block_stop"}
                case "messageStop":
                    yield {"type": "message_delta", "delta": _end(event)}
                case "metadata":
                    self.done = True
                    yield {
                        "type": "message_delta",
                        "delta": {},
                        "usage": usage_of(event.get("usage")),
                    }

    def _begin(self, event: dict[str, Any], block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._open = event.get("contentBlockIndex")
        yield {"type": "content_block_start", "content_block": block}

    def _piece(self, event: dict[str, Any], delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Texts and thoughts begin with their first piece."""
        thought = delta.get("reasoningContent")
        if isinstance(thought, dict) and "redactedContent" in thought:
            block = {"type": "redacted_thinking", "data": thought["redactedContent"]}
            yield from self._begin(event, block)
            return
        if self._open is None or self._open != event.get("contentBlockIndex"):
            empty = {"type": "text", "text": ""}
            if isinstance(thought, dict):
                empty = {"type": "thinking", "thinking": "", "signature": ""}
            yield from self._begin(event, empty)
        yield {"type": "content_block_delta", "delta": _delta(delta, thought)}


def _delta(delta: dict[str, Any], thought: Any) -> dict[str, Any]:
    if isinstance(thought, dict):
        if "signature" in thought:
            return {"type": "signature_delta", "signature": thought["signature"]}
        return {"type": "thinking_delta", "thinking": thought.get("text", "")}
    call = delta.get("toolUse")
    if isinstance(call, dict):
        return {"type": "input_json_delta", "partial_json": call.get("input", "")}
    if "citation" in delta:
        return {"type": "citations_delta", "citation": delta["citation"]}
    return {"type": "text_delta", "text": delta.get("text", "")}


def _blocks(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" in block:
        yield {"type": "text", "text": block["text"]}
    elif isinstance(call := block.get("toolUse"), dict):
        yield _call(call, call.get("input") or {})
    elif isinstance(thought := block.get("reasoningContent"), dict):
        text = thought.get("reasoningText")
        if isinstance(text, dict):
            signature = text.get("signature", "")
            yield {"type": "thinking", "thinking": text.get("text", ""), "signature": signature}
        else:
            yield {"type": "redacted_thinking", "data": thought.get("redactedContent", "")}
    elif isinstance(cited := block.get("citationsContent"), dict):
        texts = [each.get("text", "") for each in cited.get("content") or []]
        yield {
            "type": "text",
            "text": "".join(texts),
            "citations": cited.get("citations") or None,
        }
    else:
        raise BadAnswer


def _call(call: dict[str, Any], value: Any) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call.get("toolUseId"),
        "name": call.get("name"),
        "input": value,
    }


def _end(event: dict[str, Any]) -> dict[str, Any]:
    reason = event.get("stopReason")
    further = event.get("additionalModelResponseFields")
    told = {"stop_reason": _REASONS.get(str(reason), reason)}
    if isinstance(further, dict) and further.get("stop_sequence"):
        told["stop_sequence"] = further["stop_sequence"]
    return told


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswer
    return value
