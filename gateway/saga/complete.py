"""The saga: one request from the door to the books (ARCHITECTURE.md follows it step by step)."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from opentelemetry.trace import INVALID_SPAN
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from catalog.schema import is_automatic
from chassis import names
from chassis.calls import trace_current_call
from chassis.deadline import Deadline
from chassis.errors import RemoteError, StatusError
from chassis.invariant import InvariantBroken
from chassis.telemetry import Telemetry, mark_failed
from gateway.auth import Keys
from gateway.door import Identity, TokenCount
from gateway.errors import (
    AdminRequired,
    ModelNotAllowed,
    Overloaded,
    ProviderFailed,
    ServiceUnavailable,
)
from gateway.limits.limits import Limits
from gateway.ports import Services
from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderEnd
from gateway.saga import tally
from gateway.saga.answers import Answer, Answers
from gateway.saga.ask import Ask, edge_traceparent, open_ask
from gateway.saga.books import Books
from gateway.saga.cached import Cached, place_of
from gateway.saga.calling import Caller
from gateway.saga.counted import counted_as
from gateway.saga.embedding import Embedder, stand_in
from gateway.saga.hit_shadow import HitShadow
from gateway.saga.hold import OwnedHold
from gateway.saga.meter import Meter
from gateway.saga.plan import Plans
from gateway.saga.shadow import Shadows
from gateway.saga.single_flight import SingleFlight
from gateway.saga.steps import Steps
from gateway.saga.summaries import Summaries
from gateway.saga.summary import Outcome, note_on_span, summary_of
from gateway.settings import GatewaySettings
from gateway.validate import check_request
from gateway.validate_embed import check_embed, check_task

EMBEDDINGS = "embeddings"


@dataclass(frozen=True)
class Parts:
    """What the saga is made of."""

    settings: GatewaySettings
    fleet: Fleet
    services: Services
    books: Books
    keys: Keys
    steps: Steps
    caller: Caller
    answers: Answers
    cached: Cached
    hit_shadow: HitShadow
    embedder: Embedder
    limits: Limits
    plans: Plans
    shadows: Shadows
    telemetry: Telemetry
    new_id: Callable[[], str]


class Completer:
    """gateway.door.Door: what both edges call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._under_way = 0
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._summaries = Summaries(parts.services, self._on_behalf)

    @property
    def under_way(self) -> int:
        """Requests that were let in and have not ended."""
        return self._under_way

    async def authenticate(self, authorization: str | None) -> Identity:
        """The caller behind an `authorization` header."""
        return await self._parts.keys.identify(authorization)

    async def list_models(self, deadline: Deadline) -> Sequence[router_pb.Model]:
        """Every configured model, by name."""
        return await self._parts.services.list_models(deadline, INVALID_SPAN)

    async def complete(
        self,
        request: pb.CompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> pb.CompleteResponse:
        """Answers a prompt."""
        with self._admitted(request, identity, traceparent, deadline) as ask:
            async with self._parts.limits.at_door(ask):
                answer = await self._answer(ask)
            _tell(ask, answer.outcome)
            return pb.CompleteResponse(
                choices=answer.choices, summary=summary_of(ask, answer.outcome)
            )

    async def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """Answers piece by piece, the summary last."""
        with self._admitted(request, identity, traceparent, deadline) as ask:
            async with self._parts.limits.at_door(ask), aclosing(self._stream(ask)) as events:
                async for event in events:
                    yield event

    async def _stream(self, ask: Ask) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        await self._parts.steps.prepare_and_look_up(ask)
        hit = await self._parts.answers.from_cache(ask)
        if hit is None:
            async with aclosing(self._stream_from_provider(ask)) as events:
                async for event in events:
                    yield event
            return
        self._parts.hit_shadow.consider(ask, hit, self._from_provider)
        _tell(ask, hit.outcome)
        for delta in hit.deltas():
            yield pb.StreamCompleteResponse(delta=delta)
        yield pb.StreamCompleteResponse(summary=summary_of(ask, hit.outcome))

    async def embed(
        self, request: pb.EmbedRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.EmbedResponse:
        """Makes vectors of texts."""
        check_embed(request, self._parts.settings.prompt_bytes_max)
        admitted = self._admitted(
            stand_in(request), identity, traceparent, deadline, operation=EMBEDDINGS
        )
        with admitted as ask:
            ask.counted_as = counted_as(self._parts.fleet, ask.model)
            async with self._parts.limits.at_door(ask):
                response, outcome = await self._parts.embedder.run(ask, request)
            _tell(ask, outcome)
            return response

    async def count_tokens(
        self, request: pb.CompleteRequest, identity: Identity, deadline: Deadline
    ) -> TokenCount:
        """What a model would be asked to read."""
        check_request(request, self._parts.settings.prompt_bytes_max)
        self._check_allowed(identity, request.model)
        return await self._parts.steps.count_tokens(request, deadline)

    async def submit_feedback(
        self, request: pb.SubmitFeedbackRequest, identity: Identity
    ) -> pb.SubmitFeedbackResponse:
        """Takes a caller's word on an answer in."""
        if identity.viewer:
            raise AdminRequired
        return await self._parts.cached.submit_feedback(request, identity)

    async def _answer(self, ask: Ask) -> Answer:
        await self._parts.steps.prepare_and_look_up(ask)
        hit = await self._parts.answers.from_cache(ask)
        if hit is not None:
            self._parts.hit_shadow.consider(ask, hit, self._from_provider)
            return hit
        if not ask.finding.key or ask.cache_mode == pb.CACHE_MODE_REFRESH:
            return await self._from_provider(ask)
        answer, led = await self._flights.join(
            place_of(ask, ask.finding), lambda: self._lead(ask), ask.deadline
        )
        return answer if led else await self._parts.answers.shared(ask, answer)

    async def _lead(self, ask: Ask) -> Answer:
        """For this process; and for the others too, unless one of them leads already."""
        async with self._parts.cached.leading(ask):
            hit = await self._parts.answers.from_cache(ask)
            return hit if hit is not None else await self._from_provider(ask)

    async def _on_behalf(self, ask: Ask, request: pb.CompleteRequest) -> Answer:
        """Answers a request that another one needs, in its name and within its time."""
        who = ask.attribution
        identity = Identity(who.tenant, who.key_id, who.project, who.user, who.feature)
        try:
            with self._admitted(request, identity, ask.traceparent, ask.deadline) as inner:
                answer = await self._answer(inner)
                _tell(inner, answer.outcome)
                return answer
        finally:
            trace_current_call(ask.span)

    async def _from_provider(self, ask: Ask) -> Answer:
        await self._summaries.write(ask)
        await self._parts.steps.route(ask)
        parts = self._parts
        async with (
            parts.limits.at_model(ask),
            parts.steps.hold(ask) as hold,
            parts.plans.early(ask, hold) as early,
        ):
            taken = early.taken
            if taken is None:
                try:
                    attempt, given = await parts.caller.complete(ask, hold)
                except ProviderFailed:
                    if early.standby is None:
                        raise
                    taken = early.standby
                else:
                    taken = await parts.answers.book(ask, hold, attempt, given)
            answer = await parts.answers.conclude(ask, hold, taken)
            self._learn(ask, answer)
            return answer

    async def _stream_from_provider(
        self, ask: Ask
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """A plan's cheap answers are waited for whole: nothing can be streamed before its check.
        What stands goes out at once, the strong model's answer as it comes."""
        parts = self._parts
        await self._summaries.write(ask)
        await parts.steps.route(ask)
        async with (
            parts.limits.at_model(ask),
            parts.steps.hold(ask) as hold,
            parts.plans.early(ask, hold) as early,
        ):
            if early.taken is not None:
                answer = await parts.answers.conclude(ask, hold, early.taken)
                self._learn(ask, answer)
                _tell(ask, answer.outcome)
                for delta in answer.deltas():
                    yield pb.StreamCompleteResponse(delta=delta)
                yield pb.StreamCompleteResponse(summary=summary_of(ask, answer.outcome))
                return
            async with aclosing(self._pieces(ask, hold)) as events:
                async for event in events:
                    yield event

    async def _pieces(
        self, ask: Ask, hold: OwnedHold
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """The answer as it comes, metered: cut when the hold is used up, then booked."""
        parts = self._parts
        so_far = AnswerJoiner()
        given: ProviderAnswer | None = None
        meter: Meter | None = None
        last: pb.Delta | None = None
        async with aclosing(parts.caller.stream(ask, hold)) as pieces:
            async for attempt, piece in pieces:
                if isinstance(piece, ProviderEnd):
                    given = _whole(so_far, piece)
                    continue
                if meter is None:
                    ask.first_token_ms = max(1, ask.latency_ms())
                    meter = parts.answers.meter(ask, hold, attempt)
                    unfinished = parts.answers.unfinished(ask, attempt, so_far)
                    hold.under_way[attempt.number] = unfinished
                so_far.add(piece.delta)
                yield pb.StreamCompleteResponse(delta=piece.delta)
                if await meter.used_up(piece.delta):
                    last = pb.Delta(
                        choice_index=piece.delta.choice_index,
                        finish_reason=chat_pb2.FINISH_REASON_HOLD_USED_UP,
                    )
                    so_far.add(last)
                    given = _cut(so_far)
                    attempt.cut = True
                    break
        if given is None:
            raise InvariantBroken("a provider's stream ends with ProviderEnd or raises")
        if last is not None:
            tally.cut(ask)
            ask.span.add_event(names.EVENT_STREAM_CUT)
            yield pb.StreamCompleteResponse(delta=last)
        booked = await parts.answers.book(ask, hold, attempt, given)
        answer = await parts.answers.conclude(ask, hold, booked)
        self._learn(ask, answer)
        _tell(ask, answer.outcome)
        yield pb.StreamCompleteResponse(summary=summary_of(ask, answer.outcome))

    def _learn(self, ask: Ask, answer: Answer) -> None:
        """What a paid answer tells for later ones."""
        outcome = answer.outcome
        self._parts.steps.told_cost(ask, outcome.model, outcome.usage, outcome.cost)
        self._parts.shadows.after(ask, outcome.model, answer.choices)

    def _check_allowed(self, identity: Identity, model: str) -> None:
        """Raises: ModelNotAllowed. For "auto" the router keeps to what is allowed."""
        if identity.viewer:
            raise ModelNotAllowed(model)
        try:
            name = self._parts.fleet.book.name_of(model) if not is_automatic(model) else ""
        except UnknownModel:
            return  # The router says so, with the nearest name.
        if name and not identity.may_call(name):
            raise ModelNotAllowed(model)

    @contextmanager
    def _admitted(
        self,
        request: pb.CompleteRequest | pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
        operation: str = "chat",
    ) -> Iterator[Ask]:
        """A request that may come in: within limits, checked, its root span open."""
        parts = self._parts
        if self._under_way >= parts.settings.requests_max:
            raise Overloaded(parts.settings.requests_max)
        if not parts.books.has_room(self._under_way + 1):
            # Nothing is spent that could not be booked.
            raise ServiceUnavailable("ledger")
        check_request(request, parts.settings.prompt_bytes_max)
        self._check_allowed(identity, request.model)
        check_task(parts.fleet, request.model, embeds=operation == EMBEDDINGS)
        ask = open_ask(
            request,
            identity,
            traceparent=edge_traceparent(
                traceparent, parts.settings.trace_ratio, parts.settings.trust_incoming_traces
            ),
            deadline=deadline.sooner(parts.fleet.config.timeouts.request_seconds),
            telemetry=parts.telemetry,
            cache=parts.fleet.config.cache,
            prompts=parts.fleet.config.prompts,
            new_id=parts.new_id,
            operation=operation,
        )
        trace_current_call(ask.span)
        self._under_way += 1
        tally.came_in()
        try:
            yield ask
        except BaseException as error:
            kind = _kind_of(error)
            mark_failed(ask.span, kind)
            tally.failed(ask, kind)
            raise
        finally:
            self._under_way -= 1
            tally.went_out()
            ask.end()


def _tell(ask: Ask, outcome: Outcome) -> None:
    note_on_span(ask, outcome)
    tally.answered(ask, outcome)


def _whole(so_far: AnswerJoiner, end: ProviderEnd) -> ProviderAnswer:
    return ProviderAnswer(
        choices=so_far.choices(),
        usage=end.usage,
        usage_impossible=end.usage_impossible,
        response_model=end.response_model,
        response_id=end.response_id,
        service_tier=end.service_tier,
        told=end.told,
        warnings=end.warnings,
    )


def _cut(so_far: AnswerJoiner) -> ProviderAnswer:
    """What was written until the hold was used up; what it took is counted."""
    return ProviderAnswer(
        choices=so_far.choices(),
        usage=None,
        usage_impossible=False,
        response_model="",
        response_id="",
        service_tier="",
    )


def _kind_of(error: BaseException) -> str:
    """A word for spans and metrics: the reason the caller is told, never a text."""
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        return "CALLER_GONE"
    if isinstance(error, StatusError):
        return RemoteError(error.status).reason or str(error)
    return type(error).__name__
