"""The fleet's answers as OpenAI's JSON, whole or in chunks, with a `spendgate` object beside."""

from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb2

from catalog.price import RATE_NAMES
from gateway.openai.render import render_message
from gateway.openai.usage import render_usage

_FINISH_REASONS = {
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    # For the caller the answer is cut short, as by any other limit.
    chat_pb2.FINISH_REASON_HOLD_USED_UP: "length",
}
_ANSWER_ID = "chatcmpl-"
_CACHE_WORDS = {
    gateway_pb2.ANSWER_SOURCE_CACHE_EXACT: "exact",
    gateway_pb2.ANSWER_SOURCE_CACHE_SEMANTIC: "semantic",
    gateway_pb2.ANSWER_SOURCE_SHARED: "shared",
}
_MODE_WORDS = {
    gateway_pb2.CACHE_MODE_OFF: "off",
    gateway_pb2.CACHE_MODE_REFRESH: "refresh",
}
_NANOS_DIGITS = 9


def render_answer(
    response: gateway_pb2.CompleteResponse, cache_mode: gateway_pb2.CacheMode, created: int
) -> dict[str, Any]:
    """A whole `chat.completion`."""
    summary = response.summary
    told = render_summary(summary, cache_mode)
    told["hold_used_up"] = any(
        choice.finish_reason == chat_pb2.FINISH_REASON_HOLD_USED_UP for choice in response.choices
    )
    return {
        "id": _ANSWER_ID + summary.request_id,
        "object": "chat.completion",
        "created": created,
        "model": summary.model,
        "choices": [_choice(choice) for choice in response.choices],
        "usage": render_usage(summary.usage),
        "spendgate": told,
    }


class ChunkRenderer:
    """The chunks of one stream: all with the same head, the role on the first of each choice."""

    def __init__(self, answer_id: str, model: str, created: int, *, include_usage: bool) -> None:
        self._head: dict[str, Any] = {
            "id": _ANSWER_ID + answer_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._begun: set[int] = set()
        self._hold_used_up = False

    def piece(self, delta: gateway_pb2.Delta) -> dict[str, Any]:
        """A chunk with a piece of the answer."""
        inner = _parsed(delta.extra_json)
        if delta.choice_index not in self._begun:
            self._begun.add(delta.choice_index)
            inner["role"] = "assistant"
        if delta.content:
            inner["content"] = delta.content
        if delta.refusal:
            inner["refusal"] = delta.refusal
        if delta.tool_calls:
            inner["tool_calls"] = [_tool_call_delta(call) for call in delta.tool_calls]
        self._hold_used_up |= delta.finish_reason == chat_pb2.FINISH_REASON_HOLD_USED_UP
        reason = finish_reason(delta.finish_reason) if delta.finish_reason else None
        return self._chunk(delta.choice_index, inner, reason, _parsed(delta.choice_extra_json))

    def end(
        self,
        last: dict[str, Any] | None,
        summary: gateway_pb2.Summary,
        cache_mode: gateway_pb2.CacheMode,
    ) -> list[dict[str, Any]]:
        """The chunks to end with; `last` is the one that told why the answer stopped, held back.

        The summary goes on the last of them: on the chunk with the tokens when the caller asked
        for one, else on `last`, for a chunk without choices surprises who did not ask for it.
        """
        last = last or self._chunk(0, {}, "stop", {})
        told = render_summary(summary, cache_mode)
        told["hold_used_up"] = self._hold_used_up
        if not self._include_usage:
            return [{**last, "spendgate": told}]
        usage = {"choices": [], "usage": render_usage(summary.usage), "spendgate": told}
        return [last, {**self._head, **usage}]

    def _chunk(
        self, index: int, delta: dict[str, Any], reason: str | None, further: dict[str, Any]
    ) -> dict[str, Any]:
        choice = {
            "logprobs": None,
            **further,
            "index": index,
            "delta": delta,
            "finish_reason": reason,
        }
        chunk = {**self._head, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        return chunk


def render_summary(
    summary: gateway_pb2.Summary, cache_mode: gateway_pb2.CacheMode
) -> dict[str, Any]:
    """How the answer came about and what it cost. Money in nano-USD, and once in USD as text."""
    told: dict[str, Any] = {
        "request_id": summary.request_id,
        "trace_id": summary.trace_id,
        "model": summary.model,
        "provider": summary.provider,
        "cache": cache_word(summary, cache_mode),
        "route": summary.route_explanation,
        "cost_usd": usd(summary.cost_nanos),
        "cost_nanos": summary.cost_nanos,
        "saved_nanos": saved_nanos(summary),
        "savings": {
            _word(entry_pb2.SavingCause.Name(saving.cause), "SAVING_CAUSE_"): saving.saved_nanos
            for saving in summary.savings
        },
        "counterfactual_nanos": summary.counterfactual_nanos,
        "usage_source": _word(entry_pb2.UsageSource.Name(summary.usage_source), "USAGE_SOURCE_"),
        "booking_pending": summary.booking_pending,
        "latency_ms": summary.latency_ms,
    }
    if summary.HasField("similarity"):
        told["similarity"] = summary.similarity
    if summary.cache_refused_by:
        told["cache_refused_by"] = summary.cache_refused_by
    if summary.feedback_token:
        told["feedback_token"] = summary.feedback_token
    if summary.HasField("shaping"):
        shaping = summary.shaping
        told["shaping"] = {
            "original_tokens": shaping.original_tokens,
            "sent_tokens": shaping.sent_tokens,
            "removed_tokens": dict(shaping.removed_tokens),
            "messages_cut": shaping.messages_cut,
            "decision": shaping.decision,
            "summary_cost_nanos": shaping.summary_cost_nanos,
        }
    if summary.HasField("tightest") and not counts_money(summary.tightest):
        tightest = summary.tightest
        told["budget"] = {
            "id": tightest.budget_id,
            "unit": _word(budget_pb2.BudgetUnit.Name(tightest.unit), "BUDGET_UNIT_"),
            "left": tightest.left_amount,
            "limit": tightest.limit_amount,
        }
    elif summary.HasField("tightest"):
        tightest = summary.tightest
        told["budget"] = {
            "id": tightest.budget_id,
            "left_nanos": tightest.left_nanos,
            "limit_nanos": tightest.limit_nanos,
        }
    if summary.warnings:
        told["warnings"] = list(summary.warnings)
    if summary.notices:
        told["notices"] = [
            {
                "budget": notice.budget_id,
                "mode": _word(budget_pb2.BudgetMode.Name(notice.mode), "BUDGET_MODE_"),
                "unit": _word(budget_pb2.BudgetUnit.Name(notice.unit), "BUDGET_UNIT_"),
                "limit": notice.limit_amount,
                "left": notice.left_amount,
                "needed": notice.needed_amount,
            }
            for notice in summary.notices
        ]
    return told


def counts_money(left: hold_pb2.BudgetLeft) -> bool:
    """Whether what is left of a budget is an amount of money."""
    return left.unit in (budget_pb2.BUDGET_UNIT_UNSPECIFIED, budget_pb2.BUDGET_UNIT_NANO_USD)


def render_model(model: router_pb2.Model) -> dict[str, Any]:
    """An entry of the list of models, for SDKs of OpenAI's and of Anthropic's API. `created` and
    `created_at` are when its price began, 0 when not told."""
    return {
        "id": model.model,
        "object": "model",
        "created": model.price.start_time.seconds,
        "owned_by": model.provider,
        "type": "model",
        "display_name": model.model,
        "created_at": model.price.start_time.ToJsonString(),
        "spendgate": {
            "aliases": list(model.aliases),
            "upstream_model": model.upstream_model,
            "context_window_tokens": model.context_window_tokens,
            "output_tokens_max": model.output_tokens_max,
            "priced": model.price_status == router_pb2.PRICE_STATUS_PRICED,
            "pricing": _pricing(model),
            "capabilities": [
                _word(router_pb2.Capability.Name(each), "CAPABILITY_")
                for each in model.capabilities
            ],
            "routable": model.routable,
        },
    }


# Picos of a token in USD of a million of them: 10^-12 by 10^6.
_PICOS_PER_USD_PER_MILLION = 10**6


def _pricing(model: router_pb2.Model) -> dict[str, str] | None:
    """USD for a million tokens by kind, as exact decimal text. None: not known, never 0."""
    if model.price_status != router_pb2.PRICE_STATUS_PRICED:
        return None
    told = {"price_version": model.price.price_version}
    for name in RATE_NAMES:
        whole, part = divmod(getattr(model.price, name), _PICOS_PER_USD_PER_MILLION)
        told[f"{name.removesuffix('_picos')}_usd_per_million"] = f"{whole}.{part:06d}"
    return told


def cache_word(summary: gateway_pb2.Summary, cache_mode: gateway_pb2.CacheMode) -> str:
    """What the cache did: "exact", "semantic", "shared", "miss"; or as told: "off", "refresh"."""
    word = _CACHE_WORDS.get(summary.source)
    return word or _MODE_WORDS.get(cache_mode, "miss")


def saved_nanos(summary: gateway_pb2.Summary) -> int:
    """Saved by all causes together; negative when they cost more."""
    return sum(saving.saved_nanos for saving in summary.savings)


def usd(nanos: int) -> str:
    """Nano-USD as decimal USD, exact."""
    whole, part = divmod(abs(nanos), 10**_NANOS_DIGITS)
    return f"{'-' if nanos < 0 else ''}{whole}.{part:0{_NANOS_DIGITS}d}"


def finish_reason(reason: chat_pb2.FinishReason) -> str:
    """OpenAI's word; "stop" when the provider told none."""
    return _FINISH_REASONS.get(reason, "stop")


def _choice(choice: chat_pb2.Choice) -> dict[str, Any]:
    message = render_message(choice.message, "")
    content = message["content"]
    if isinstance(content, list):
        # OpenAI's answers have a text here. What is none is kept beside it.
        others = [part for part in content if part["type"] != "text"]
        message["content"] = "".join(p["text"] for p in content if p["type"] == "text")
        if others:
            message["content_parts"] = others
    return {
        "logprobs": None,
        **_parsed(choice.extra_json),
        "index": choice.index,
        "message": {"refusal": None, **message},
        "finish_reason": finish_reason(choice.finish_reason),
    }


def _tool_call_delta(call: gateway_pb2.ToolCallDelta) -> dict[str, Any]:
    told = _parsed(call.extra_json)
    told["index"] = call.index
    if call.id:
        told["id"] = call.id
    if call.name or call.arguments_json:
        function = {"arguments": call.arguments_json, **told.get("function", {})}
        if call.name:
            # The first piece of a call: clients wait for its kind here.
            told.setdefault("type", "function")
            function["name"] = call.name
        told["function"] = function
    return told


def _parsed(text: str) -> dict[str, Any]:
    if not text:
        return {}
    value = orjson.loads(text)
    return value if isinstance(value, dict) else {}


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
