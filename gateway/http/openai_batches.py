"""OpenAI's batches at the HTTP door."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web
from spendgate.gateway.v1 import batch_pb2 as batch_pb
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from gateway.batches.office import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Office, Wish
from gateway.batches.words import ENDPOINT
from gateway.http.headers import add_options, only, traceparent
from gateway.http.intake import Intake, Route, json_response
from gateway.http.openai_files import listed, page_size
from gateway.http.openai_words import OpenAIWords
from gateway.openai.read import Fields, NotJson, invalid
from gateway.openai.wire import usd

_WINDOW = re.compile(r"([1-9][0-9]{0,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_STATE = "BATCH_STATE_"
# The field that says when a job came to its end, by how it ended.
_END_FIELDS = {
    batch_pb.BATCH_STATE_COMPLETED: "completed_at",
    batch_pb.BATCH_STATE_FAILED: "failed_at",
    batch_pb.BATCH_STATE_EXPIRED: "expired_at",
    batch_pb.BATCH_STATE_CANCELLED: "cancelled_at",
}


class OpenAIBatches:
    """gateway.http.intake.Part."""

    words = OpenAIWords()

    def __init__(self, intake: Intake, office: Office) -> None:
        self._intake = intake
        self._office = office

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (
            Route("POST", "/v1/batches", self._create),
            Route("GET", "/v1/batches", self._list),
            Route("GET", "/v1/batches/{name}", self._get),
            Route("POST", "/v1/batches/{name}/cancel", self._cancel),
        )

    async def _create(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        wish = await self._intake.read(request, read_wish)
        wish = replace(wish, request_id=only(request.headers, "idempotency-key"))
        add_options(request.headers, wish.options)
        made = await self._office.submit(wish, identity, traceparent(request.headers))
        return json_response(200, render_batch(made))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        count = page_size(request, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = request.query.get("after", "")
        found, more = await self._office.page(identity, after, count)
        return json_response(200, listed([render_batch(each) for each in found], has_more=more))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        found = await self._office.get(identity, request.match_info["name"])
        return json_response(200, render_batch(found))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        found = await self._office.cancel(identity, request.match_info["name"])
        return json_response(200, render_batch(found))


def read_wish(body: bytes) -> Wish:
    """The request in `body`. Raises: NotJson, InvalidFields."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    fields = Fields(value, "")
    file_id = fields.required_text("input_file_id")
    if fields.required_text("endpoint") != ENDPOINT:
        raise invalid("endpoint", f'must be "{ENDPOINT}"')
    window = _WINDOW.fullmatch(fields.required_text("completion_window"))
    if window is None:
        raise invalid("completion_window", 'must be a time such as "24h" or "90m"')
    metadata = fields.take("metadata") or {}
    if not isinstance(metadata, dict) or not all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    ):
        raise invalid("metadata", "must be an object of texts")
    if unknown := fields.rest():
        raise invalid(sorted(unknown)[0], "is not known here")
    seconds = int(window[1]) * _SECONDS[window[2]]
    return Wish(file_id, gateway_pb.RequestOptions(), metadata, seconds)


def render_batch(batch: batch_pb.Batch) -> dict[str, Any]:
    """A job as OpenAI's API has it, what it cost and saved beside."""
    state = batch_pb.BatchState.Name(batch.state).removeprefix(_STATE).lower()
    told: dict[str, Any] = {
        "id": batch.batch_id,
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": _errors(batch) if batch.errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": _window(batch.expire_time.seconds - batch.create_time.seconds),
        "status": state,
        "output_file_id": batch.output_file_id or None,
        "error_file_id": batch.error_file_id or None,
        "created_at": batch.create_time.seconds,
        "expires_at": batch.expire_time.seconds,
        "request_counts": {
            "total": batch.progress.total,
            "completed": batch.progress.completed,
            "failed": batch.progress.failed,
        },
        "metadata": dict(batch.metadata),
        "spendgate": _beside(batch),
    }
    told.update(dict.fromkeys(_END_FIELDS.values()))
    if batch.state in _END_FIELDS:
        told[_END_FIELDS[batch.state]] = batch.end_time.seconds
    return told


def _errors(batch: batch_pb.Batch) -> dict[str, Any]:
    data = [
        {
            "code": error.code,
            "line": error.line or None,
            "message": error.message,
            "param": error.param or None,
        }
        for error in batch.errors
    ]
    return {"object": "list", "data": data}


def _beside(batch: batch_pb.Batch) -> Mapping[str, Any]:
    money, progress = batch.money, batch.progress
    saved = {
        "cache": money.saved_by_cache_nanos,
        "duplicates": money.saved_by_duplicates_nanos,
        "batch_price": money.saved_by_batch_price_nanos,
        "otherwise": money.saved_otherwise_nanos,
    }
    return {
        "trace_id": batch.trace_id,
        "cost_usd": usd(money.cost_nanos),
        "cost_nanos": money.cost_nanos,
        "held_nanos": money.held_nanos,
        "saved_nanos": sum(saved.values()),
        "savings": saved,
        "from": {
            "cache": progress.from_cache,
            "duplicates": progress.duplicates,
            "endpoint": progress.by_endpoint,
            "calls": progress.by_calls,
        },
        "error_count": batch.error_count,
        "booking_parked_count": money.booking_parked_count,
    }


def _window(seconds: int) -> str:
    for unit, size in (("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
