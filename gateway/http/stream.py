"""An answer under way, written as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import orjson
from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.errors import HttpError
from gateway.openai.wire import ChunkRenderer

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    # Proxies that collect a response before they hand it on would undo the stream.
    "X-Accel-Buffering": "no",
}
_DONE = b"data: [DONE]\n\n"

Events = AsyncIterator[gateway_pb2.StreamCompleteResponse]


class _SlowReader(Exception):
    """The caller does not take what is written to it."""


async def send_stream(
    request: web.Request,
    events: Events,
    chunks: ChunkRenderer,
    cache_mode: gateway_pb2.CacheMode,
    *,
    error_of: Callable[[Exception], HttpError],
    write_seconds_max: float,
) -> web.StreamResponse:
    """Writes `events` to the caller as they come.

    What fails before the first event is raised, for a response of its own; what fails after it
    ends the stream with an event that tells the error, and without [DONE]. A caller who goes
    away, or does not read, ends the events.
    """
    # The door gives a generator; closing it is what cancels the call.
    async with aclosing(cast(AsyncGenerator[Any, None], events)):
        first = await anext(events)
        response = web.StreamResponse(headers=_HEADERS)
        writer = _Writer(response, write_seconds_max)
        try:
            await response.prepare(request)
            await _write_all(writer, first, events, chunks, cache_mode)
        except (ConnectionError, _SlowReader):
            if request.transport is not None:
                request.transport.abort()
        except Exception as error:
            await _write_error(request, writer, error_of(error))
    return response


class _Writer:
    """Writes events, each within bounds."""

    def __init__(self, response: web.StreamResponse, seconds_max: float) -> None:
        self._response = response
        self._seconds_max = seconds_max

    async def event(self, data: Any) -> None:
        await self.raw(b"data: " + orjson.dumps(data) + b"\n\n")

    async def raw(self, content: bytes) -> None:
        try:
            async with asyncio.timeout(self._seconds_max):
                await self._response.write(content)
        except TimeoutError:
            raise _SlowReader from None

    async def end(self) -> None:
        await self._response.write_eof()


async def _write_all(
    writer: _Writer,
    first: gateway_pb2.StreamCompleteResponse,
    events: Events,
    chunks: ChunkRenderer,
    cache_mode: gateway_pb2.CacheMode,
) -> None:
    # The chunk that tells why the answer stopped waits for the summary it will carry.
    held: dict[str, Any] | None = None
    event: gateway_pb2.StreamCompleteResponse | None = first
    while event is not None:
        if event.WhichOneof("event") == "summary":
            for chunk in chunks.end(held, event.summary, cache_mode):
                await writer.event(chunk)
            await writer.raw(_DONE)
            break
        if held is not None:
            await writer.event(held)
            held = None
        chunk = chunks.piece(event.delta)
        if event.delta.finish_reason:
            held = chunk
        else:
            await writer.event(chunk)
        event = await anext(events, None)
    await writer.end()


async def _write_error(request: web.Request, writer: _Writer, error: HttpError) -> None:
    try:
        await writer.event(error.body)
        await writer.end()
    except (ConnectionError, _SlowReader):
        if request.transport is not None:
            request.transport.abort()
