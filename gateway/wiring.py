"""The gateway put together: the only file that names concrete classes."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from spendgate.gateway.v1 import batch_pb2_grpc
from spendgate.gateway.v1 import compare_pb2_grpc as compare_grpc
from spendgate.gateway.v1 import estimate_pb2_grpc as estimate_grpc
from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from catalog.fleet import Fleet, load_fleet
from chassis.live import Live
from chassis.server import Outfit, Room
from gateway import desk
from gateway.audit import Audit
from gateway.batches import servicer as batch_servicer
from gateway.batches.making import Batches, make_batches
from gateway.compression_trials import CompressionTest
from gateway.door import Door
from gateway.errors import ERRORS
from gateway.http.opening import open_http
from gateway.idempotency.making import make_once
from gateway.identity.making import make_audit, make_callers, make_tokens
from gateway.identity.tokens import Tokens
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.live_door import LiveDoor
from gateway.net.guard import AddressGuard
from gateway.outbox.outbox import Outbox
from gateway.outbox.relay import Relay
from gateway.outbox.watch import watch
from gateway.providers.batch_port import BatchProvider
from gateway.providers.http import open_session
from gateway.providers.making import EMBEDDERS, make_providers, secret_files
from gateway.providers.making_batch import make_batch_providers
from gateway.providers.port import Provider
from gateway.saga.books import Books
from gateway.saga.complete import Completer
from gateway.saga.making import make_kept, make_parts
from gateway.servicer import OWN_SPAN_METHODS, SERVICE_NAME, GatewayServicer
from gateway.servicer_pricing import (
    COMPARE_SERVICE,
    ESTIMATE_SERVICE,
    PRICING_SPAN_METHODS,
    CompareServicer,
    EstimateServicer,
)
from gateway.services_grpc import GrpcServices
from gateway.settings import GatewaySettings
from gateway.similarity import LexicalSimilarity
from gateway.similarity_meaning import EmbeddingSimilarity

_SERVICES = [SERVICE_NAME, ESTIMATE_SERVICE, COMPARE_SERVICE, batch_servicer.SERVICE_NAME]
_OWN_SPANS = OWN_SPAN_METHODS | PRICING_SPAN_METHODS | batch_servicer.OWN_SPAN_METHODS


async def build(settings: GatewaySettings, outfit: Outfit) -> Room:
    """The gateway's room: the saga, its edges, the outbox with its relay.

    Raises: catalog.config.ConfigError; SetupProblem; OutboxLocked; AddressTaken; OSError.
    """
    outbox_part = outfit.health.part("outbox")
    audit = make_audit(settings)
    guard = AddressGuard()
    session = open_session(guard)
    live = _live_fleet(settings, outfit, session, guard)
    try:
        loaded = await live.open()
    except BaseException:
        await session.close()
        await audit.close()
        raise
    services = _services(settings)
    outbox = await Outbox.open(settings.outbox_dir)
    once = make_once(settings, loaded.fleet)
    books = _books(settings, services, outbox)
    relay = asyncio.create_task(Relay(outbox, books.deliver).run())
    watcher = asyncio.create_task(watch(outbox, outbox_part))
    kept = make_kept(
        settings,
        loaded.fleet,
        services=services,
        books=books,
        telemetry=outfit.telemetry,
        limits=make_limits(settings, loaded.fleet),
        callers=make_callers(settings, services, tokens=loaded.tokens, audit=audit),
        once=once,
    )
    parts = make_parts(kept, loaded.fleet, loaded.providers, loaded.embedders)
    door = LiveDoor(Completer(parts))
    batches = make_batches(parts, loaded.batch_providers, outfit.telemetry, lambda: door.under_way)

    def take_over(changed: _Loaded) -> None:
        kept.take_over(changed.fleet, changed.tokens)
        parts = make_parts(kept, changed.fleet, changed.providers, changed.embedders)
        door.take_over(Completer(parts))

    live.on_change(take_over)
    reader = asyncio.create_task(live.watch(settings.reload_seconds))
    office = batches.office if loaded.fleet.config.batch.enabled else None
    https = await open_http(settings, outfit, door, services, session, office=office)
    if office is not None:
        batches.workers.start()
    return Room(
        servicers=_servicers(door, services, audit, batches if office is not None else None),
        service_names=_SERVICES,
        errors=ERRORS,
        authenticate=door.authenticate,
        own_span_methods=_OWN_SPANS,
        reload=live.reload_soon,
        drains=[("http", server.stop) for server in https],
        # In reverse: bookings under way end before what they need does.
        cleanups=[
            ("outbox", outbox.close),
            ("services", services.close),
            ("idempotency", once.close),
            ("session", session.close),
            ("audit", audit.close),
            ("limits", kept.limits.close),
            ("relay", partial(_stop, relay, watcher, reader)),
            ("bookings", books.drain),
            *([("leases", kept.leases.close)] if kept.leases is not None else []),
            ("keyed requests", once.drain),
            ("batches", batches.workers.stop),
        ],
    )


@dataclass(frozen=True)
class _Loaded:
    """A fleet file, the adapters of its providers with their keys, and who checks tokens."""

    fleet: Fleet
    providers: Mapping[str, Provider]
    embedders: Mapping[str, Provider]
    batch_providers: Mapping[str, BatchProvider]
    tokens: Tokens | None


def _live_fleet(
    settings: GatewaySettings,
    outfit: Outfit,
    session: aiohttp.ClientSession,
    guard: AddressGuard,
) -> Live[_Loaded]:
    before: Tokens | None = None
    if settings.traces_url is not None:
        guard.permit(settings.traces_url, private_network=True)

    async def load() -> _Loaded:
        nonlocal before
        fleet = await asyncio.to_thread(load_fleet, settings.config)
        loaded = _Loaded(
            fleet,
            make_providers(fleet, session, os.environ, guard),
            make_providers(fleet, session, os.environ, guard, EMBEDDERS),
            make_batch_providers(fleet, session, os.environ),
            make_tokens(fleet.config.auth, session=session, guard=guard, before=before),
        )
        before = loaded.tokens
        return loaded

    return Live(load, lambda loaded: _files(settings, loaded.fleet), outfit.health.part("fleet"))


def _books(settings: GatewaySettings, services: GrpcServices, outbox: Outbox) -> Books:
    return Books(
        services,
        outbox,
        settle_seconds_max=settings.settle_seconds_max,
        answer_first=settings.book_linger_ms > 0,
    )


def _services(settings: GatewaySettings) -> GrpcServices:
    token = settings.internal_token
    return GrpcServices(
        tokenizer=settings.tokenizer_address,
        cache=settings.cache_address,
        router=settings.router_address,
        ledger=settings.ledger_address,
        token=token.get_secret_value() if token is not None else None,
        tls=settings.tls,
        book_linger_seconds=settings.book_linger_ms / 1000,
    )


def _files(settings: GatewaySettings, fleet: Fleet) -> list[Path]:
    """What to look at for changes."""
    own = [settings.config] if settings.config is not None else []
    return [*own, *secret_files(fleet, os.environ)]


async def _stop(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _servicers(
    door: Door, services: GrpcServices, audit: Audit, batches: Batches | None
) -> Sequence[Any]:
    """What answers on the gRPC port, with what adds it there."""
    similarity = EmbeddingSimilarity(services, LexicalSimilarity())
    servicer = GatewayServicer(door, CompressionTest(door, similarity))
    servicers: list[tuple[Callable[..., None], Any]] = [
        (pb_grpc.add_GatewayServiceServicer_to_server, servicer),
        (estimate_grpc.add_EstimateServiceServicer_to_server, EstimateServicer(door)),
        (compare_grpc.add_CompareServiceServicer_to_server, CompareServicer(door)),
        (desk.add_to_server, desk.Desk(services, audit)),
    ]
    if batches is not None:
        servicers.append((batch_pb2_grpc.add_BatchServiceServicer_to_server, batches.servicer))
    return servicers


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
