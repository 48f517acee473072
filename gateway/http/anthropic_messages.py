"""Anthropic's Messages API at the HTTP door: answers, streams and the count of tokens.

Coding agents live here. They send flags and fields of Anthropic's that are newer than this; those
are taken and handed on (gateway/anthropic/parse.py).
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline
from chassis.errors import ErrorTable
from gateway.anthropic.parse import MessagesRequest, parse_messages
from gateway.anthropic.stream import MessageStream
from gateway.anthropic.wire import render_message
from gateway.door import Identity
from gateway.http.anthropic_words import REQUEST_ID_HEADER, AnthropicWords
from gateway.http.edge import error_of
from gateway.http.headers import add_options, summary_headers, traceparent
from gateway.http.intake import KEY_HEADER, Intake, Refusal, Route, json_response
from gateway.http.stream import send_stream

BETA_HEADER = "anthropic-beta"
BETAS_MAX = 64
_COUNT_SECONDS_MAX = 30.0
_BETA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


class AnthropicMessages:
    """gateway.http.intake.Part: Anthropic's JSON in and out, the fleet's messages to the door."""

    def __init__(self, intake: Intake, errors: ErrorTable, *, new_id: Callable[[], str]) -> None:
        """`new_id` names streams and errors, whose request has no name yet."""
        self._intake = intake
        self._errors = errors
        self._new_id = new_id
        self.words = AnthropicWords(new_id)

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (
            Route("POST", "/v1/messages", self._messages),
            Route("POST", "/v1/messages/count_tokens", self._count_tokens),
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity, asked = await self._read(request)
        add_options(request.headers, asked.options)
        if asked.stream:
            return await self._stream(request, asked, identity, deadline)
        wanted = gateway_pb2.CompleteRequest(
            model=asked.model, prompt=asked.prompt, options=asked.options
        )
        response = await self._intake.door.complete(
            wanted, identity, traceparent(request.headers), deadline
        )
        mode = asked.options.cache_mode
        headers = dict(summary_headers(response.summary, mode))
        headers[REQUEST_ID_HEADER] = f"req_{response.summary.request_id}"
        return json_response(200, render_message(response, mode, asked.stops), headers)

    async def _stream(
        self, request: web.Request, asked: MessagesRequest, identity: Identity, deadline: Deadline
    ) -> web.StreamResponse:
        wanted = gateway_pb2.StreamCompleteRequest(
            model=asked.model, prompt=asked.prompt, options=asked.options
        )
        mode = asked.options.cache_mode
        return await send_stream(
            request,
            self._intake.door.stream(wanted, identity, traceparent(request.headers), deadline),
            MessageStream(self._new_id(), asked.model, mode, asked.stops),
            error_of=lambda error: error_of(request, error, self._errors),
            write_seconds_max=self._intake.limits.write_seconds_max,
        )

    async def _count_tokens(self, request: web.Request) -> web.StreamResponse:
        identity, asked = await self._read(request)
        wanted = gateway_pb2.CompleteRequest(model=asked.model, prompt=asked.prompt)
        deadline = self._intake.deadline(request).sooner(_COUNT_SECONDS_MAX)
        count = await self._intake.door.count_tokens(wanted, identity, deadline)
        told = {
            "estimated": count.error_bound_permille > 0,
            "error_bound_permille": count.error_bound_permille,
        }
        return json_response(200, {"input_tokens": count.tokens, "spendgate": told})

    async def _read(self, request: web.Request) -> tuple[Identity, MessagesRequest]:
        identity = await self._intake.identify(request, KEY_HEADER)
        parse = partial(parse_messages, betas=_betas(request))
        return identity, await self._intake.read(request, parse)


def _betas(request: web.Request) -> list[str]:
    """The flags of the anthropic-beta headers. Raises: Refusal for what is none."""
    values = ",".join(request.headers.getall(BETA_HEADER, ()))
    betas = [beta.strip() for beta in values.split(",") if beta.strip()]
    if len(betas) > BETAS_MAX or not all(map(_BETA.fullmatch, betas)):
        raise Refusal(400, f"{BETA_HEADER} holds what is no flag", param=BETA_HEADER)
    return list(dict.fromkeys(betas))
