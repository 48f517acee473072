"""OpenAI's chat completions and models at the HTTP door, and feedback on answers."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline
from chassis.errors import ErrorTable
from gateway.door import Identity
from gateway.http.edge import error_of
from gateway.http.feedback import read_feedback
from gateway.http.headers import add_options, summary_headers, traceparent
from gateway.http.intake import KEY_HEADER, Intake, Refusal, Route, json_response
from gateway.http.openai_words import LIMIT_NAME, OpenAIWords
from gateway.http.stream import send_stream
from gateway.openai.chunk_stream import ChunkStream
from gateway.openai.parse import ChatRequest, parse_chat
from gateway.openai.wire import ChunkRenderer, render_answer, render_model

_MODELS_SECONDS_MAX = 10.0


class OpenAIChat:
    """gateway.http.intake.Part: bytes in, the fleet's messages to the door, OpenAI's JSON out."""

    words = OpenAIWords()

    def __init__(
        self,
        intake: Intake,
        errors: ErrorTable,
        *,
        new_id: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        """`now` is seconds since 1970; `new_id` names streams, whose request has none yet."""
        self._intake = intake
        self._errors = errors
        self._new_id = new_id
        self._now = now

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (
            Route("POST", "/v1/chat/completions", self._chat),
            Route("POST", "/v1/feedback", self._feedback),
            Route("GET", "/v1/models", self._models),
            Route("GET", "/v1/models/{name:.+}", self._model),
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity = await self._intake.identify(request)
        chat = await self._intake.read(request, parse_chat)
        request[LIMIT_NAME] = chat.limit_name
        add_options(request.headers, chat.options)
        if chat.stream:
            return await self._stream(request, chat, identity, deadline)
        wanted = gateway_pb2.CompleteRequest(
            model=chat.model, prompt=chat.prompt, options=chat.options
        )
        response = await self._intake.door.complete(
            wanted, identity, traceparent(request.headers), deadline
        )
        mode = chat.options.cache_mode
        body = render_answer(response, mode, int(self._now()))
        return json_response(200, body, dict(summary_headers(response.summary, mode)))

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
            self._intake.door.stream(wanted, identity, traceparent(request.headers), deadline),
            ChunkStream(chunks, chat.options.cache_mode),
            error_of=lambda error: error_of(request, error, self._errors),
            write_seconds_max=self._intake.limits.write_seconds_max,
        )

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        told = read_feedback(await self._intake.body(request))
        answer = await self._intake.door.submit_feedback(told, identity)
        return json_response(200, {"removed": answer.removed})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        models = await self._list_models(request)
        data = [render_model(model) for model in models]
        ids = [model["id"] for model in data] or [None]
        # What SDKs of Anthropic's API look for stands beside what those of OpenAI's do.
        pages = {"has_more": False, "first_id": ids[0], "last_id": ids[-1]}
        return json_response(200, {"object": "list", "data": data, **pages})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        for model in await self._list_models(request):
            if name == model.model or name in model.aliases:
                return json_response(200, render_model(model))
        message = "no model of this name is configured; GET /v1/models lists those that are"
        raise Refusal(404, message, code="model_not_found", param="model")

    async def _list_models(self, request: web.Request) -> Any:
        await self._intake.identify(request, KEY_HEADER)
        return await self._intake.door.list_models(Deadline.after(_MODELS_SECONDS_MAX))
