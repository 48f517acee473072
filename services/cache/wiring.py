"""Puts the cache together: the only file that names concrete classes."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

from opentelemetry import metrics
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc
from spendgate.cache.v1 import idempotency_pb2_grpc as once_rpc

from chassis.health import Part
from chassis.server import Outfit, Room
from services.cache.breaker import Breaker
from services.cache.catalogue import Catalogue
from services.cache.embed import Embed
from services.cache.errors import TABLE
from services.cache.guard import GuardedLink
from services.cache.guard import Report as Tell
from services.cache.invalidate import Invalidate
from services.cache.keep import Keep, Limits
from services.cache.leases import Leases
from services.cache.link import Link
from services.cache.link_redis import ClusterLink, RedisLink
from services.cache.lookup import Lookup, Policy
from services.cache.near.decisions import PPM
from services.cache.once import Once
from services.cache.quota import Quota
from services.cache.reading import Reader
from services.cache.record import Recorder
from services.cache.report import Allow, Report
from services.cache.sealing import Sealer, parse_keys
from services.cache.servicer import CacheServicer, Verbs
from services.cache.servicer_once import SERVICE_NAME as ONCE_NAME
from services.cache.servicer_once import OnceServicer
from services.cache.settings import CacheSettings
from services.cache.stats import Stats
from services.cache.store_guarded import GuardedStore
from services.cache.store_redis import RedisStore
from services.cache.tally import Tally
from services.cache.value import Codec
from services.cache.waiting import Waiting
from services.cache.wiring_semantic import Loaded, Loading, load_shipped, open_semantic

SERVICE_NAME = "spendgate.cache.v1.CacheService"
TOKEN_BYTES = 12

_store_up = metrics.get_meter("spendgate").create_gauge(
    "spendgate.cache.store_up", description="1 while the store answers, 0 while it is not asked."
)


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


async def build(
    settings: CacheSettings, outfit: Outfit, load: Callable[[int], Loaded] = load_shipped
) -> Room:
    """The cache over Redis. It serves also while Redis is away: look-ups are bypassed.

    `load` brings the models (threads in, judge and calibrator out); blocking.
    """
    link = _link(settings)
    store = GuardedStore(
        RedisStore(link),
        Breaker(time.monotonic),
        get_seconds_max=settings.redis_timeout_ms / 1000,
        put_seconds_max=settings.redis_store_timeout_ms / 1000,
        report=_report_to(outfit.health.part("redis")),
    )
    quick = GuardedLink(link, store.guard, seconds_max=settings.redis_timeout_ms / 1000)
    patient = GuardedLink(link, store.guard, seconds_max=settings.redis_store_timeout_ms / 1000)
    tally = Tally(patient, now_ms)
    verbs = _verbs(settings, store, quick, patient, tally)
    tasks = [asyncio.create_task(store.watch()), asyncio.create_task(tally.run())]
    opening = Loading(
        settings=settings,
        verbs=verbs,
        quick=quick,
        patient=patient,
        load=load,
        now_ms=now_ms,
    )
    if settings.semantic:
        part = outfit.health.part("semantic")
        tasks.append(asyncio.create_task(open_semantic(opening, part)))

    async def stop() -> None:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await tally.flush()
        await opening.close()
        await store.close()

    return Room(
        servicers=[
            (rpc.add_CacheServiceServicer_to_server, CacheServicer(verbs)),
            (
                once_rpc.add_IdempotencyServiceServicer_to_server,
                OnceServicer(Once(patient, _sealer(settings))),
            ),
        ],
        service_names=[SERVICE_NAME, ONCE_NAME],
        errors=TABLE,
        cleanups=[("store", stop)],
    )


def _link(settings: CacheSettings) -> RedisLink | ClusterLink:
    kind = ClusterLink if settings.redis_cluster else RedisLink
    return kind(settings.redis_url, connect_seconds_max=settings.redis_timeout_ms / 1000)


def _sealer(settings: CacheSettings) -> Sealer | None:
    keys = settings.value_keys
    return Sealer(parse_keys(keys.get_secret_value())) if keys is not None else None


def _verbs(
    settings: CacheSettings, store: GuardedStore, quick: Link, patient: Link, tally: Tally
) -> Verbs:
    codec = Codec(_sealer(settings))
    reader = Reader(store, codec)
    recorder = Recorder(tally, now_ms)
    leases = Leases(quick)
    catalogue = Catalogue(patient)
    invalidate = Invalidate(patient, reader, catalogue)
    ppm = round(settings.wrong_hit_rate_max * PPM)

    def new_token() -> str:
        return secrets.token_hex(TOKEN_BYTES)

    return Verbs(
        lookup=Lookup(
            reader,
            leases,
            recorder,
            Policy(
                folding=settings.exact_case_folding,
                temperature_max=settings.temperature_max,
                unset_temperature=settings.unset_temperature,
                wrong_hit_ppm_max=ppm,
                semantic_seconds_max=settings.semantic_ms_max / 1000,
            ),
            new_token=new_token,
        ),
        keep=Keep(
            store,
            codec,
            Quota(
                patient,
                entries_max=settings.user_entries_max,
                reader=reader if settings.users_min > 1 else None,
            ),
            recorder,
            Limits(answer_bytes_max=settings.answer_bytes_max, users_min=settings.users_min),
            ttl_seconds={
                pb.TTL_CLASS_EXACT: settings.ttl_exact_seconds,
                pb.TTL_CLASS_SEMANTIC: settings.ttl_semantic_seconds,
                pb.TTL_CLASS_STATIC: settings.ttl_static_seconds,
            },
            now_ms=now_ms,
        ),
        waiting=Waiting(reader, leases, recorder, new_token=new_token),
        leases=leases,
        invalidate=invalidate,
        stats=Stats(patient, catalogue, now_ms),
        report=Report(patient, reader, invalidate, recorder, wrong_hit_ppm_max=ppm, now_ms=now_ms),
        allow=Allow(store, reader, codec, now_ms),
        embed=Embed(),
    )


def _report_to(part: Part) -> Tell:
    part.degraded("Redis has not answered yet; requests go on without the cache")

    def report(why: str | None) -> None:
        _store_up.set(1 if why is None else 0)
        if why is None:
            part.ok()
        else:
            part.degraded(f"Redis is away ({why}); requests go on without the cache")

    return report
