"""An answer under way, written as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol, cast

from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.errors import HttpError

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    # Proxies that collect a response before they hand it on would undo the stream.
    "X-Accel-Buffering": "no",
}

Events = AsyncIterator[gateway_pb2.StreamCompleteResponse]


class StreamWords(Protocol):
    """How a protocol tells a stream. Each method gives whole server-sent events, b"" for none."""

    def piece(self, delta: gateway_pb2.Delta) -> bytes:
        """A piece of the answer."""
        ...

    def end(self, summary: gateway_pb2.Summary) -> bytes:
        """The end of a whole answer."""
        ...

    def error(self, error: HttpError) -> bytes:
        """The end of an answer that broke off."""
        ...


class _SlowReader(Exception):
    """The caller does not take what is written to it."""


async def send_stream(
    request: web.Request,
    events: Events,
    words: StreamWords,
    *,
    error_of: Callable[[Exception], HttpError],
    write_seconds_max: float,
) -> web.StreamResponse:
    """Writes `events` to the caller as they come.

    What fails before the first event is raised, for a response of its own; what fails after it
    ends the stream with the protocol's word for it. A caller who goes away, or does not read,
    ends the events.
    """
    # The door gives a generator; closing it is what cancels the call.
    async with aclosing(cast(AsyncGenerator[Any, None], events)):
        first = await anext(events)
        response = web.StreamResponse(headers=_HEADERS)
        writer = _Writer(response, write_seconds_max)
        try:
            await response.prepare(request)
            await _write_all(writer, first, events, words)
        except (ConnectionError, _SlowReader):
            if request.transport is not None:
                request.transport.abort()
        except Exception as error:
            await _write_error(request, writer, words.error(error_of(error)))
    return response


class _Writer:
    """Writes, each time within bounds."""

    def __init__(self, response: web.StreamResponse, seconds_max: float) -> None:
        self._response = response
        self._seconds_max = seconds_max

    async def write(self, content: bytes) -> None:
        if not content:
            return
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
    words: StreamWords,
) -> None:
    event: gateway_pb2.StreamCompleteResponse | None = first
    while event is not None:
        if event.WhichOneof("event") == "summary":
            await writer.write(words.end(event.summary))
            break
        await writer.write(words.piece(event.delta))
        event = await anext(events, None)
    await writer.end()


async def _write_error(request: web.Request, writer: _Writer, content: bytes) -> None:
    try:
        await writer.write(content)
        await writer.end()
    except (ConnectionError, _SlowReader):
        if request.transport is not None:
            request.transport.abort()
