"""The HTTP door: a part for each protocol, in front of the same application as gRPC.

Whatever goes wrong is told in the protocol's own shape, and never with the text of an exception.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from chassis.errors import ErrorTable
from gateway.http.intake import EdgeLimits, ErrorWords, Handler, Part, Refusal, json_response
from gateway.http.openai_words import OpenAIWords
from gateway.openai.errors import HttpError

# Set once a request's path is known to be a part's.
_WORDS: web.RequestKey[ErrorWords] = web.RequestKey("words", ErrorWords)
_FALLBACK: ErrorWords = OpenAIWords()


class Edge:
    """The parts of the HTTP door under one guard."""

    def __init__(
        self,
        parts: Sequence[Part],
        errors: ErrorTable,
        limits: EdgeLimits,
        *,
        ready: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._errors = errors
        self._limits = limits
        self._ready = ready

    def application(self) -> web.Application:
        """The routes, not yet on a socket."""
        app = web.Application(
            middlewares=[self._guard], client_max_size=self._limits.body_bytes_max
        )
        for part in self._parts:
            for route in part.routes():
                app.router.add_route(route.method, route.path, _told_by(part, route.handler))
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._is_ready)
        app.on_response_prepare.append(_sign)
        return app

    async def _alive(self, _: web.Request) -> web.StreamResponse:
        return json_response(200, {"status": "ok"})

    async def _is_ready(self, _: web.Request) -> web.StreamResponse:
        ready = self._ready()
        return json_response(200 if ready else 503, {"status": "ready" if ready else "not ready"})

    @property
    def _guard(self) -> Any:
        """The one place where what was raised becomes a response."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except Exception as error:
                if request.transport is None:
                    # Nobody is there to be told.
                    raise
                response = error_response(error_of(request, error, self._errors))
            if not response.prepared:
                await self._send(request, response)
            return response

        return guard

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        """Writes a whole response, within bounds that aiohttp would not set."""
        if not request.content.at_eof():
            # An answer before the end of the body: what is left of it is not waited for.
            response.force_close()
        try:
            async with asyncio.timeout(self._limits.write_seconds_max):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()


def error_of(request: web.Request, error: Exception, errors: ErrorTable) -> HttpError:
    """What was raised, in the words of the part that the request's path belongs to."""
    words: ErrorWords = request.get(_WORDS, _FALLBACK)
    if isinstance(error, Refusal):
        return words.plain(error.status, error.message, code=error.code, param=error.param)
    if isinstance(error, web.HTTPException):
        return _of_aiohttp(error, words)
    return words.of_status(errors.to_status(error), request)


def error_response(error: HttpError) -> web.Response:
    """The error as a response."""
    return json_response(error.status, error.body, error.headers)


def _told_by(part: Part, handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[_WORDS] = part.words
        return await handler(request)

    return handle


def _of_aiohttp(error: web.HTTPException, words: ErrorWords) -> HttpError:
    """What the router refuses: unknown paths and methods."""
    if error.status == 404:
        return words.plain(404, "no such path", code="unknown_url")
    if error.status == 405:
        allowed = error.headers.get("Allow", "")
        told = words.plain(405, "the path does not take this method", code="method_not_allowed")
        return HttpError(405, told.body, {"Allow": allowed})
    return words.plain(error.status, "the request cannot be taken", code="bad_request")


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    # Not the versions of what runs here.
    response.headers["Server"] = "spendgate"
