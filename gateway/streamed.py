"""A streamed answer put together again: for the books, the cache and the count."""

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb


class Streamed:
    """The pieces so far, by choice."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._calls: dict[int, dict[int, chat_pb2.ToolCall]] = {}
        self._finish: dict[int, chat_pb2.FinishReason] = {}
        self.empty = True

    def add(self, delta: pb.Delta) -> None:
        """Takes one piece in."""
        self.empty = False
        place = delta.choice_index
        texts = self._texts.setdefault(place, [])
        if delta.content:
            texts.append(delta.content)
        for piece in delta.tool_calls:
            call = self._calls.setdefault(place, {}).setdefault(piece.index, chat_pb2.ToolCall())
            call.id = call.id or piece.id
            call.name = call.name or piece.name
            call.arguments_json += piece.arguments_json
        if delta.finish_reason:
            self._finish[place] = delta.finish_reason

    def choices(self) -> list[chat_pb2.Choice]:
        """The answer as if it had come in one piece."""
        whole = []
        for place, texts in sorted(self._texts.items()):
            calls = self._calls.get(place, {})
            message = chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                content="".join(texts),
                tool_calls=[calls[index] for index in sorted(calls)],
            )
            finish = self._finish.get(place, chat_pb2.FINISH_REASON_UNSPECIFIED)
            whole.append(chat_pb2.Choice(index=place, message=message, finish_reason=finish))
        return whole
