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
from catalog.schema import is_automatic
from chassis import names
from chassis.batch import Live, answer_batch
from services.router.check import check_proposal, check_tenant, page_of, page_token
from services.router.convert import to_model
from services.router.errors import TABLE
from services.router.explained import explain, proposals, summarize
from services.router.mind import Mind
from services.router.report import report
from services.router.route import route

# Weighing one model takes about 12 us. What takes over a millisecond leaves the loop.
WEIGHED_INLINE_MAX = 80

_routes = metrics.get_meter("spendgate").create_counter(
    "spendgate.router.routes", unit="{request}", description="Requests routed, by outcome."
)


class RouterServicer(rpc.RouterServiceServicer):
    """Converts and calls. `now` tells the time (aware)."""

    def __init__(self, fleet: Fleet, mind: Mind, now: Callable[[], datetime]) -> None:
        self._fleet = fleet
        self._mind = mind
        self._now = now
        self._learning: asyncio.Task[int] | None = None

    def take_over(self, fleet: Fleet, mind: Mind) -> None:
        """Requests from now on are routed by these."""
        self._fleet, self._mind = fleet, mind

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

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:
        """Says what weighed in a decision."""
        return await asyncio.to_thread(explain, self._fleet, self._mind, request.item, self._now())

    async def ReportOutcome(
        self, request: pb.ReportOutcomeRequest, context: Any
    ) -> pb.ReportOutcomeResponse:
        """Takes how answers turned out."""
        answers = await answer_batch(
            request.items, span_name="router.report_outcome", errors=TABLE, handle=self._report
        )
        response = pb.ReportOutcomeResponse()
        for answer in answers:
            if isinstance(answer, status_pb2.Status):
                response.results.add(error=answer)
            else:
                response.results.add(taken=answer)
        return response

    async def Summary(self, request: pb.SummaryRequest, context: Any) -> pb.SummaryResponse:
        """Sums up what routing saved a tenant."""
        check_tenant(request.tenant)
        return await asyncio.to_thread(
            summarize, self._fleet, self._mind, request.tenant, self._now()
        )

    async def ListProposals(
        self, request: pb.ListProposalsRequest, context: Any
    ) -> pb.ListProposalsResponse:
        """Says what would serve a tenant better."""
        check_tenant(request.tenant)
        return await asyncio.to_thread(proposals, self._mind, request.tenant)

    async def ApplyProposal(
        self, request: pb.ApplyProposalRequest, context: Any
    ) -> pb.ApplyProposalResponse:
        """Lets a proposal hold."""
        check_tenant(request.tenant)
        check_proposal(request.proposal_id)
        applied = await asyncio.to_thread(
            self._mind.apply, request.tenant, request.proposal_id, self._now()
        )
        return pb.ApplyProposalResponse(
            policy_version=applied.version, quality_percent_min=applied.quality_percent_min
        )

    async def close(self) -> None:
        """Ends what runs in the background and writes what waits."""
        if self._learning is not None:
            await asyncio.gather(self._learning, return_exceptions=True)
        await asyncio.to_thread(self._mind.flush)

    async def _route(self, lives: list[Live[pb.RouteItem]]) -> Sequence[pb.Decision | Exception]:
        items = [live.item for live in lives]
        configured = len(self._fleet.models.all())
        weighed = sum(configured if is_automatic(item.model) else 1 for item in items)
        now = self._now()
        if weighed > WEIGHED_INLINE_MAX or any(item.text for item in items):
            outcomes = await asyncio.to_thread(route, self._fleet, self._mind, items, now)
        else:
            outcomes = route(self._fleet, self._mind, items, now)
        for live, outcome in zip(lives, outcomes, strict=True):
            _note(live.span, outcome)
        return outcomes

    async def _report(self, lives: list[Live[pb.Outcome]]) -> Sequence[pb.OutcomeTaken | Exception]:
        items = [live.item for live in lives]
        answers = await asyncio.to_thread(report, self._fleet, self._mind, items, self._now())
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(asyncio.to_thread(self._mind.learn, self._now()))
        return answers


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
