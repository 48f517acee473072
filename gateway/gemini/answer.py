"""Gemini's answers, whole or in pieces, into the fleet's messages.

A piece of a stream has the shape of a whole answer; both are read alike, and a whole answer is
the joined pieces of one.
"""

from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.gemini.parts import with_signature
from gateway.gemini.render import OWN_CALL_ID
from gateway.gemini.usage import read_usage_metadata
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.openai.usage import UsageReading
from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderEnd
from gateway.providers.wire import CutOff, json_of

CANDIDATES_MAX = 128
PARTS_MAX = 4_096
_FILTERED = frozenset(
    {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"}
)
# The model wrote what is no call: nothing that a caller could use, and another try may do.
_FAILED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})


def read_generated(value: Any) -> ProviderAnswer:
    """A whole answer. Raises: BadAnswer, FailedInside."""
    reading = _Reading()
    joiner = AnswerJoiner()
    for delta in reading.take(value):
        joiner.add(delta)
    choices = joiner.choices()
    if not choices:
        raise BadAnswer
    end = reading.end()
    return ProviderAnswer(
        choices=choices,
        usage=end.usage,
        usage_impossible=end.usage_impossible,
        response_model=end.response_model,
        response_id=end.response_id,
        service_tier="",
        told=end.told,
    )


class GeminiStream:
    """gateway.providers.wire.StreamReading. A stream has no end of its own but the connection's."""

    done = False

    def __init__(self) -> None:
        self._reading = _Reading()

    def take(self, event: bytes) -> list[gateway_pb2.Delta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        return self._reading.take(json_of(event))

    def end(self) -> ProviderEnd:
        """What the stream told. Raises: BadAnswer, CutOff."""
        if not self._reading.seen:
            raise BadAnswer
        if not self._reading.finished:
            raise CutOff
        return self._reading.end()


class _Reading:
    """What was told so far."""

    def __init__(self) -> None:
        self.seen = False
        self.finished = False
        self._usage = UsageReading(None)
        self._model = ""
        self._id = ""
        # Calls so far, by candidate.
        self._calls: dict[int, int] = {}

    def take(self, value: Any) -> list[gateway_pb2.Delta]:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            raise BadAnswer
        if value.get("error") is not None:
            raise FailedInside
        self.seen = True
        self._model = _text(value, "modelVersion") or self._model
        self._id = _text(value, "responseId") or self._id
        usage = read_usage_metadata(value.get("usageMetadata"))
        # Told with every piece, for all so far: the last word counts.
        if usage.usage is not None or usage.impossible:
            self._usage = usage
        candidates = value.get("candidates") or []
        if not isinstance(candidates, list) or len(candidates) > CANDIDATES_MAX:
            raise BadAnswer
        if not candidates and (value.get("promptFeedback") or {}).get("blockReason"):
            self.finished = True
            return [gateway_pb2.Delta(finish_reason=chat_pb2.FINISH_REASON_CONTENT_FILTER)]
        return [delta for at, each in enumerate(candidates) for delta in self._candidate(each, at)]

    def end(self) -> ProviderEnd:
        return ProviderEnd(
            usage=self._usage.usage,
            usage_impossible=self._usage.impossible,
            response_model=self._model,
            response_id=self._id,
            service_tier="",
            told=self._usage.told,
        )

    def _candidate(self, value: Any, position: int) -> list[gateway_pb2.Delta]:
        if not isinstance(value, dict):
            raise BadAnswer
        index = value.get("index", position)
        if not isinstance(index, int) or not 0 <= index < CANDIDATES_MAX:
            raise BadAnswer
        parts = (value.get("content") or {}).get("parts") or []
        if not isinstance(parts, list) or len(parts) > PARTS_MAX:
            raise BadAnswer
        deltas = [self._part(part, index) for part in parts]
        reason = _text(value, "finishReason")
        if reason in _FAILED:
            raise FailedInside
        if reason:
            self.finished = True
            deltas.append(
                gateway_pb2.Delta(finish_reason=self._reason(reason, index), choice_index=index)
            )
        return deltas

    def _reason(self, reason: str, index: int) -> chat_pb2.FinishReason:
        if reason == "MAX_TOKENS":
            return chat_pb2.FINISH_REASON_LENGTH
        if reason in _FILTERED:
            return chat_pb2.FINISH_REASON_CONTENT_FILTER
        if self._calls.get(index):
            return chat_pb2.FINISH_REASON_TOOL_CALLS
        return chat_pb2.FINISH_REASON_STOP

    def _part(self, part: Any, index: int) -> gateway_pb2.Delta:
        if not isinstance(part, dict):
            raise BadAnswer
        delta = gateway_pb2.Delta(choice_index=index)
        signature = _text(part, "thoughtSignature")
        extra: dict[str, Any] = with_signature(signature) if signature else {}
        call = part.get("functionCall")
        if call is not None:
            delta.tool_calls.append(self._call(call, index, extra))
            return delta
        text = _text(part, "text")
        if part.get("thought") is True:
            extra["reasoning_content"] = text
        elif "text" in part:
            delta.content = text
        elif rest := {name: part[name] for name in part if name != "thoughtSignature"}:
            # Pictures, code that was run: no text, and not to be lost.
            extra["content_parts"] = [rest]
        if extra:
            delta.extra_json = orjson.dumps(extra).decode()
        return delta

    def _call(self, value: Any, index: int, extra: dict[str, Any]) -> gateway_pb2.ToolCallDelta:
        if not isinstance(value, dict) or not _text(value, "name"):
            raise BadAnswer
        number = self._calls.get(index, 0)
        self._calls[index] = number + 1
        return gateway_pb2.ToolCallDelta(
            index=number,
            id=_text(value, "id") or f"{OWN_CALL_ID}{self._id}_{index}_{number}",
            name=value["name"],
            arguments_json=orjson.dumps(value.get("args") or {}).decode(),
            extra_json=orjson.dumps(extra).decode() if extra else "",
        )


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise BadAnswer
    return text
