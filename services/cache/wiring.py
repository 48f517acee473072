"""Puts the cache together: the only file that names concrete classes."""

import asyncio
import contextlib
import time

from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc

from chassis.health import Part
from chassis.server import Outfit, Room
from services.cache.breaker import Breaker
from services.cache.errors import TABLE
from services.cache.keep import Keep
from services.cache.lookup import Lookup
from services.cache.servicer import CacheServicer
from services.cache.settings import CacheSettings
from services.cache.store_guarded import GuardedStore, Report
from services.cache.store_redis import RedisStore

SERVICE_NAME = "spendgate.cache.v1.CacheService"


async def build(settings: CacheSettings, outfit: Outfit) -> Room:
    """The cache over Redis. It serves also while Redis is away: look-ups are bypassed."""
    get_seconds_max = settings.redis_timeout_ms / 1000
    store = GuardedStore(
        RedisStore(settings.redis_url, connect_seconds_max=get_seconds_max),
        Breaker(time.monotonic),
        get_seconds_max=get_seconds_max,
        put_seconds_max=settings.redis_store_timeout_ms / 1000,
        report=_report_to(outfit.health.part("redis")),
    )
    lookup = Lookup(
        store,
        folding=settings.exact_case_folding,
        temperature_max=settings.temperature_max,
        unset_temperature=settings.unset_temperature,
    )
    keep = Keep(
        store,
        ttl_seconds={
            pb.TTL_CLASS_EXACT: settings.ttl_exact_seconds,
            pb.TTL_CLASS_SEMANTIC: settings.ttl_semantic_seconds,
            pb.TTL_CLASS_STATIC: settings.ttl_static_seconds,
        },
        answer_bytes_max=settings.answer_bytes_max,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    watch = asyncio.create_task(store.watch())

    async def stop() -> None:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await lookup.close()
        await store.close()

    return Room(
        servicers=[(rpc.add_CacheServiceServicer_to_server, CacheServicer(lookup, keep))],
        service_names=[SERVICE_NAME],
        errors=TABLE,
        cleanups=[("store", stop)],
    )


def _report_to(part: Part) -> Report:
    part.degraded("Redis has not answered yet; requests go on without the cache")

    def report(why: str | None) -> None:
        if why is None:
            part.ok()
        else:
            part.degraded(f"Redis is away ({why}); requests go on without the cache")

    return report
