"""The gateway put together: the only file that names concrete classes."""

import asyncio
import contextlib
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from catalog.fleet import Fleet, load_fleet
from chassis.listening import OFF, AddressTaken
from chassis.server import Outfit, Room
from gateway import desk
from gateway.auth import Keys
from gateway.compression_trials import CompressionTest
from gateway.errors import ERRORS
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.outbox.outbox import Outbox
from gateway.outbox.relay import Relay
from gateway.outbox.watch import watch
from gateway.providers.http import open_session
from gateway.providers.making import make_providers
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
from gateway.similarity_meaning import EmbeddingSimilarity


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
        book_linger_seconds=settings.book_linger_ms / 1000,
    )
    outbox = await Outbox.open(settings.outbox_dir)
    books = Books(
        services,
        outbox,
        settle_seconds_max=settings.settle_seconds_max,
        answer_first=settings.book_linger_ms > 0,
    )
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

    similarity = EmbeddingSimilarity(services, LexicalSimilarity())
    servicer = GatewayServicer(door, CompressionTest(door, similarity))
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
    edge = make_edge(
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
