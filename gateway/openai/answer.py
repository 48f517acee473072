"""A provider's answers and pieces of answers, from OpenAI's JSON into the fleet's messages.

Lenient where servers differ and nothing is lost by it, strict where an answer would be another.
"""

from dataclasses import dataclass
from typing import Any

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.errors import InvalidFields
from gateway.openai.parse import parse_content, parse_tool_call
from gateway.openai.read import Fields, invalid, to_json
from gateway.openai.usage import UsageReading, read_usage
from gateway.providers.port import ProviderAnswer

CHOICES_MAX = 128
PARTS_MAX = 4_096
TOOL_CALLS_MAX = 1_024
_INT32_MAX = 2**31 - 1

_FINISH_REASONS = {
    "stop": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_LENGTH,
    "tool_calls": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    # What servers of the same protocol say instead.
    "eos": chat_pb2.FINISH_REASON_STOP,
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_length": chat_pb2.FINISH_REASON_LENGTH,
    "safety": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}


class BadAnswer(Exception):
    """What came is no answer. Holds nothing of it."""


class FailedInside(Exception):
    """An answer with status 200 says that it failed. Holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream."""

    deltas: list[gateway_pb2.Delta]
    usage: UsageReading
    model: str
    response_id: str
    service_tier: str


def read_answer(value: Any) -> ProviderAnswer:
    """A whole answer. Raises: BadAnswer, FailedInside."""
    try:
        fields = _answer_fields(value)
        choices = fields.items("choices", CHOICES_MAX)
        if not choices:
            raise BadAnswer
        reading = read_usage(fields.take("usage"))
        return ProviderAnswer(
            choices=[_choice(choice, at) for at, choice in enumerate(choices)],
            usage=reading.usage,
            usage_impossible=reading.impossible,
            response_model=fields.text("model"),
            response_id=fields.text("id"),
            service_tier=fields.text("service_tier"),
            told=reading.told,
        )
    except InvalidFields:
        raise BadAnswer from None


def read_chunk(value: Any) -> Chunk:
    """One event of a stream. Raises: BadAnswer, FailedInside."""
    try:
        fields = _answer_fields(value)
        choices = fields.items("choices", CHOICES_MAX) or []
        deltas = [_delta(choice, at) for at, choice in enumerate(choices)]
        return Chunk(
            deltas=[delta for delta in deltas if delta is not None],
            usage=_usage_of_chunk(fields),
            model=fields.text("model"),
            response_id=fields.text("id"),
            service_tier=fields.text("service_tier"),
        )
    except InvalidFields:
        raise BadAnswer from None


def _usage_of_chunk(fields: Fields) -> UsageReading:
    usage, groq = fields.take("usage"), fields.take("x_groq")
    if usage is None and isinstance(groq, dict):
        # Groq tells a stream's tokens in an object of its own.
        usage = groq.get("usage")
    return read_usage(usage)


def _answer_fields(value: Any) -> Fields:
    fields = Fields(value, "")
    if fields.take("error") is not None:
        raise FailedInside
    return fields


def _choice(value: Any, position: int) -> chat_pb2.Choice:
    fields = Fields(value, "choice")
    index = fields.integer("index", _INT32_MAX)
    choice = chat_pb2.Choice(
        index=position if index is None else index,
        message=_message(Fields(fields.take("message"), "message")),
        finish_reason=_finish_reason(fields),
    )
    choice.extra_json = fields.rest_json()
    return choice


def _message(fields: Fields) -> chat_pb2.Message:
    fields.take("role")
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, refusal=fields.text("refusal"))
    content = fields.take("content")
    if content:
        parse_content(content, "content", message, parts_max=PARTS_MAX)
    for call in fields.items("tool_calls", TOOL_CALLS_MAX) or []:
        message.tool_calls.append(parse_tool_call(call, "tool_calls"))
    _drop_empty(fields.rest())
    message.extra_json = fields.rest_json()
    return message


def _delta(value: Any, position: int) -> gateway_pb2.Delta | None:
    """A piece of an answer, None when there is nothing in it."""
    fields = Fields(value, "choice")
    index = fields.integer("index", _INT32_MAX)
    delta = gateway_pb2.Delta(finish_reason=_finish_reason(fields))
    inner = Fields(fields.take("delta") or {}, "delta")
    inner.take("role")
    content = inner.take("content")
    if isinstance(content, list):
        # Some send parts here: their texts are the answer, all else stays as it is.
        delta.content, others = _texts(content)
        if others:
            inner.rest()["content_parts"] = others
    elif isinstance(content, str):
        delta.content = content
    elif content is not None:
        raise invalid("content", "must be a string")
    delta.refusal = inner.text("refusal")
    for at, call in enumerate(inner.items("tool_calls", TOOL_CALLS_MAX) or []):
        delta.tool_calls.append(_tool_call_delta(call, at))
    _drop_empty(inner.rest())
    delta.extra_json = inner.rest_json()
    _drop_empty(fields.rest())
    delta.choice_extra_json = fields.rest_json()
    if not delta.ByteSize():
        return None
    delta.choice_index = position if index is None else index
    return delta


def _tool_call_delta(value: Any, position: int) -> gateway_pb2.ToolCallDelta:
    fields = Fields(value, "tool_call")
    index = fields.integer("index", TOOL_CALLS_MAX)
    call = gateway_pb2.ToolCallDelta(
        index=position if index is None else index, id=fields.text("id")
    )
    if call.index < 0:
        raise BadAnswer
    kind = fields.text("type") or "function"
    rest = fields.rest()
    function = rest.pop("function", None)
    if function is not None:
        inner = Fields(function, "function")
        call.name = inner.text("name")
        call.arguments_json = inner.text("arguments")
        if inner.rest():
            rest["function"] = inner.rest()
    if kind != "function":
        rest["type"] = kind
    call.extra_json = to_json(rest, "tool_call") if rest else ""
    return call


def _texts(parts: list[Any]) -> tuple[str, list[Any]]:
    texts: list[str] = []
    others: list[Any] = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if isinstance(text, str):
            texts.append(text)
        else:
            others.append(part)
    return "".join(texts), others


def _drop_empty(rest: dict[str, Any]) -> None:
    """Servers pad answers with fields like `annotations: []`, which say nothing."""
    for name in [name for name, value in rest.items() if value in ("", [], {})]:
        del rest[name]


def _finish_reason(fields: Fields) -> chat_pb2.FinishReason:
    reason = fields.take("finish_reason")
    if not isinstance(reason, str):
        return chat_pb2.FINISH_REASON_UNSPECIFIED
    return _FINISH_REASONS.get(reason, chat_pb2.FINISH_REASON_UNSPECIFIED)
