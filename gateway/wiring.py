"""The gateway put together: the only file that names concrete classes."""

import asyncio
import contextlib
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import aiohttp
from pydantic import SecretStr
from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from catalog.fleet import Fleet, load_fleet
from catalog.schema import ProviderConfig
from chassis.listening import OFF, AddressTaken
from chassis.server import Outfit, Room
from chassis.settings import SettingsError, secret_of
from gateway import desk
from gateway.auth import Keys
from gateway.compression_trials import CompressionTest
from gateway.errors import ERRORS
from gateway.http.edge import Edge, EdgeLimits
from gateway.http.server import HttpServer
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.outbox.outbox import Outbox
from gateway.outbox.relay import Relay
from gateway.outbox.watch import watch
from gateway.providers.http import HttpLimits, open_session
from gateway.providers.openai import OpenAIProvider
from gateway.providers.port import Provider
from gateway.saga.answers import Answers
from gateway.saga.books import Books
from gateway.saga.budget_use import BudgetUse
from gateway.saga.cached import Cached
from gateway.saga.calling import Caller
from gateway.saga.complete import Completer, Parts
from gateway.saga.hit_shadow import HitShadow, say_the_same
from gateway.saga.outcomes import Outcomes
from gateway.saga.plan import Plans
from gateway.saga.sessions import Sessions
from gateway.saga.shadow import Purse, Shadows
from gateway.saga.shaping import Shaping
from gateway.saga.steps import Steps
from gateway.saga.usage_reports import UsageReports
from gateway.servicer import OWN_SPAN_METHODS, SERVICE_NAME, GatewayServicer
from gateway.services_grpc import GrpcServices
from gateway.settings import GatewaySettings
from gateway.similarity import LexicalSimilarity


class SetupProblem(Exception):
    """The fleet file asks for what cannot be had here. Names keys and variables, no values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


async def build(settings: GatewaySettings, outfit: Outfit) -> Room:
    """The gateway's room: the saga, its edges, the outbox with its relay.

    Raises: catalog.config.ConfigError; SetupProblem; OutboxLocked; AddressTaken; OSError.
    """
    fleet = load_fleet(settings.config)
    outbox_part = outfit.health.part("outbox")
    session = open_session()
    providers = make_providers(fleet, session, os.environ)
    token = settings.internal_token
    services = GrpcServices(
        tokenizer=settings.tokenizer_address,
        cache=settings.cache_address,
        router=settings.router_address,
        ledger=settings.ledger_address,
        token=token.get_secret_value() if token is not None else None,
        tls=settings.tls,
    )
    outbox = await Outbox.open(settings.outbox_dir)
    books = Books(services, outbox, settle_seconds_max=settings.settle_seconds_max)
    relay = asyncio.create_task(Relay(outbox, books.deliver).run())
    watcher = asyncio.create_task(watch(outbox, outbox_part))
    limits = make_limits(settings, fleet)
    door = _door(
        settings=settings,
        outfit=outfit,
        fleet=fleet,
        services=services,
        books=books,
        providers=providers,
        limits=limits,
    )
    http = await _open_http(settings, outfit, door)

    async def stop_relay() -> None:
        for task in (relay, watcher):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    servicer = GatewayServicer(door, CompressionTest(door, LexicalSimilarity()))
    return Room(
        servicers=[
            (pb_grpc.add_GatewayServiceServicer_to_server, servicer),
            (desk.add_to_server, desk.Desk(services)),
        ],
        service_names=[SERVICE_NAME],
        errors=ERRORS,
        authenticate=door.authenticate,
        own_span_methods=OWN_SPAN_METHODS,
        drains=[("http", http.stop)] if http is not None else [],
        # In reverse: bookings under way end before what they need does.
        cleanups=[
            ("outbox", outbox.close),
            ("services", services.close),
            ("session", session.close),
            ("limits", limits.close),
            ("relay", stop_relay),
            ("bookings", books.drain),
        ],
    )


def make_limits(settings: GatewaySettings, fleet: Fleet) -> Limits:
    """Rate limits, counted in Redis when one is given."""
    url = settings.limits_redis_url
    shared = None
    if url is not None:
        shared = RedisLimiter(url.get_secret_value(), seconds_max=settings.limits_seconds_max)
    return Limits(
        fleet.config.limits,
        MemoryLimiter(lambda: time.monotonic_ns() // 1000),
        shared,
        new_id=lambda: uuid.uuid4().hex,
        clock=time.monotonic,
    )


async def _open_http(
    settings: GatewaySettings, outfit: Outfit, door: Completer
) -> HttpServer | None:
    if settings.http_listen == OFF:
        return None
    edge = Edge(
        door,
        ERRORS,
        EdgeLimits(),
        ready=lambda: outfit.health.serving,
        new_id=lambda: uuid.uuid4().hex,
        now=time.time,
    )
    server = HttpServer(edge, EdgeLimits())
    try:
        await server.start(settings.http_listen)
    except OSError as error:
        raise AddressTaken(settings.http_listen, "SPENDGATE_HTTP_LISTEN") from error
    return server


def make_providers(
    fleet: Fleet, session: aiohttp.ClientSession, environ: Mapping[str, str]
) -> dict[str, Provider]:
    """Every configured provider, by name. Raises: SetupProblem with every problem."""
    timeouts = fleet.config.timeouts
    problems: list[str] = []
    providers: dict[str, Provider] = {}
    for name, config in fleet.config.providers.items():
        address, key = _address(name, config, environ, problems), None
        if config.api_key_env is not None:
            try:
                key = secret_of(environ, config.api_key_env)
            except SettingsError as error:
                problems += [f"provider {name}: {each}" for each in error.problems]
                continue
            if not key:
                problems.append(f"provider {name}: {config.api_key_env} is not set")
        if address is None:
            continue
        providers[name] = OpenAIProvider(
            name=name,
            base_url=address,
            api_key=SecretStr(key) if key else None,
            session=session,
            limits=HttpLimits(
                answer_seconds_max=config.timeout_seconds,
                connect_seconds_max=timeouts.connect_seconds,
                idle_seconds_max=timeouts.idle_seconds,
            ),
            now=time.time,
        )
    if problems:
        raise SetupProblem(problems)
    return providers


def _address(
    name: str, config: ProviderConfig, environ: Mapping[str, str], problems: list[str]
) -> str | None:
    try:
        address = config.address(environ)
    except ValueError as error:
        problems.append(f"provider {name}: {config.base_url_env} {error}")
        return None
    if address is None:
        problems.append(f"provider {name}: {config.base_url_env} is not set")
    return address


def _door(
    *,
    settings: GatewaySettings,
    outfit: Outfit,
    fleet: Fleet,
    services: GrpcServices,
    books: Books,
    providers: Mapping[str, Provider],
    limits: Limits,
) -> Completer:
    def now() -> datetime:
        return datetime.now(UTC)

    outcomes = Outcomes(services, books, fleet.config.routing)

    def new_id() -> str:
        return str(uuid.uuid4())

    caller = Caller(providers, fleet.config.retry, outfit.telemetry, new_id)
    cached = Cached(services, books, fleet, settings=settings, now=now)
    answers = Answers(services, books, fleet, cached, new_id=new_id, now=now)
    steps = Steps(
        services,
        books,
        fleet=fleet,
        settings=settings,
        cached=cached,
        outcomes=outcomes,
        usage_reports=UsageReports(services, books, fleet),
        sessions=Sessions(),
        budget_use=BudgetUse(services),
        shaping=Shaping(fleet, now),
        new_id=new_id,
    )
    shadows = Shadows(
        services,
        books,
        steps,
        caller=caller,
        answers=answers,
        outcomes=outcomes,
        telemetry=outfit.telemetry,
        purse=Purse(fleet.config.routing.learning.shadow_usd_per_day_max, now),
        new_id=new_id,
    )
    return Completer(
        Parts(
            settings=settings,
            fleet=fleet,
            services=services,
            books=books,
            keys=Keys(
                services,
                seconds_max=settings.identity_seconds_max,
                count_max=settings.identities_max,
            ),
            steps=steps,
            caller=caller,
            answers=answers,
            limits=limits,
            plans=Plans(caller, answers, outcomes),
            shadows=shadows,
            cached=cached,
            hit_shadow=_hit_shadow(services, books, outfit, new_id),
            telemetry=outfit.telemetry,
            new_id=new_id,
        )
    )


def _hit_shadow(
    services: GrpcServices, books: Books, outfit: Outfit, new_id: Callable[[], str]
) -> HitShadow:
    return HitShadow(
        services,
        books,
        outfit.telemetry,
        draw=random.random,
        new_id=new_id,
        compare=say_the_same,
    )
