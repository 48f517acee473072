"""Joins the pieces of a streamed answer into the answer that would have come whole."""

from typing import Any

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

# Texts that name a thing: sent anew they replace, they do not add.
_NAMES = frozenset({"id", "type", "index", "format", "role", "thought_signature"})


class _ToolCall:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra: dict[str, Any] = {}

    def add(self, piece: gateway_pb2.ToolCallDelta) -> None:
        self.id = piece.id or self.id
        self.name = piece.name or self.name
        self.arguments.append(piece.arguments_json)
        _add_json(self.extra, piece.extra_json)


class _Choice:
    def __init__(self) -> None:
        self.content: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, _ToolCall] = {}
        self.extra: dict[str, Any] = {}
        self.choice_extra: dict[str, Any] = {}
        self.finish_reason = chat_pb2.FINISH_REASON_UNSPECIFIED

    def add(self, delta: gateway_pb2.Delta) -> None:
        self.content.append(delta.content)
        self.refusal.append(delta.refusal)
        for piece in delta.tool_calls:
            self.calls.setdefault(piece.index, _ToolCall()).add(piece)
        _add_json(self.extra, delta.extra_json)
        _add_json(self.choice_extra, delta.choice_extra_json)
        self.finish_reason = delta.finish_reason or self.finish_reason

    def whole(self, index: int) -> chat_pb2.Choice:
        return chat_pb2.Choice(
            index=index,
            message=chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                content="".join(self.content),
                refusal="".join(self.refusal),
                tool_calls=[
                    chat_pb2.ToolCall(
                        id=call.id,
                        name=call.name,
                        arguments_json="".join(call.arguments),
                        extra_json=_to_text(call.extra),
                    )
                    for _, call in sorted(self.calls.items())
                ],
                extra_json=_to_text(self.extra),
            ),
            finish_reason=self.finish_reason,
            extra_json=_to_text(self.choice_extra),
        )


class AnswerJoiner:
    """Takes pieces in the order they came; at any time tells the answer so far."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def add(self, delta: gateway_pb2.Delta) -> None:
        """Adds a piece."""
        self._choices.setdefault(delta.choice_index, _Choice()).add(delta)

    def choices(self) -> list[chat_pb2.Choice]:
        """The answers as far as they came, by index."""
        return [choice.whole(index) for index, choice in sorted(self._choices.items())]


def pieces_of(choice: chat_pb2.Choice) -> list[gateway_pb2.Delta]:
    """A whole answer as the pieces of a stream, as when a cache serves a streaming caller.

    Parts that are no text are left out: a stream has no place for them.
    """
    message = choice.message
    content = message.content or "".join(part.text for part in message.parts)
    delta = gateway_pb2.Delta(
        choice_index=choice.index,
        content=content,
        refusal=message.refusal,
        extra_json=message.extra_json,
        choice_extra_json=choice.extra_json,
        tool_calls=[
            gateway_pb2.ToolCallDelta(
                index=at,
                id=call.id,
                name=call.name,
                arguments_json=call.arguments_json,
                extra_json=call.extra_json,
            )
            for at, call in enumerate(message.tool_calls)
        ],
    )
    end = gateway_pb2.Delta(choice_index=choice.index, finish_reason=choice.finish_reason)
    return [delta, end]


def _add_json(whole: dict[str, Any], text: str) -> None:
    if text:
        _add(whole, orjson.loads(text))


class _Text(list[str]):
    """A text under way: joined once at the end, for a sum of many pieces grows square."""


def _add(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        own = whole.get(name)
        if isinstance(value, str) and name not in _NAMES:
            if isinstance(own, _Text):
                own.append(value)
            else:
                whole[name] = _Text([value])
        elif isinstance(value, dict):
            inner = own if isinstance(own, dict) else {}
            _add(inner, value)
            whole[name] = inner
        elif isinstance(value, list) and isinstance(own, list) and not isinstance(own, _Text):
            own.extend(value)
        else:
            whole[name] = value


def _plain(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _to_text(value: dict[str, Any]) -> str:
    return orjson.dumps(_plain(value)).decode() if value else ""
