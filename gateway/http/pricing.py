"""Estimates and comparisons at the HTTP door. A body is that of a chat completion; to compare, it
has `models`, a list, in place of `model`."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web
from spendgate.gateway.v1 import compare_pb2, estimate_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.http.headers import add_options, traceparent
from gateway.http.intake import Intake, Route, json_response
from gateway.http.openai_words import LIMIT_NAME, OpenAIWords
from gateway.openai.errors import error_of
from gateway.openai.parse import ChatRequest, parse_chat
from gateway.openai.read import NotJson, invalid
from gateway.openai.wire import render_answer, usd


class Pricing:
    """gateway.http.intake.Part: what requests would cost, and what models make of the same one."""

    words = OpenAIWords()

    def __init__(self, intake: Intake, *, now: Callable[[], float]) -> None:
        """`now` is seconds since 1970."""
        self._intake = intake
        self._now = now

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (
            Route("POST", "/v1/estimate", self._estimate),
            Route("POST", "/v1/compare", self._compare),
        )

    async def _estimate(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity = await self._intake.identify(request)
        chat = await self._intake.read(request, parse_chat)
        request[LIMIT_NAME] = chat.limit_name
        add_options(request.headers, chat.options)
        wanted = estimate_pb2.EstimateRequest(
            model=chat.model, prompt=chat.prompt, options=chat.options
        )
        found = await self._intake.door.estimate(
            wanted, identity, traceparent(request.headers), deadline
        )
        return json_response(200, render_estimate(found))

    async def _compare(self, request: web.Request) -> web.StreamResponse:
        deadline = self._intake.deadline(request)
        identity = await self._intake.identify(request)
        models, chat = await self._intake.read(request, parse_comparison)
        request[LIMIT_NAME] = chat.limit_name
        add_options(request.headers, chat.options)
        wanted = compare_pb2.CompareRequest(models=models, prompt=chat.prompt, options=chat.options)
        found = await self._intake.door.compare(
            wanted, identity, traceparent(request.headers), deadline
        )
        body = render_comparison(found, chat.options.cache_mode, int(self._now()))
        return json_response(200, body)


def parse_comparison(body: bytes) -> tuple[list[str], ChatRequest]:
    """The models and the request that is the same for all. Raises: NotJson; InvalidFields."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    if not isinstance(value, dict):
        raise invalid("", "must be an object")
    models = value.pop("models", None)
    good = isinstance(models, list) and all(isinstance(each, str) and each for each in models)
    if not good or not models:
        raise invalid("models", "must be a list of model names")
    if "model" in value:
        raise invalid("model", "is not known here; the list is in models")
    if value.get("stream"):
        raise invalid("stream", "is not for comparisons")
    return models, parse_chat(orjson.dumps({**value, "model": models[0]}))


def render_estimate(found: estimate_pb2.EstimateResponse) -> dict[str, Any]:
    """An estimate as JSON; money in whole nano-USD and, for people, in USD."""
    body: dict[str, Any] = {
        "object": "estimate",
        "input_tokens": found.input_tokens,
        "input_exact": found.input_exact,
        "input_error_permille": found.input_error_permille,
        "route_explanation": found.route_explanation,
        "routed": _cost(found.routed),
        "cheapest": _cost(found.cheapest) if found.HasField("cheapest") else None,
    }
    return body


def render_comparison(
    found: compare_pb2.CompareResponse, cache_mode: gateway_pb2.CacheMode, created: int
) -> dict[str, Any]:
    """A comparison as JSON: each answer as a chat completion, each failure as its error."""
    results = []
    for each in found.results:
        result: dict[str, Any] = {"model": each.model}
        if each.HasField("error"):
            told = error_of(each.error)
            result |= {"status": told.status, **told.body}
        else:
            result["answer"] = render_answer(each.response, cache_mode, created)
        results.append(result)
    return {
        "object": "comparison",
        "results": results,
        "cost_nanos": found.cost_nanos,
        "cost_usd": usd(found.cost_nanos),
    }


def _cost(cost: estimate_pb2.EstimatedCost) -> dict[str, Any]:
    told: dict[str, Any] = {
        "model": cost.model,
        "provider": cost.provider,
        "price_version": cost.price_version,
        "output_tokens_max": cost.output_tokens_max,
    }
    for name in ("cost_min", "cost_max", "cached_cost_min", "cached_cost_max"):
        nanos = getattr(cost, f"{name}_nanos")
        told |= {f"{name}_nanos": nanos, f"{name}_usd": usd(nanos)}
    return told
