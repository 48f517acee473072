"""The cache over a real Redis Cluster of three masters, vector sets included."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from spendgate.cache.v1 import cache_service_pb2 as pb

from tests.fakes.redis_cluster import RedisCluster, redis_cluster
from tests.integration.cache.conftest import Cache, ask, say
from tests.integration.cache.test_semantic import REWORDED, near, put, semantic_cache

TENANTS = [f"tenant-{number}" for number in range(24)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with redis_cluster(tmp_path / "cluster") as made:
        yield made


@pytest.fixture
async def cache(cluster: RedisCluster) -> AsyncIterator[Cache]:
    server: Any = cluster
    async with semantic_cache(server, redis_cluster=True) as service:
        yield service


def of(tenant: str, item: pb.LookupItem) -> pb.LookupItem:
    item.scope.tenant = tenant
    return item


async def test_scopes_spread_and_each_finds_its_own(cluster: RedisCluster, cache: Cache) -> None:
    """One batch over many scopes, exact and semantic: each scope's keys lie on one node, all nodes
    have some, and nobody gets another's answer."""
    for tenant in TENANTS:
        await put(cache, of(tenant, near()), say(tenant))
    exact = await cache.look_up(*(of(tenant, near()) for tenant in TENANTS))
    similar = await cache.look_up(*(of(tenant, near(REWORDED[0])) for tenant in TENANTS))
    for tenant, one, other in zip(TENANTS, exact, similar, strict=True):
        assert one.finding.outcome == pb.OUTCOME_EXACT
        assert other.finding.outcome == pb.OUTCOME_SEMANTIC
        assert one.finding.answer == other.finding.answer == say(tenant)
    sets = []
    for place in range(len(cluster.ports)):
        client = cluster.client(place)
        sets.append({key.partition(b"}")[0] for key in await client.keys("*:v:*")})
        await client.aclose()
    assert all(sets)
    assert sum(map(len, sets)) == len(TENANTS)


async def test_the_other_verbs_work_on_a_cluster(cache: Cache) -> None:
    """Leases, counters and invalidation touch keys of several nodes in one call."""
    item = of("acme", near())
    item.lease_ms = 1_000
    found = await cache.find(item)
    assert found.lease
    stored = pb.StoreItem(
        scope=item.scope, key=found.key, answer=say(), semantic=found.semantic, lease=found.lease
    )
    await cache.stub.Store(pb.StoreRequest(items=[stored]), timeout=30)
    assert (await cache.find(of("acme", near(REWORDED[1])))).outcome == pb.OUTCOME_SEMANTIC
    await asyncio.sleep(1.2)
    told = await cache.stub.Stats(pb.StatsRequest(tenant="acme"), timeout=30)
    assert (told.total.lookup_count, told.total.semantic_hit_count) == (2, 1)
    assert told.entry_count == 1
    request = pb.InvalidateRequest(scope=pb.Scope(tenant="acme"), everything=True)
    assert (await cache.stub.Invalidate(request, timeout=30)).removed_count == 1
    assert (await cache.find(of("acme", near(REWORDED[1])))).outcome == pb.OUTCOME_MISS


async def test_a_node_that_dies_takes_only_its_own_scopes(
    cluster: RedisCluster, cache: Cache
) -> None:
    """With one master dead, scopes on the others are served on or bypassed, and nothing wrong."""
    for tenant in TENANTS:
        await put(cache, of(tenant, ask()), say(tenant))
    cluster.processes[2].send_signal(signal.SIGKILL)
    served = set()
    for _ in range(40):
        for tenant, result in zip(
            TENANTS, await cache.look_up(*(of(tenant, ask()) for tenant in TENANTS)), strict=True
        ):
            if result.finding.HasField("answer"):
                served.add(tenant)
                assert result.finding.answer == say(tenant)
        await asyncio.sleep(0.02)
    assert 0 < len(served) < len(TENANTS)
