"""OpenAI's embeddings at the HTTP door."""

import asyncio
from collections.abc import Sequence

from aiohttp import web
from google.rpc import status_pb2

from gateway.http.headers import add_options, summary_headers, traceparent
from gateway.http.intake import Intake, Route, json_response
from gateway.http.openai_words import OpenAIWords
from gateway.openai.embeddings import parse_embeddings, render_embeddings
from gateway.openai.errors import HttpError

# Rendering so many numbers takes about a millisecond.
_NUMBERS_INLINE_MAX = 8_192


class EmbeddingsWords(OpenAIWords):
    """OpenAI's words; texts stand in `input`."""

    def of_status(self, status: status_pb2.Status, request: web.Request) -> HttpError:
        """A status of the fleet."""
        told = super().of_status(status, request)
        error = told.body["error"]
        param = error["param"] or ""
        if param.startswith(("inputs", "messages")):
            error["param"] = "input" + param.removeprefix("inputs").removeprefix("messages")
        elif param == "encoding":
            error["param"] = "encoding_format"
        return told


class OpenAIEmbeddings:
    """gateway.http.intake.Part."""

    words = EmbeddingsWords()

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (Route("POST", "/v1/embeddings", self._embed),)

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity = await self._intake.identify(request)
        wanted = await self._intake.read(request, parse_embeddings)
        add_options(request.headers, wanted.options)
        answer = await self._intake.door.embed(
            wanted, identity, traceparent(request.headers), deadline
        )
        mode = wanted.options.cache_mode
        headers = dict(summary_headers(answer.summary, mode))
        if sum(len(each.values) for each in answer.embeddings) > _NUMBERS_INLINE_MAX:
            return await asyncio.to_thread(
                lambda: json_response(200, render_embeddings(answer, mode), headers)
            )
        return json_response(200, render_embeddings(answer, mode), headers)
