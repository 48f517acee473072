"""The saga: one request from the door to the books (ARCHITECTURE.md follows it step by step)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.trace import INVALID_SPAN
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import compare_pb2, estimate_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.fleet import Fleet
from chassis import names
from chassis.calls import trace_current_call
from chassis.deadline import Deadline
from chassis.invariant import InvariantBroken
from chassis.telemetry import Telemetry
from gateway.comparison import compare
from gateway.door import Identity, TokenCount
from gateway.errors import ERRORS, AdminRequired, ProviderFailed
from gateway.idempotency.embeddings import as_answer, as_embeddings, as_packed
from gateway.idempotency.once import Once
from gateway.identity.callers import Callers
from gateway.limits.limits import Limits
from gateway.overload.admission import NO_PLACE, Admission
from gateway.ports import Services
from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderEnd
from gateway.saga import tally
from gateway.saga.answers import Answer, Answers, Booked
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.cached import Cached, place_of
from gateway.saga.calling import Caller
from gateway.saga.counted import counted_as
from gateway.saga.embedding import Embedder, stand_in
from gateway.saga.entry import EMBEDDINGS, Entry
from gateway.saga.estimate import Estimator
from gateway.saga.hit_shadow import HitShadow
from gateway.saga.hold import OwnedHold
from gateway.saga.meter import Meter
from gateway.saga.pieces import cut, said, tell, whole
from gateway.saga.plan import Early, Plans
from gateway.saga.shadow import Shadows
from gateway.saga.single_flight import SingleFlight
from gateway.saga.steps import Steps
from gateway.saga.summaries import Summaries
from gateway.saga.summary import summary_of
from gateway.settings import GatewaySettings
from gateway.validate_embed import check_embed


@dataclass(frozen=True)
class Parts:
    """What the saga is made of."""

    settings: GatewaySettings
    fleet: Fleet
    services: Services
    books: Books
    callers: Callers
    steps: Steps
    caller: Caller
    answers: Answers
    cached: Cached
    hit_shadow: HitShadow
    embedder: Embedder
    limits: Limits
    admission: Admission
    once: Once
    plans: Plans
    shadows: Shadows
    telemetry: Telemetry
    new_id: Callable[[], str]


class Completer:
    """gateway.door.Door: what both edges call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._entry = Entry(
            parts.settings,
            parts.fleet,
            parts.books,
            parts.admission,
            telemetry=parts.telemetry,
            new_id=parts.new_id,
        )
        self._estimator = Estimator(
            self._entry, parts.steps, parts.limits, parts.fleet, lambda: datetime.now(UTC)
        )
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._summaries = Summaries(parts.services, self._on_behalf)

    @property
    def under_way(self) -> int:
        """Requests that were let in and have not ended."""
        return self._parts.admission.under_way

    async def authenticate(self, authorization: str | None) -> Identity:
        """The caller behind an `authorization` header."""
        return await self._parts.callers.identify(authorization)

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
        if not request.options.idempotency_key:
            return await self._complete(request, identity, traceparent, deadline)
        self._entry.check(request, identity)
        return await self._parts.once.complete(
            request,
            identity,
            deadline,
            lambda own: self._complete(request, identity, traceparent, own),
        )

    async def _complete(
        self,
        request: pb.CompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> pb.CompleteResponse:
        async with self._entry.admitted(request, identity, traceparent, deadline) as ask:
            async with self._parts.limits.at_door(ask):
                answer = await self._answer(ask)
            tell(ask, answer.outcome)
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
        if request.options.idempotency_key:
            self._entry.check(request, identity)
            events = self._parts.once.stream(
                request,
                identity,
                deadline,
                lambda own: self._streamed(request, identity, traceparent, own),
            )
        else:
            events = self._streamed(request, identity, traceparent, deadline)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _streamed(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        async with (
            self._entry.admitted(request, identity, traceparent, deadline) as ask,
            self._parts.limits.at_door(ask),
            aclosing(self._stream(ask)) as events,
        ):
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
        ask.place.measured()
        for event in said(ask, hit, hit.deltas()):
            yield event

    async def embed(
        self, request: pb.EmbedRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.EmbedResponse:
        """Makes vectors of texts."""
        check_embed(request, self._parts.settings.prompt_bytes_max)
        if not request.options.idempotency_key:
            return await self._embed(request, identity, traceparent, deadline)
        asked, packed = stand_in(request), as_packed(request)
        self._entry.check(asked, identity, EMBEDDINGS)

        async def work(own: Deadline) -> pb.CompleteResponse:
            return as_answer(await self._embed(packed, identity, traceparent, own))

        answer = await self._parts.once.complete(asked, identity, deadline, work)
        return as_embeddings(answer, request.encoding)

    async def _embed(
        self, request: pb.EmbedRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.EmbedResponse:
        admitted = self._entry.admitted(
            stand_in(request), identity, traceparent, deadline, operation=EMBEDDINGS
        )
        async with admitted as ask:
            ask.counted_as = counted_as(self._parts.fleet, ask.model)
            async with self._parts.limits.at_door(ask):
                response, outcome = await self._parts.embedder.run(ask, request)
            tell(ask, outcome)
            return response

    async def count_tokens(
        self, request: pb.CompleteRequest, identity: Identity, deadline: Deadline
    ) -> TokenCount:
        """What a model would be asked to read."""
        self._entry.check_words(request, identity)
        async with self._parts.admission.admitted(identity.tenant, deadline):
            return await self._parts.steps.count_tokens(request, deadline)

    async def estimate(
        self,
        request: estimate_pb2.EstimateRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> estimate_pb2.EstimateResponse:
        """What a prompt would cost."""
        return await self._estimator.estimate(request, identity, traceparent, deadline)

    async def compare(
        self,
        request: compare_pb2.CompareRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> compare_pb2.CompareResponse:
        """The same prompt by several models."""
        return await compare(
            request, lambda each: self.complete(each, identity, traceparent, deadline), ERRORS
        )

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
            ask.place.measured()
            return hit
        if not ask.finding.key or ask.cache_mode == pb.CACHE_MODE_REFRESH:
            return await self._from_provider(ask)
        answer, led = await self._flights.join(
            place_of(ask, ask.finding),
            lambda: self._lead(ask),
            ask.deadline,
            waits=ask.place.lent,
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
        self._entry.check(request, identity)
        try:
            with ask.place.lent():
                async with self._entry.opened(
                    request, identity, ask.traceparent, ask.deadline, NO_PLACE
                ) as inner:
                    answer = await self._answer(inner)
                    tell(inner, answer.outcome)
                    return answer
        finally:
            trace_current_call(ask.span)

    async def _from_provider(self, ask: Ask) -> Answer:
        await self._summaries.write(ask)
        await self._parts.steps.route(ask)
        parts = self._parts
        async with parts.limits.at_model(ask), parts.steps.hold(ask) as hold:
            ask.place.measured()
            with ask.place.lent():
                async with parts.plans.early(ask, hold) as early:
                    taken = early.taken or await self._called(ask, hold, early)
                    with ask.place.worked():
                        answer = await parts.answers.conclude(ask, hold, taken)
            self._learn(ask, answer)
            return answer

    async def _called(self, ask: Ask, hold: OwnedHold, early: Early) -> Booked:
        """What the decision's chain brings, or else what a plan has in hand."""
        try:
            attempt, given = await self._parts.caller.complete(ask, hold)
        except ProviderFailed:
            if early.standby is None:
                raise
            return early.standby
        return await self._parts.answers.book(ask, hold, attempt, given)

    async def _stream_from_provider(
        self, ask: Ask
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """A plan's cheap answers are waited for whole: nothing can be streamed before its check.
        What stands goes out at once, the strong model's answer as it comes."""
        parts = self._parts
        await self._summaries.write(ask)
        await parts.steps.route(ask)
        async with parts.limits.at_model(ask), parts.steps.hold(ask) as hold:
            ask.place.measured()
            with ask.place.lent():
                async with (
                    parts.plans.early(ask, hold) as early,
                    aclosing(self._pieces(ask, hold, early)) as events,
                ):
                    async for event in events:
                        yield event

    async def _pieces(
        self, ask: Ask, hold: OwnedHold, early: Early
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """The answer as it comes, metered: cut when the hold is used up, then booked."""
        parts = self._parts
        if early.taken is not None:
            with ask.place.worked():
                answer = await parts.answers.conclude(ask, hold, early.taken)
            self._learn(ask, answer)
            for event in said(ask, answer, answer.deltas()):
                yield event
            return
        so_far = AnswerJoiner()
        given: ProviderAnswer | None = None
        meter: Meter | None = None
        last: pb.Delta | None = None
        async with aclosing(parts.caller.stream(ask, hold)) as pieces:
            async for attempt, piece in pieces:
                if isinstance(piece, ProviderEnd):
                    given = whole(so_far, piece)
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
                    given = cut(so_far)
                    attempt.cut = True
                    break
        if given is None:
            raise InvariantBroken("a provider's stream ends with ProviderEnd or raises")
        if last is not None:
            tally.cut(ask)
            ask.span.add_event(names.EVENT_STREAM_CUT)
            yield pb.StreamCompleteResponse(delta=last)
        with ask.place.worked():
            booked = await parts.answers.book(ask, hold, attempt, given)
            answer = await parts.answers.conclude(ask, hold, booked)
        self._learn(ask, answer)
        for event in said(ask, answer, ()):
            yield event

    def _learn(self, ask: Ask, answer: Answer) -> None:
        """What a paid answer tells for later ones."""
        outcome = answer.outcome
        self._parts.steps.told_cost(ask, outcome.model, outcome.usage, outcome.cost)
        self._parts.shadows.after(ask, outcome.model, answer.choices)
