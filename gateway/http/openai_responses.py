"""OpenAI's Responses API at the HTTP door. No response and no conversation is kept."""

from collections.abc import Callable, Sequence

from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline
from chassis.errors import ErrorTable
from gateway.door import Identity
from gateway.http.edge import error_of
from gateway.http.headers import add_options, summary_headers, traceparent
from gateway.http.intake import Intake, Refusal, Route, json_response
from gateway.http.openai_words import LIMIT_NAME, ResponsesWords
from gateway.http.stream import send_stream
from gateway.openai.responses_parse import ResponsesRequest, parse_responses
from gateway.openai.responses_stream import ResponseEvents
from gateway.openai.responses_wire import render_response


class OpenAIResponses:
    """gateway.http.intake.Part."""

    words = ResponsesWords()

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
            Route("POST", "/v1/responses", self._respond),
            Route("GET", "/v1/responses/{id:.+}", self._not_kept),
            Route("DELETE", "/v1/responses/{id:.+}", self._not_kept),
            Route("POST", "/v1/responses/{id:.+}", self._not_kept),
        )

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity = await self._intake.identify(request)
        request[LIMIT_NAME] = "max_output_tokens"
        wanted = await self._intake.read(request, parse_responses)
        add_options(request.headers, wanted.options)
        if wanted.stream:
            return await self._stream(request, wanted, identity, deadline)
        answer = await self._intake.door.complete(
            gateway_pb2.CompleteRequest(
                model=wanted.model, prompt=wanted.prompt, options=wanted.options
            ),
            identity,
            traceparent(request.headers),
            deadline,
        )
        mode = wanted.options.cache_mode
        body = render_response(answer, wanted.echo, mode, int(self._now()))
        return json_response(200, body, dict(summary_headers(answer.summary, mode)))

    async def _stream(
        self, request: web.Request, wanted: ResponsesRequest, identity: Identity, deadline: Deadline
    ) -> web.StreamResponse:
        asked = gateway_pb2.StreamCompleteRequest(
            model=wanted.model, prompt=wanted.prompt, options=wanted.options
        )
        words = ResponseEvents(
            self._new_id(),
            wanted.model,
            int(self._now()),
            wanted.echo,
            wanted.options.cache_mode,
        )
        return await send_stream(
            request,
            self._intake.door.stream(asked, identity, traceparent(request.headers), deadline),
            words,
            error_of=lambda error: error_of(request, error, self._errors),
            write_seconds_max=self._intake.limits.write_seconds_max,
        )

    async def _not_kept(self, request: web.Request) -> web.StreamResponse:
        await self._intake.identify(request)
        message = "responses are not kept here: there is none to get, change or delete"
        raise Refusal(404, message, code="response_not_found")
