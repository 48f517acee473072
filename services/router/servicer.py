"""RouterService: proto in, call, proto out."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from google.rpc import status_pb2
from opentelemetry import metrics
from opentelemetry.trace import Span
from spendgate.router.v1 import router_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2_grpc as rpc

from catalog.fleet import Fleet
from catalog.prices import Unpriced
from catalog.schema import AUTO
from chassis import names
from chassis.batch import Live, answer_batch
from services.router.check import check_item, page_of, page_token
from services.router.choose import choose
from services.router.convert import to_decision, to_model, want_of
from services.router.errors import TABLE

# Weighing one model takes about 12 us. What takes over a millisecond leaves the loop.
WEIGHED_INLINE_MAX = 80

_routes = metrics.get_meter("spendgate").create_counter(
    "spendgate.router.routes", unit="{request}", description="Requests routed, by outcome."
)


class RouterServicer(rpc.RouterServiceServicer):
    """Converts and calls. `now` tells the time (aware)."""

    def __init__(self, fleet: Fleet, now: Callable[[], datetime]) -> None:
        self._fleet = fleet
        self._now = now

    async def Route(self, request: pb.RouteRequest, context: Any) -> pb.RouteResponse:
        """Chooses models."""
        answers = await answer_batch(
            request.items, span_name="router.route", errors=TABLE, handle=self._route
        )
        response = pb.RouteResponse()
        for answer in answers:
            if isinstance(answer, status_pb2.Status):
                response.results.add(error=answer)
            else:
                response.results.add(decision=answer)
        return response

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Any
    ) -> pb.ListModelsResponse:
        """Lists the configured models, by name."""
        size, after = page_of(request)
        rest = (card for card in self._fleet.models.all() if card.name > after)
        page = list(islice(rest, size + 1))
        now = self._now()
        response = pb.ListModelsResponse()
        for card in page[:size]:
            try:
                price = self._fleet.book.price(card.name, now)
            except Unpriced:
                price = None
            response.models.append(to_model(card, price))
        if len(page) > size:
            response.next_page_token = page_token(page[size - 1].name)
        return response

    async def _route(self, lives: list[Live[pb.RouteItem]]) -> Sequence[pb.Decision | Exception]:
        items = [live.item for live in lives]
        configured = len(self._fleet.models.all())
        if sum(configured if item.model == AUTO else 1 for item in items) > WEIGHED_INLINE_MAX:
            outcomes = await asyncio.to_thread(self._choose_all, items)
        else:
            outcomes = self._choose_all(items)
        for live, outcome in zip(lives, outcomes, strict=True):
            _note(live.span, outcome)
        return outcomes

    def _choose_all(self, items: Sequence[pb.RouteItem]) -> list[pb.Decision | Exception]:
        now = self._now()
        outcomes: list[pb.Decision | Exception] = []
        for item in items:
            try:
                check_item(item)
                outcomes.append(to_decision(choose(self._fleet, want_of(item), now)))
            except Exception as error:
                outcomes.append(error)
        return outcomes


def _note(span: Span, outcome: pb.Decision | Exception) -> None:
    """What the trace and the metrics are told of an outcome."""
    if isinstance(outcome, Exception):
        _routes.add(1, {names.ROUTE_REASON: type(outcome).__name__})
        return
    reason = pb.RouteReason.Name(outcome.reason).removeprefix("ROUTE_REASON_")
    _routes.add(1, {names.ROUTE_REASON: reason})
    if not span.is_recording():
        return
    chosen = outcome.chosen
    span.set_attribute(names.ROUTE_REASON, reason)
    span.set_attribute(names.GEN_AI_REQUEST_MODEL, chosen.model)
    if chosen.HasField("worst_case_nanos"):
        span.set_attribute(names.ROUTE_EXPECTED_NANO_USD, chosen.expected_cost_nanos)
        span.set_attribute(names.ROUTE_WORST_CASE_NANO_USD, chosen.worst_case_nanos)
        span.set_attribute(names.PRICE_VERSION, chosen.price_version)
