"""The saga's steps up to the provider: count and look up, route, set money aside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from google.protobuf import duration_pb2
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from catalog.price import worst_usage
from catalog.prices import UnknownModel
from catalog.schema import AUTO, ModelConfig, is_automatic
from catalog.usage import BUCKETS
from chassis import names
from chassis.deadline import Deadline
from chassis.errors import RemoteError, StatusError
from gateway.door import TokenCount
from gateway.errors import FleetChanging, ModelUnpriced, from_service
from gateway.ports import Services
from gateway.saga.ask import Ask, needs_of, wants_hour_cache
from gateway.saga.books import Books
from gateway.saga.budget_use import BudgetUse
from gateway.saga.cached import Cached
from gateway.saga.counted import counted_as
from gateway.saga.facts import PromptNames
from gateway.saga.hold import DowngradeWanted, OwnedHold, held
from gateway.saga.leases import Leases
from gateway.saga.outcomes import Outcomes, routing_text
from gateway.saga.sessions import Sessions
from gateway.saga.shaping import Shaping, note_shaping, sent_prompt
from gateway.saga.summary import Cost, note_finding
from gateway.saga.usage_reports import UsageReports
from gateway.settings import GatewaySettings
from gateway.upstreams.upstreams import Upstreams

HOLD_SECONDS_MAX = 3600
# As many as router.v1.RouteItem takes.
EMBEDDING_NUMBERS_MAX = 1_024
# A vendor that publishes no vocabulary may read half as many tokens again (Claude from 4.7 on
# against o200k_base: up to 1.46 on published samples).
OTHER_VENDOR_NUMERATOR, OTHER_VENDOR_DENOMINATOR = 3, 2
PERMILLE = 1000


class Steps:
    """Each step writes what it found into the Ask."""

    def __init__(
        self,
        services: Services,
        books: Books,
        *,
        fleet: Fleet,
        settings: GatewaySettings,
        cached: Cached,
        outcomes: Outcomes,
        sessions: Sessions,
        budget_use: BudgetUse,
        shaping: Shaping,
        usage_reports: UsageReports,
        upstreams: Upstreams,
        new_id: Callable[[], str],
        leases: Leases | None = None,
    ) -> None:
        self._services = services
        self._books = books
        self._fleet = fleet
        self._settings = settings
        self._cached = cached
        self._outcomes = outcomes
        self._sessions = sessions
        self._budget_use = budget_use
        self._shaping = shaping
        self._usage_reports = usage_reports
        self._upstreams = upstreams
        self._new_id = new_id
        self._leases = leases
        token = settings.internal_token
        self._names = PromptNames(token.get_secret_value().encode() if token else b"")

    async def prepare_and_look_up(self, ask: Ask) -> None:
        """Counts and shapes the prompt and looks for an answer to it as it came, both at once.

        Raises: what the tokenizer refuses, under the gateway's domain. The cache never fails a
        request: whatever keeps it from answering is a miss.
        """
        finding = asyncio.ensure_future(
            self._cached.look_up(ask, vector_wanted=self._outcomes.learns_from(ask))
        )
        ask.counted_as = counted_as(self._fleet, self._stands_for(ask.model))
        try:
            item = tokenizer_pb.PrepareItem(
                traceparent=ask.traceparent,
                model=ask.counted_as.model,
                encoding=ask.counted_as.encoding,
                prompt=ask.prompt,
            )
            self._shaping.add_to(item, ask, self._stands_for(ask.model))
            ask.prepared = await self._services.prepare(item, ask.deadline)
            if ask.prepared.HasField("edits"):
                ask.shaped = sent_prompt(ask.prompt, ask.prepared.edits)
        except Exception as error:
            finding.cancel()
            raise from_service("tokenizer", error) from None
        except BaseException:
            finding.cancel()
            raise
        await self._names.name(ask)
        ask.finding = await finding
        self._names.name_near(ask)
        note_finding(ask)
        note_shaping(ask)

    async def count_tokens(self, request: pb.CompleteRequest, deadline: Deadline) -> TokenCount:
        """The prompt's tokens as the model that is asked for reads them.

        Raises: what the tokenizer refuses, under the gateway's domain.
        """
        counted = counted_as(self._fleet, self._stands_for(request.model))
        item = tokenizer_pb.PrepareItem(
            model=counted.model, encoding=counted.encoding, prompt=request.prompt
        )
        try:
            prepared = await self._services.prepare(item, deadline)
        except Exception as error:
            raise from_service("tokenizer", error) from None
        return TokenCount(prepared.input.tokens, prepared.input.error_bound_permille)

    async def route(self, ask: Ask) -> None:
        """Picks the model and the fallback chain; once a budget has asked for it, the cheapest
        model that can answer, whichever was asked for, and none after it.

        Raises: the router's refusals under the gateway's domain; ModelUnpriced; FleetChanging.
        """
        sampling = ask.prompt.sampling
        item = router_pb.RouteItem(
            traceparent=ask.traceparent,
            tenant=ask.attribution.tenant,
            feature=ask.attribution.feature,
            model=AUTO if ask.downgraded else ask.model,
            cheapest=ask.downgraded,
            allowed_models=ask.allowed_models,
            input_tokens=max(1, ask.prepared.input.tokens),
            output_tokens_max=sampling.output_tokens_max,
            needs=needs_of(ask.prompt),
            choice_count=sampling.choice_count or 1,
        )
        if self._outcomes.learns_from(ask):
            item.text = routing_text(ask.prompt)
            item.request_id = ask.request_id
            item.json_wanted = bool(ask.prompt.response_format_json)
            item.embedding.extend(embedding_of(ask.finding))
        if ask.cost_max_nanos is not None:
            item.cost_max_nanos = ask.cost_max_nanos
        if ask.automatic:
            item.session_model, item.warm_input_tokens = self._sessions.warm(ask)
            if self._outcomes.rations(ask):
                used = await self._budget_use.percent(ask.attribution, ask.deadline)
                if used is not None:
                    item.budget_used_percent = used
        try:
            decision = await self._services.route(item, ask.deadline)
        except Exception as error:
            raise from_service("router", error) from None
        self._keep_known(decision)
        if not decision.chosen.HasField("worst_case_nanos"):
            raise ModelUnpriced(decision.chosen.model)
        priced = [each for each in decision.fallbacks if each.HasField("worst_case_nanos")]
        if ask.downgraded:
            priced = []
        del decision.fallbacks[:]
        decision.fallbacks.extend(priced)
        ask.decision = decision
        reason = router_pb.RouteReason.Name(decision.reason).removeprefix("ROUTE_REASON_")
        ask.span.set_attribute(names.ROUTE_REASON, reason)

    def _keep_known(self, decision: router_pb.Decision) -> None:
        """Leaves out what the router read of in a fleet file that is news here: it could be neither
        called nor priced. Raises: FleetChanging when nothing is left."""

        def known(each: router_pb.Candidate) -> bool:
            return self._configured(each.model) is not None and (
                each.provider in self._fleet.config.providers
            )

        if not all(known(step.candidate) for step in decision.plan.steps):
            decision.ClearField("plan")
        chain = [each for each in (decision.chosen, *decision.fallbacks) if known(each)]
        if not chain:
            raise FleetChanging(decision.chosen.model)
        if len(chain) <= len(decision.fallbacks):
            chosen, *fallbacks = [_copied(each) for each in chain]
            decision.chosen.CopyFrom(chosen)
            del decision.fallbacks[:]
            decision.fallbacks.extend(fallbacks)

    @asynccontextmanager
    async def hold(self, ask: Ask) -> AsyncIterator[OwnedHold]:
        """The money for the dearest candidate, or for all of a plan's, held while the block runs;
        at its end router and tokenizer hear how the calls ended. A budget that asks for the
        cheapest model gets it first."""
        async with AsyncExitStack() as stack:
            try:
                owned = await self._enter(stack, ask)
            except DowngradeWanted:
                ask.downgraded = True
                await self.route(ask)
                owned = await self._enter(stack, ask)
            try:
                yield owned
            finally:
                self._outcomes.tell(ask, owned.attempts)
                self._usage_reports.tell(ask, owned.attempts)

    async def _enter(self, stack: AsyncExitStack, ask: Ask) -> OwnedHold:
        """Takes the hold. Where two calls at once would break a budget, one is held for."""
        ask.hedged = self._may_hedge(ask)
        try:
            return await stack.enter_async_context(self._held(ask))
        except StatusError as error:
            if not ask.hedged or RemoteError(error.status).reason != "BUDGET_EXCEEDED":
                raise
            ask.hedged = False
            return await stack.enter_async_context(self._held(ask))

    def _held(self, ask: Ask) -> AbstractAsyncContextManager[OwnedHold]:
        planned = [step.candidate for step in ask.decision.plan.steps]
        candidates = planned or [ask.decision.chosen, *ask.decision.fallbacks]
        if ask.hedged:
            candidates = [max(candidates, key=lambda each: each.worst_case_nanos)] * 2
        item = self.reservation(ask, candidates)
        item.hold_all = bool(planned) or ask.hedged
        return held(ask, self._services, self._books, item, self._leases)

    def _may_hedge(self, ask: Ask) -> bool:
        """Whether a second call beside a slow one may be made, as far as is known before."""
        chosen = ask.decision.chosen
        if ask.decision.HasField("plan"):
            return False
        after = self._upstreams.hedge_after_seconds(
            chosen.provider, chosen.upstream_model, streams=ask.streams, asked=ask.hedge
        )
        return after is not None

    def told_cost(self, ask: Ask, model: str, usage: chat_pb2.TokenUsage, cost: Cost) -> None:
        """A request was answered and charged: what later ones of its caller are routed by."""
        self._sessions.note(ask, model, usage)
        self._budget_use.note(ask.attribution, cost.tightest)

    def reservation(
        self, ask: Ask, candidates: Sequence[router_pb.Candidate]
    ) -> ledger_pb.ReserveItem:
        """The hold to take for calling one of `candidates`."""
        seconds = ask.deadline.left_seconds() + self._settings.hold_seconds_margin
        return ledger_pb.ReserveItem(
            traceparent=ask.traceparent,
            hold_id=self._new_id(),
            request_id=ask.request_id,
            attribution=ask.attribution,
            worst_cases=[self._worst_case(ask, each) for each in candidates],
            hold_duration=duration_pb2.Duration(
                seconds=max(1, min(HOLD_SECONDS_MAX, int(seconds)))
            ),
            downgraded=ask.downgraded,
        )

    def _worst_case(self, ask: Ask, candidate: router_pb.Candidate) -> ledger_pb.WorstCase:
        tokens = self.input_tokens_at_most(ask, candidate.model)
        usage = worst_usage(
            tokens + self._settings.hold_tokens_margin,
            candidate.output_tokens_max,
            ask.prompt.sampling.choice_count or 1,
            hour_cache=wants_hour_cache(ask.prompt),
        )
        held_tokens = {bucket: getattr(usage, bucket) for bucket in BUCKETS}
        return ledger_pb.WorstCase(
            model=candidate.model,
            usage=chat_pb2.TokenUsage(**held_tokens),
            provider=candidate.provider,
        )

    def input_tokens_at_most(self, ask: Ask, model: str) -> int:
        """Input tokens that `model` may read by its own count, what its provider adds left out."""
        count = ask.prepared.input
        tokens: int = count.tokens + -(-count.tokens * count.error_bound_permille // PERMILLE)
        if self._vendor(model) != self._vendor(ask.model):
            tokens = -(-tokens * OTHER_VENDOR_NUMERATOR // OTHER_VENDOR_DENOMINATOR)
        return tokens

    def _vendor(self, model: str) -> str:
        """Models of one vendor count alike."""
        configured = self._configured(model)
        if configured is None:
            return ""
        return (configured.priced_as or configured.provider).partition("/")[0]

    def _configured(self, model: str) -> ModelConfig | None:
        """The model that was asked for; None when there is none of this name."""
        try:
            return self._fleet.config.models[self._fleet.book.name_of(self._stands_for(model))]
        except UnknownModel:
            return None

    def _stands_for(self, model: str) -> str:
        """Before it is routed, "auto" is counted as the baseline."""
        return (self._fleet.config.baseline_model or model) if is_automatic(model) else model


def _copied(candidate: router_pb.Candidate) -> router_pb.Candidate:
    copied = router_pb.Candidate()
    copied.CopyFrom(candidate)
    return copied


def embedding_of(finding: Any) -> Sequence[float]:
    """The prompt's embedding, where the cache's look-up has made one: it is not made again."""
    vector: Sequence[float] = getattr(finding, "vector", ())
    return vector if len(vector) <= EMBEDDING_NUMBERS_MAX else ()
