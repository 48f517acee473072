"""The saga put together for one fleet file; what outlives the file is handed in."""

import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from catalog.fleet import Fleet
from catalog.resilience import TooLong
from chassis.telemetry import Telemetry
from gateway.idempotency.once import Once
from gateway.identity.callers import Callers
from gateway.identity.tokens import Tokens
from gateway.limits.limits import Limits
from gateway.overload.admission import Admission
from gateway.overload.making import make_admission
from gateway.ports import Services
from gateway.providers.port import Provider
from gateway.saga.answers import Answers
from gateway.saga.books import Books
from gateway.saga.budget_use import BudgetUse
from gateway.saga.cached import Cached
from gateway.saga.calling import Caller
from gateway.saga.complete import Parts
from gateway.saga.embedding import Embedder
from gateway.saga.hit_shadow import HitShadow, say_the_same
from gateway.saga.leases import Leases
from gateway.saga.outcomes import Outcomes
from gateway.saga.plan import Plans
from gateway.saga.refit import Refit
from gateway.saga.sessions import Sessions
from gateway.saga.shadow import Purse, Shadows
from gateway.saga.shaping import Shaping
from gateway.saga.steps import Steps
from gateway.saga.usage_reports import UsageReports
from gateway.settings import GatewaySettings
from gateway.upstreams.upstreams import Upstreams


@dataclass(frozen=True)
class Kept:
    """What is there once in a process, whatever fleet file holds."""

    settings: GatewaySettings
    services: Services
    books: Books
    telemetry: Telemetry
    limits: Limits
    admission: Admission
    callers: Callers
    once: Once
    sessions: Sessions
    budget_use: BudgetUse
    purse: Purse
    upstreams: Upstreams
    # None when the first fleet file wants none.
    leases: Leases | None

    def take_over(self, fleet: Fleet, tokens: Tokens | None) -> None:
        """The rules of `fleet` hold from now on, for what was counted before too; `tokens` checks
        the tokens of its issuers."""
        config = fleet.config
        self.admission.take_over(config.admission.weights)
        self.callers.take_over(tokens)
        self.once.take_over(config.timeouts.request_seconds)
        self.limits.take_over(config.limits)
        self.purse.take_over(config.routing.learning.shadow_usd_per_day_max)
        self.upstreams.take_over(config.retry)
        if self.leases is not None:
            self.leases.take_over(fleet.book)


def make_kept(
    settings: GatewaySettings,
    fleet: Fleet,
    *,
    services: Services,
    books: Books,
    telemetry: Telemetry,
    limits: Limits,
    callers: Callers,
    once: Once,
) -> Kept:
    """What a process begins with, under its first fleet file."""
    return Kept(
        settings=settings,
        services=services,
        books=books,
        telemetry=telemetry,
        limits=limits,
        admission=make_admission(settings, fleet.config.admission),
        callers=callers,
        once=once,
        sessions=Sessions(),
        budget_use=BudgetUse(services),
        purse=Purse(fleet.config.routing.learning.shadow_usd_per_day_max, _now),
        upstreams=Upstreams(fleet.config.retry, time.monotonic),
        leases=_leases(settings, fleet, services, books),
    )


def _leases(
    settings: GatewaySettings, fleet: Fleet, services: Services, books: Books
) -> Leases | None:
    """Slices of budgets to admit calls from; None when the fleet file wants none."""
    config = fleet.config.ledger.leases
    if not config.enabled:
        return None
    leases = Leases(
        services,
        books,
        fleet.book,
        config,
        # As long as a hold of a call that has all its time.
        call_seconds=fleet.config.timeouts.request_seconds + settings.hold_seconds_margin,
        new_id=_new_id,
        now=_now,
    )
    leases.start()
    return leases


def make_parts(
    kept: Kept,
    fleet: Fleet,
    providers: Mapping[str, Provider],
    embedders: Mapping[str, Provider],
) -> Parts:
    """What the saga under `fleet` is made of. A request keeps to the saga it began with.

    `embedders` are adapters of embeddings, by the name of their provider.
    """
    services, books, settings = kept.services, kept.books, kept.settings
    outcomes = Outcomes(services, books, fleet.config.routing)
    caller = _caller(kept, fleet, providers)
    cached = Cached(services, books, fleet, settings=settings, now=_now)
    answers = Answers(services, books, fleet, cached, new_id=_new_id, now=_now)
    steps = _steps(kept, fleet, cached, outcomes)
    return Parts(
        settings=settings,
        fleet=fleet,
        services=services,
        books=books,
        callers=kept.callers,
        steps=steps,
        caller=caller,
        answers=answers,
        limits=kept.limits,
        admission=kept.admission,
        once=kept.once,
        plans=Plans(caller, answers, outcomes),
        shadows=Shadows(
            services,
            books,
            steps,
            caller=caller,
            answers=answers,
            outcomes=outcomes,
            telemetry=kept.telemetry,
            purse=kept.purse,
            new_id=_new_id,
        ),
        cached=cached,
        hit_shadow=_hit_shadow(kept),
        embedder=Embedder(
            services,
            steps=steps,
            caller=_caller(kept, _whole_texts(fleet), embedders),
            providers=embedders,
            answers=answers,
            cached=cached,
            limits=kept.limits,
            new_id=_new_id,
        ),
        telemetry=kept.telemetry,
        new_id=_new_id,
    )


def _steps(kept: Kept, fleet: Fleet, cached: Cached, outcomes: Outcomes) -> Steps:
    return Steps(
        kept.services,
        kept.books,
        fleet=fleet,
        settings=kept.settings,
        cached=cached,
        outcomes=outcomes,
        usage_reports=UsageReports(kept.services, kept.books, fleet),
        sessions=kept.sessions,
        budget_use=kept.budget_use,
        shaping=Shaping(fleet, _now),
        upstreams=kept.upstreams,
        new_id=_new_id,
        leases=kept.leases,
    )


def _caller(kept: Kept, fleet: Fleet, providers: Mapping[str, Provider]) -> Caller:
    return Caller(
        providers,
        fleet.config.retry,
        kept.telemetry,
        _new_id,
        upstreams=kept.upstreams,
        refit=Refit(kept.services, fleet),
    )


def _whole_texts(fleet: Fleet) -> Fleet:
    """The same fleet, but a text that is too long is refused: a part of it has another vector."""
    retry = fleet.config.retry.model_copy(update={"too_long": TooLong.REFUSE})
    return replace(fleet, config=fleet.config.model_copy(update={"retry": retry}))


def _hit_shadow(kept: Kept) -> HitShadow:
    return HitShadow(
        kept.services,
        kept.books,
        kept.telemetry,
        draw=random.random,
        new_id=_new_id,
        compare=say_the_same,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid.uuid4())
