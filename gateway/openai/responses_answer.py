"""A provider's answers in OpenAI's Responses API, whole or as events, into the fleet's messages."""

from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.errors import InvalidFields
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.openai.responses_items import REFERENCES, Turn, layout_json
from gateway.openai.usage import UsageReading, read_usage
from gateway.providers.port import ProviderAnswer, ProviderEnd
from gateway.providers.wire import CutOff, json_of

ITEMS_MAX = 1_024
_ENDS = frozenset({"response.completed", "response.incomplete"})
_INCOMPLETE = {
    "max_output_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}


def read_response(value: Any) -> ProviderAnswer:
    """A whole response. Raises: BadAnswer, FailedInside."""
    response = _response(value)
    turn = Turn()
    try:
        for item in _items(response):
            turn.add(item, "output")
    except InvalidFields:
        raise BadAnswer from None
    message = turn.message()
    usage = read_response_usage(response.get("usage"))
    choice = chat_pb2.Choice(message=message, finish_reason=_reason(response, message))
    return ProviderAnswer(
        choices=[choice],
        usage=usage.usage,
        usage_impossible=usage.impossible,
        response_model=_text(response, "model"),
        response_id=_text(response, "id"),
        service_tier=_text(response, "service_tier"),
        told=usage.told,
    )


def read_response_usage(value: Any) -> UsageReading:
    """The buckets of `usage`: the numbers are those of chat completions under other names."""
    if not isinstance(value, dict):
        return UsageReading(None)
    return read_usage(
        {
            "prompt_tokens": value.get("input_tokens"),
            "completion_tokens": value.get("output_tokens"),
            "total_tokens": value.get("total_tokens"),
            "prompt_tokens_details": value.get("input_tokens_details"),
            "completion_tokens_details": value.get("output_tokens_details"),
        }
    )


class ResponseStream:
    """gateway.providers.wire.StreamReading."""

    def __init__(self) -> None:
        self.done = False
        self._turn = Turn()
        # Calls by their place in the output.
        self._calls: dict[int, int] = {}
        # Entries of the layout that count only once something special stands beside them.
        self._pending: list[dict[str, Any]] = []
        self._response: dict[str, Any] = {}
        self._begun = False

    def take(self, event: bytes) -> list[gateway_pb2.Delta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        if event == b"[DONE]":
            self.done = True
            return []
        told = json_of(event)
        kind = told.get("type") if isinstance(told, dict) else None
        if not isinstance(kind, str):
            raise BadAnswer
        if kind in {"error", "response.failed"}:
            raise FailedInside
        self._begun = True
        if kind in _ENDS:
            self.done = True
            self._response = _response(told.get("response"))
            return [self._last()]
        try:
            delta = self._piece(kind, told)
        except InvalidFields:
            raise BadAnswer from None
        return [] if delta is None else [delta]

    def end(self) -> ProviderEnd:
        """What the response told at its end. Raises: BadAnswer, CutOff."""
        if not self._begun:
            raise BadAnswer
        if not self._response:
            raise CutOff
        usage = read_response_usage(self._response.get("usage"))
        return ProviderEnd(
            usage=usage.usage,
            usage_impossible=usage.impossible,
            response_model=_text(self._response, "model"),
            response_id=_text(self._response, "id"),
            service_tier=_text(self._response, "service_tier"),
            told=usage.told,
        )

    def _piece(self, kind: str, told: dict[str, Any]) -> gateway_pb2.Delta | None:
        if kind == "response.output_text.delta":
            return gateway_pb2.Delta(content=_text(told, "delta"))
        if kind == "response.refusal.delta":
            return gateway_pb2.Delta(refusal=_text(told, "delta"))
        if kind == "response.output_item.added":
            return self._added(told)
        if kind in {
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
        }:
            return self._call_piece(told, custom="custom" in kind)
        if kind == "response.output_item.done":
            return self._item_done(told.get("item"))
        return None

    def _added(self, told: dict[str, Any]) -> gateway_pb2.Delta | None:
        item = told.get("item")
        if not isinstance(item, dict) or item.get("type") not in REFERENCES - {"message"}:
            return None
        index = self._calls.setdefault(_place(told), len(self._calls))
        call = gateway_pb2.ToolCallDelta(index=index, id=_text(item, "call_id"))
        if item["type"] == "function_call":
            call.name = _text(item, "name")
        else:
            named = {"name": _text(item, "name"), "input": ""}
            call.extra_json = _json({"type": "custom", "custom": named})
        return gateway_pb2.Delta(tool_calls=[call])

    def _call_piece(self, told: dict[str, Any], *, custom: bool) -> gateway_pb2.Delta:
        index = self._calls.get(_place(told))
        if index is None:
            raise BadAnswer
        call = gateway_pb2.ToolCallDelta(index=index)
        if custom:
            call.extra_json = _json({"custom": {"input": _text(told, "delta")}})
        else:
            call.arguments_json = _text(told, "delta")
        return gateway_pb2.Delta(tool_calls=[call])

    def _item_done(self, item: Any) -> gateway_pb2.Delta | None:
        if not isinstance(item, dict):
            raise BadAnswer
        placed = self._turn.add(item, "output")
        if placed:
            self._pending.append(placed)
        if not self._turn.special:
            return None
        entries, self._pending = self._pending, []
        return gateway_pb2.Delta(extra_json=layout_json(entries)) if entries else None

    def _last(self) -> gateway_pb2.Delta:
        reason = _reason(self._response, self._turn.message())
        return gateway_pb2.Delta(finish_reason=reason)


def _response(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswer
    if value.get("error") is not None or value.get("status") == "failed":
        raise FailedInside
    if value.get("status", "completed") not in {"completed", "incomplete"}:
        raise BadAnswer
    return value


def _items(response: dict[str, Any]) -> list[dict[str, Any]]:
    items = response.get("output")
    if not isinstance(items, list) or len(items) > ITEMS_MAX:
        raise BadAnswer
    if not all(isinstance(item, dict) for item in items):
        raise BadAnswer
    return items


def _reason(response: dict[str, Any], message: chat_pb2.Message) -> chat_pb2.FinishReason:
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        why = details.get("reason") if isinstance(details, dict) else None
        return _INCOMPLETE.get(str(why), chat_pb2.FINISH_REASON_LENGTH)
    if message.tool_calls:
        return chat_pb2.FINISH_REASON_TOOL_CALLS
    return chat_pb2.FINISH_REASON_STOP


def _place(told: dict[str, Any]) -> int:
    place = told.get("output_index")
    if not isinstance(place, int) or not 0 <= place < ITEMS_MAX:
        raise BadAnswer
    return place


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadAnswer
    return value


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
