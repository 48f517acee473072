"""A saga on fakes: everything real but the services, the provider and the disk."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.trace import NoOpTracer
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.config import parse_config
from catalog.fleet import Fleet
from chassis.deadline import Deadline
from chassis.telemetry import Telemetry
from gateway.audit import Audit
from gateway.auth import Keys
from gateway.door import Identity
from gateway.errors import ERRORS
from gateway.idempotency.once import Once
from gateway.identity.callers import Callers
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimiter
from gateway.overload.making import make_admission
from gateway.providers.as_answers import EmbeddingsAsAnswers
from gateway.saga.answers import Answers
from gateway.saga.books import Books
from gateway.saga.budget_use import BudgetUse
from gateway.saga.cached import Cached
from gateway.saga.calling import Caller
from gateway.saga.complete import Completer, Parts
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
from tests.fakes.audit_lines import AuditLines
from tests.fakes.embedder import FakeEmbedder
from tests.fakes.once_store import MemoryOnceStore
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.provider import FakeProvider
from tests.fakes.services import FakeServices

PROVIDERS = """
providers: {fake: {base_url: "http://127.0.0.1:1/v1"}}
"""
MODELS = """
models:
  cheap:
    provider: fake
    price: {input_usd_per_million: "1", output_usd_per_million: "2"}
    aliases: [thrifty]
  other: {provider: fake, price: {input_usd_per_million: "1", output_usd_per_million: "2"}}
  dear: {provider: fake, price: {input_usd_per_million: "10", output_usd_per_million: "20"}}
  vectors: {provider: fake, task: embedding, aliases: [text-vectors],
    price: {input_usd_per_million: "1", output_usd_per_million: "0"}}
baseline_model: dear
"""
NO_BREAKER = "breaker: {enabled: false}"
RETRY = "retry: {attempts_max: 2, backoff_seconds: 0.001, %s}\n"
FLEET_FILE = PROVIDERS + MODELS + RETRY % NO_BREAKER
IDENTITY = Identity(tenant="acme", key_id="k1")
SETTINGS = GatewaySettings(
    tokenizer_address="x",
    cache_address="x",
    router_address="x",
    ledger_address="x",
    outbox_dir=Path("unused"),
    requests_max=64,
)


class House:
    """The saga and all that it stands on."""

    drawn = 0.5  # what chance says
    clock = 0.0
    day = datetime(2026, 11, 1, tzinfo=UTC)
    # Of the rate limits.
    now_us = 0

    def __init__(
        self,
        routing: str = "",
        *,
        retry: str = NO_BREAKER,
        models: str = MODELS,
        telemetry=None,
        **settings,
    ) -> None:
        """`routing` is added to the fleet file, `retry` to its part about failing providers;
        `models` are those of the file."""
        self.services = FakeServices()
        self.provider = FakeProvider()
        self.embedder = FakeEmbedder()
        self.outbox = MemoryOutbox()
        numbers = itertools.count(1)
        fleet = Fleet.of(parse_config(PROVIDERS + models + RETRY % retry + routing))
        settings = SETTINGS.model_copy(update=settings)

        def new_id() -> str:
            return f"id-{next(numbers)}"

        telemetry = telemetry or Telemetry(NoOpTracer())
        self.books = Books(self.services, self.outbox, settle_seconds_max=2)

        def now():
            return datetime(2026, 11, 1, tzinfo=UTC)

        cached = Cached(self.services, self.books, fleet, settings=settings, now=now)
        answers = Answers(self.services, self.books, fleet, cached, new_id=new_id, now=now)
        self.upstreams = Upstreams(fleet.config.retry, lambda: self.clock)
        caller = self._caller(fleet, telemetry, new_id)
        outcomes = Outcomes(self.services, self.books, fleet.config.routing)
        self.leases = self._leases(fleet, new_id, now)
        steps = self._steps(fleet, settings, cached, outcomes, new_id)
        kit = {"caller": caller, "answers": answers, "outcomes": outcomes}
        self.audit, self.once_store = AuditLines(), MemoryOnceStore()
        self.admission = make_admission(settings, fleet.config.admission)
        self.door = Completer(
            Parts(
                settings=settings,
                fleet=fleet,
                services=self.services,
                books=self.books,
                callers=self._callers(),
                steps=steps,
                caller=caller,
                answers=answers,
                limits=self._limits(fleet, new_id),
                admission=self.admission,
                once=self._once(),
                plans=Plans(caller, answers, outcomes),
                shadows=self._shadows(fleet, steps, telemetry=telemetry, new_id=new_id, **kit),
                cached=cached,
                hit_shadow=self._hit_shadow(telemetry, new_id),
                embedder=self._embedding(fleet, steps, answers, cached, telemetry, new_id),
                telemetry=telemetry,
                new_id=new_id,
            )
        )

    def _steps(self, fleet, settings, cached, outcomes, new_id):
        return Steps(
            self.services,
            self.books,
            fleet=fleet,
            settings=settings,
            cached=cached,
            outcomes=outcomes,
            usage_reports=UsageReports(self.services, self.books, fleet),
            sessions=Sessions(lambda: self.clock),
            budget_use=BudgetUse(self.services, lambda: self.clock),
            shaping=Shaping(fleet, lambda: self.day),
            upstreams=self.upstreams,
            new_id=new_id,
            leases=self.leases,
        )

    def _embedding(self, fleet, steps, answers, cached, telemetry, new_id):  # noqa: PLR0917
        providers = {"fake": EmbeddingsAsAnswers(self.embedder)}
        return Embedder(
            self.services,
            steps=steps,
            caller=self._caller(fleet, telemetry, new_id, providers),
            providers=providers,
            answers=answers,
            cached=cached,
            limits=self._limits(fleet, new_id),
            new_id=new_id,
        )

    def _caller(self, fleet, telemetry, new_id, providers=None):
        return Caller(
            providers or {"fake": self.provider},
            fleet.config.retry,
            telemetry,
            new_id,
            upstreams=self.upstreams,
            refit=Refit(self.services, fleet),
        )

    def _leases(self, fleet, new_id, now):
        config = fleet.config.ledger.leases
        if not config.enabled:
            return None
        self.services.price_version = lambda model: fleet.book.price(model, now()).version
        return Leases(
            self.services,
            self.books,
            fleet.book,
            config,
            call_seconds=120,
            new_id=new_id,
            now=now,
            clock=lambda: self.clock,
        )

    def _shadows(self, fleet, steps, **kit):
        purse = Purse(fleet.config.routing.learning.shadow_usd_per_day_max, lambda: self.day)
        return Shadows(self.services, self.books, steps, purse=purse, **kit)

    def _once(self):
        keyed = {"hash_key": b"", "kept_seconds": 60, "work_seconds_max": 30}
        return Once(self.once_store, ERRORS, **keyed)

    def _callers(self):
        keys = Keys(self.services, seconds_max=10, count_max=100)
        return Callers(keys, None, Audit(self.audit), seconds_max=10, count_max=100)

    def _hit_shadow(self, telemetry, new_id):
        return HitShadow(
            self.services,
            self.books,
            telemetry,
            draw=lambda: self.drawn,
            new_id=new_id,
            compare=say_the_same,
        )

    def _limits(self, fleet, new_id):
        limiter = MemoryLimiter(lambda: self.now_us)
        return Limits(fleet.config.limits, limiter, None, new_id=new_id, clock=lambda: 0.0)

    async def complete(
        self, text="hello", *, model="auto", seconds=5.0, identity=IDENTITY, **options
    ):
        request = pb.CompleteRequest(
            model=model, prompt=prompt_of(text), options=pb.RequestOptions(**options)
        )
        return await self.door.complete(request, identity, "", Deadline.after(seconds))

    def stream(self, text="hello", *, model="auto", **options):
        request = pb.StreamCompleteRequest(
            model=model, prompt=prompt_of(text), options=pb.RequestOptions(**options)
        )
        return self.door.stream(request, IDENTITY, "", Deadline.after(5.0))


def prompt_of(text):
    return chat_pb2.Prompt(messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)])
