"""The HTTP edge on a socket: bounded connections, and no error page of the library's own."""

import asyncio
import logging
from typing import Any

import orjson
from aiohttp import web

from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits
from gateway.openai.errors import plain_error

_log = logging.getLogger("gateway.http")

HEADER_BYTES_MAX = 8 * 2**10
HEADERS_MAX = 64
STOP_SECONDS_MAX = 30.0
_BACKLOG = 512
# For the rest of a body that was answered before its end.
_LINGER_SECONDS = 1.0


class _Connections:
    """How many there are."""

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.count_max = count_max


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, but what it says itself has our shape and quotes nothing."""

    __slots__ = ("_counted", "_of_all")

    def __init__(self, of_all: _Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._of_all = of_all
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._of_all.count += 1
        self._counted = True
        if self._of_all.count > self._of_all.count_max:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._of_all.count -= 1
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Malformed HTTP, and what nobody caught."""
        if status >= 500:
            _log.error("http request failed", extra={"error_type": type(exc).__name__})
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("part of a response was sent")
        told = "the request is not HTTP as it should be" if status < 500 else "internal error"
        error = plain_error(status, told, code="bad_http" if status < 500 else None)
        response = web.Response(
            status=status, body=orjson.dumps(error.body), content_type="application/json"
        )
        response.force_close()
        return response


class HttpServer:
    """The edge while it listens."""

    def __init__(self, edge: Edge, limits: EdgeLimits) -> None:
        self._limits = limits
        self._runner = web.AppRunner(
            edge.application(),
            access_log=None,
            # A caller who hangs up cancels its request.
            handler_cancellation=True,
            shutdown_timeout=STOP_SECONDS_MAX,
        )
        self._connections = _Connections(limits.connections_max)
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self, listen: str) -> None:
        """Listens at `listen`, host:port; port 0 takes a free one. Raises: OSError."""
        host, _, port = listen.rpartition(":")
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, host.strip("[]") or None, int(port), backlog=_BACKLOG
        )
        taken = self._server.sockets[0].getsockname()[1]
        self.address = f"{host}:{taken}"

    async def stop(self) -> None:
        """Takes no more connections, lets requests under way end, closes."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _protocol(self) -> _Protocol:
        server = self._runner.server
        assert server is not None  # noqa: S101  # start() has set it up
        return _Protocol(
            self._connections,
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.idle_seconds_max,
            access_log=None,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            lingering_time=_LINGER_SECONDS,
            # A packed body is refused, so nothing need unpack it.
            auto_decompress=False,
        )
