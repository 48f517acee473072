"""The HTTP door: OpenAI's chat completions, in front of the same application as gRPC.

Bytes in, the fleet's messages to the door, OpenAI's JSON out. Whatever goes wrong is told as
JSON in OpenAI's shape, and never with the text of an exception.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline
from chassis.errors import ErrorTable
from gateway.door import Door, Identity
from gateway.http.feedback import read_feedback
from gateway.http.headers import add_options, only, summary_headers, traceparent
from gateway.http.stream import send_stream
from gateway.openai.errors import LIMIT_PARAM, HttpError, error_of, plain_error
from gateway.openai.parse import ChatRequest, NotJson, parse_chat
from gateway.openai.wire import ChunkRenderer, render_answer, render_model

# Above this a body is read beside the loop: it takes about a millisecond.
_OFF_LOOP_BYTES = 32 * 2**10
_MODELS_SECONDS_MAX = 10.0
_LIMIT_NAME = web.RequestKey("limit_name", str)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """Bounds of the HTTP edge."""

    # A request with its answer. The door may allow less.
    request_seconds_max: float = 600.0
    body_bytes_max: int = 4 * 2**20
    # For a caller to send its whole body.
    body_seconds_max: float = 30.0
    # For a caller to take what is written to it.
    write_seconds_max: float = 30.0
    # For a caller to send a whole head, and between two requests of a connection.
    idle_seconds_max: float = 75.0
    connections_max: int = 4_096


class _Refusal(Exception):
    """A request that the wire itself refuses."""

    def __init__(self, error: HttpError) -> None:
        super().__init__(str(error.status))
        self.error = error


class Edge:
    """The handlers of the HTTP door."""

    def __init__(
        self,
        door: Door,
        errors: ErrorTable,
        limits: EdgeLimits,
        *,
        ready: Callable[[], bool],
        new_id: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        """`now` is seconds since 1970; `new_id` names streams, whose request has none yet."""
        self._door = door
        self._errors = errors
        self._limits = limits
        self._ready = ready
        self._new_id = new_id
        self._now = now

    def application(self) -> web.Application:
        """The routes, not yet on a socket."""
        app = web.Application(
            middlewares=[self._guard], client_max_size=self._limits.body_bytes_max
        )
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/feedback", self._feedback)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._model)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._is_ready)
        app.on_response_prepare.append(_sign)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        deadline = Deadline.after(self._limits.request_seconds_max)
        identity = await self._identify(request)
        chat = await self._read(request)
        request[_LIMIT_NAME] = chat.limit_name
        add_options(request.headers, chat.options)
        if chat.stream:
            return await self._stream(request, chat, identity, deadline)
        wanted = gateway_pb2.CompleteRequest(
            model=chat.model, prompt=chat.prompt, options=chat.options
        )
        response = await self._door.complete(
            wanted, identity, traceparent(request.headers), deadline
        )
        mode = chat.options.cache_mode
        body = render_answer(response, mode, int(self._now()))
        return _json(200, body, dict(summary_headers(response.summary, mode)))

    async def _stream(
        self, request: web.Request, chat: ChatRequest, identity: Identity, deadline: Deadline
    ) -> web.StreamResponse:
        wanted = gateway_pb2.StreamCompleteRequest(
            model=chat.model, prompt=chat.prompt, options=chat.options
        )
        chunks = ChunkRenderer(
            self._new_id(), chat.model, int(self._now()), include_usage=chat.include_usage
        )
        return await send_stream(
            request,
            self._door.stream(wanted, identity, traceparent(request.headers), deadline),
            chunks,
            chat.options.cache_mode,
            error_of=lambda error: self._error_of(request, error),
            write_seconds_max=self._limits.write_seconds_max,
        )

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        identity = await self._identify(request)
        told = await self._door.submit_feedback(read_feedback(await self._body(request)), identity)
        return _json(200, {"removed": told.removed})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        models = await self._list_models(request)
        return _json(200, {"object": "list", "data": [render_model(model) for model in models]})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        for model in await self._list_models(request):
            if name == model.model or name in model.aliases:
                return _json(200, render_model(model))
        message = "no model of this name is configured; GET /v1/models lists those that are"
        raise _Refusal(plain_error(404, message, code="model_not_found", param="model"))

    async def _list_models(self, request: web.Request) -> Any:
        await self._identify(request)
        return await self._door.list_models(Deadline.after(_MODELS_SECONDS_MAX))

    async def _alive(self, _: web.Request) -> web.StreamResponse:
        return _json(200, {"status": "ok"})

    async def _is_ready(self, _: web.Request) -> web.StreamResponse:
        ready = self._ready()
        return _json(200 if ready else 503, {"status": "ready" if ready else "not ready"})

    async def _identify(self, request: web.Request) -> Identity:
        return await self._door.authenticate(only(request.headers, "authorization") or None)

    async def _read(self, request: web.Request) -> ChatRequest:
        """The request in the body, which is only read once its sender is known."""
        body = await self._body(request)
        try:
            if len(body) > _OFF_LOOP_BYTES:
                return await asyncio.to_thread(parse_chat, body)
            return parse_chat(body)
        except NotJson:
            raise _Refusal(
                plain_error(400, "the body is not JSON in UTF-8", code="bad_json")
            ) from None

    async def _body(self, request: web.Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Refusal(plain_error(415, "the body must not be packed", code="packed_body"))
        bytes_max = self._limits.body_bytes_max
        try:
            if (request.content_length or 0) > bytes_max:
                raise web.HTTPRequestEntityTooLarge(bytes_max)
            async with asyncio.timeout(self._limits.body_seconds_max):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"the body takes at most {bytes_max} bytes"
            raise _Refusal(plain_error(413, message, code="request_too_large")) from None
        except TimeoutError:
            message = f"the body did not arrive within {self._limits.body_seconds_max:g} s"
            raise _Refusal(plain_error(408, message, code="body_timeout")) from None
        except web.PayloadAccessError:
            raise _Refusal(plain_error(400, "the body broke off", code="body_cut")) from None

    @property
    def _guard(self) -> Any:
        """The one place where what was raised becomes a response."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except _Refusal as refusal:
                response = error_response(refusal.error)
            except web.HTTPException as error:
                response = error_response(_of_aiohttp(error))
            except Exception as error:
                if request.transport is None:
                    # Nobody is there to be told.
                    raise
                response = error_response(self._error_of(request, error))
            if not response.prepared:
                await self._send(request, response)
            return response

        return guard

    def _error_of(self, request: web.Request, error: Exception) -> HttpError:
        limit_name = request.get(_LIMIT_NAME, LIMIT_PARAM)
        return error_of(self._errors.to_status(error), limit_name)

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


def error_response(error: HttpError) -> web.Response:
    """The error as a response."""
    return _json(error.status, error.body, error.headers)


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        headers=headers,
        content_type="application/json",
    )


def _of_aiohttp(error: web.HTTPException) -> HttpError:
    """What the router refuses: unknown paths and methods."""
    if error.status == 404:
        return plain_error(404, "no such path", code="unknown_url")
    if error.status == 405:
        allowed = error.headers.get("Allow", "")
        told = plain_error(405, "the path does not take this method", code="method_not_allowed")
        return HttpError(405, told.body, {"Allow": allowed})
    return plain_error(error.status, "the request cannot be taken", code="bad_request")


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    # Not the versions of what runs here.
    response.headers["Server"] = "spendgate"
