"""A stream of OpenAI's chunks as server-sent events."""

from typing import Any

import orjson
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.errors import HttpError
from gateway.openai.wire import ChunkRenderer

_DONE = b"data: [DONE]\n\n"


class ChunkStream:
    """gateway.http.stream.StreamWords."""

    def __init__(self, chunks: ChunkRenderer, cache_mode: gateway_pb2.CacheMode) -> None:
        self._chunks = chunks
        self._cache_mode = cache_mode
        # The chunk that tells why the answer stopped waits for the summary it will carry.
        self._held: dict[str, Any] | None = None

    def piece(self, delta: gateway_pb2.Delta) -> bytes:
        """A piece of the answer."""
        before = b"" if self._held is None else _event(self._held)
        chunk = self._chunks.piece(delta)
        self._held = chunk if delta.finish_reason else None
        return before if delta.finish_reason else before + _event(chunk)

    def end(self, summary: gateway_pb2.Summary) -> bytes:
        """The end of a whole answer."""
        chunks = self._chunks.end(self._held, summary, self._cache_mode)
        return b"".join(map(_event, chunks)) + _DONE

    def error(self, error: HttpError) -> bytes:
        """An event that tells the error, and no [DONE]."""
        return _event(error.body)


def _event(data: Any) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
