"""Shadow calls: after an answer, now and then, the strong model is asked the same and compared.

Nobody waits for it. It has a hold and an entry of its own (kind SHADOW, under SHADOW_FEATURE, so
that a budget can be set on it) and a trace of its own. Answers are compared and not kept.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from google.protobuf import duration_pb2
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.checks import Check, Given, is_long, say_the_same, stands
from catalog.money import NANOS_PER_USD
from chassis import names
from chassis.deadline import Deadline
from chassis.telemetry import Telemetry
from gateway.overload.admission import NO_PLACE
from gateway.ports import Services
from gateway.saga.answers import Answers, Booked
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.calling import Caller
from gateway.saga.hold import held
from gateway.saga.line import Chain
from gateway.saga.outcomes import Outcomes
from gateway.saga.plan import given_of, in_worker, wanted_of_prompt
from gateway.saga.steps import Steps

SHADOW_FEATURE = "spendgate.shadow"
SHADOW_OF_TAG = "spendgate.shadow_of"
SHADOWS_MAX = 8
SHADOW_SECONDS_MAX = 60.0
TENANTS_MAX = 10_000

_log = logging.getLogger("gateway.saga.shadow")


class Purse:
    """What shadow calls may cost a tenant in a day (UTC), at their worst; in this process."""

    def __init__(self, usd_per_day_max: Decimal, now: Callable[[], datetime]) -> None:
        """`now` tells the time, in UTC."""
        self._nanos_max = int(usd_per_day_max * NANOS_PER_USD)
        self._now = now
        self._day = ""
        self._spent: dict[str, int] = {}

    def take_over(self, usd_per_day_max: Decimal) -> None:
        """Another limit holds from now on; what was spent today counts."""
        self._nanos_max = int(usd_per_day_max * NANOS_PER_USD)

    def take(self, tenant: str, nanos: int) -> bool:
        """Takes `nanos` out, or nothing when they are not there."""
        today = self._now().date().isoformat()
        if today != self._day:
            self._day, self._spent = today, {}
        if tenant not in self._spent and len(self._spent) >= TENANTS_MAX:
            return False
        after = self._spent.get(tenant, 0) + nanos
        if after > self._nanos_max:
            return False
        self._spent[tenant] = after
        return True

    def give_back(self, tenant: str, nanos: int) -> None:
        """What was taken and not used."""
        if tenant in self._spent:
            self._spent[tenant] = max(0, self._spent[tenant] - nanos)


class Shadows:
    """Asks shadow models."""

    def __init__(
        self,
        services: Services,
        books: Books,
        steps: Steps,
        *,
        caller: Caller,
        answers: Answers,
        outcomes: Outcomes,
        telemetry: Telemetry,
        purse: Purse,
        new_id: Callable[[], str],
    ) -> None:
        self._services = services
        self._books = books
        self._steps = steps
        self._caller = caller
        self._answers = answers
        self._outcomes = outcomes
        self._telemetry = telemetry
        self._purse = purse
        self._new_id = new_id
        self._under_way = 0

    def after(self, ask: Ask, model: str, choices: Sequence[chat_pb2.Choice]) -> None:
        """`model` has answered; if the router drew the request, the shadow model is asked too."""
        shadow = ask.decision.shadow_model
        if not shadow or shadow == model or self._under_way >= SHADOWS_MAX:
            return
        self._under_way += 1
        self._books.spawn(self._compare(ask, model, given_of(choices)))

    async def _compare(self, ask: Ask, model: str, given: Given) -> None:
        try:
            other = await self._ask(ask)
            if other is None:
                return
            score = await self._score(ask, given, given_of(other.given.choices))
            if score is not None:
                self._outcomes.compared(ask, model, score)
                self._outcomes.compared(ask, other.entry.model_used, 1.0)
        except Exception as error:
            # It is nobody's request: nothing may come of its failure but a line.
            _log.warning("a shadow call failed", extra={"error_type": type(error).__name__})
        finally:
            self._under_way -= 1

    async def _ask(self, ask: Ask) -> Booked | None:
        """The shadow model's answer, booked. None: the purse has no more for it."""
        own = self._own(ask)
        try:
            own.decision = await self._decide(own)
            chosen = own.decision.chosen
            if not self._purse.take(own.attribution.tenant, chosen.worst_case_nanos):
                return None
            item = self._steps.reservation(own, [chosen])
            item.hold_duration.CopyFrom(duration_pb2.Duration(seconds=2 * int(SHADOW_SECONDS_MAX)))
            async with held(own, self._services, self._books, item) as hold:
                hold.kind = entry_pb2.ENTRY_KIND_SHADOW
                chain = Chain([chosen], own.deadline, 1)
                attempt, given = await self._caller.complete(own, hold, chain)
                booked = await self._answers.book(own, hold, attempt, given, extra=True)
                charged = await self._answers.charge(hold)
            unused = chosen.worst_case_nanos - charged.cost_nanos
            self._purse.give_back(own.attribution.tenant, max(0, unused))
            return booked
        finally:
            own.end()

    async def _decide(self, own: Ask) -> router_pb.Decision:
        return await self._services.route(
            router_pb.RouteItem(
                traceparent=own.traceparent,
                tenant=own.attribution.tenant,
                model=own.model,
                input_tokens=max(1, own.prepared.input.tokens),
                output_tokens_max=own.prompt.sampling.output_tokens_max,
                choice_count=own.prompt.sampling.choice_count or 1,
            ),
            own.deadline,
        )

    def _own(self, ask: Ask) -> Ask:
        """The same question as a request of its own, on nobody's user, key or session."""
        who = ask.attribution
        shadow = ask.decision.shadow_model
        attribution = entry_pb2.Attribution(
            tenant=who.tenant,
            project=who.project,
            feature=SHADOW_FEATURE,
            tags={SHADOW_OF_TAG: ask.request_id},
        )
        span = self._telemetry.start(
            f"shadow {shadow}",
            "",
            attributes={names.REQUEST_ID: ask.request_id, names.TENANT: who.tenant},
        )
        return replace(
            ask,
            request_id=self._new_id(),
            model=shadow,
            attribution=attribution,
            cost_max_nanos=None,
            deadline=Deadline.after(SHADOW_SECONDS_MAX),
            span=span,
            booking=None,
            streams=False,
            place=NO_PLACE,
            first_token_ms=0,
        )

    async def _score(self, ask: Ask, given: Given, other: Given) -> float | None:
        """1 when both say the same, 0 when they do not; None when nobody can tell."""
        wanted = wanted_of_prompt(ask.prompt)
        checks = [Check.FINISHED, Check.NOT_EMPTY, Check.NOT_REFUSED, Check.TOOL_CALL]
        checks += [Check.JSON] if ask.prompt.response_format_json else []

        def judge() -> float | None:
            if not stands(checks, other, wanted):
                return None
            if not stands(checks, given, wanted):
                return 0.0
            if not (given.comparable and other.comparable):
                return None
            return 1.0 if say_the_same(given, other) else 0.0

        return await in_worker(judge) if is_long([given, other], wanted) else judge()
