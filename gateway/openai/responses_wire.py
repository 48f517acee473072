"""The fleet's answers as OpenAI's `response` objects, with a `spendgate` object beside."""

from typing import Any

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.read import object_from
from gateway.openai.responses_items import OWN_ID, REASONING, items_of
from gateway.openai.usage import render_usage
from gateway.openai.wire import render_summary

_DEFAULTS: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE = {
    chat_pb2.FINISH_REASON_LENGTH: "max_output_tokens",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    # For the caller the answer is cut short, as by any other limit.
    chat_pb2.FINISH_REASON_HOLD_USED_UP: "max_output_tokens",
}
_PREFIXES = {"message": "msg", "reasoning": "rs", "custom_tool_call": "ctc"}


class ItemIds:
    """Ids of the items of one response, such as a client hands back."""

    def __init__(self, response_id: str) -> None:
        self._response_id = response_id
        self._count = 0

    def new(self, kind: str) -> str:
        """An id that tells that this gateway made it up."""
        self._count += 1
        return f"{_PREFIXES.get(kind, 'fc')}{OWN_ID}{self._response_id}_{self._count}"


def response_object(
    response_id: str,
    model: str,
    created: int,
    echo: dict[str, Any],
    *,
    status: str,
    output: list[dict[str, Any]],
) -> dict[str, Any]:
    """A `response` without what only its end tells. `store` is false: none is kept."""
    return {
        "id": f"resp_{response_id}",
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        "usage": None,
        **_DEFAULTS,
        **echo,
    }


def render_response(
    answer: gateway_pb2.CompleteResponse,
    echo: dict[str, Any],
    cache_mode: gateway_pb2.CacheMode,
    created: int,
) -> dict[str, Any]:
    """A whole `response`."""
    summary, choice = answer.summary, answer.choices[0]
    ids = ItemIds(summary.request_id)
    body = response_object(
        summary.request_id,
        summary.model,
        created,
        echo,
        status="in_progress",
        output=output_items(choice.message, ids),
    )
    return ended(body, choice.finish_reason, summary, cache_mode)


def ended(
    body: dict[str, Any],
    reason: chat_pb2.FinishReason,
    summary: gateway_pb2.Summary,
    cache_mode: gateway_pb2.CacheMode,
) -> dict[str, Any]:
    """The response at its end: why it ended, tokens, what it cost."""
    why = _INCOMPLETE.get(reason)
    told = render_summary(summary, cache_mode)
    told["hold_used_up"] = reason == chat_pb2.FINISH_REASON_HOLD_USED_UP
    return {
        **body,
        "model": summary.model,
        "status": "incomplete" if why else "completed",
        "incomplete_details": {"reason": why} if why else None,
        "usage": render_response_usage(summary.usage),
        "spendgate": told,
    }


def output_items(message: chat_pb2.Message, ids: ItemIds) -> list[dict[str, Any]]:
    """What the model said and asked for, item by item."""
    items = list(items_of(message, "message"))
    thoughts = object_from(message.extra_json, "message.extra_json").get(REASONING)
    if isinstance(thoughts, str) and thoughts:
        items.insert(0, reasoning_item(thoughts))
    return [finished_item(item, ids) for item in items]


def reasoning_item(text: str) -> dict[str, Any]:
    """Reasoning that a server of the chat protocol told in words."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "summary": [], "content": content}


def finished_item(item: dict[str, Any], ids: ItemIds) -> dict[str, Any]:
    """An item with what clients expect of one that is whole; its own fields stay."""
    made = {"id": ids.new(item["type"])} if "id" not in item else {}
    if item["type"] == "reasoning":
        return {**made, **item}
    content = item.get("content")
    if item["type"] == "message" and isinstance(content, list):
        item = {**item, "content": [_part(part) for part in content]}
    return {**made, "status": "completed", **item}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    return {"logprobs": [], **part} if part.get("type") == "output_text" else part


def render_response_usage(usage: chat_pb2.TokenUsage) -> dict[str, Any]:
    """The buckets under the names of this protocol."""
    told = render_usage(usage)
    read, written = told["prompt_tokens_details"], told["completion_tokens_details"]
    return {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": read["cached_tokens"],
            "cache_write_tokens": read["cache_write_tokens"],
        },
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": written["reasoning_tokens"]},
        "total_tokens": told["total_tokens"],
    }
