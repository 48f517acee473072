"""The article's own example with the shipped models, over a real socket and a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from spendgate.cache.v1 import cache_service_pb2 as pb

from cli.embedded.redis import RedisServer
from services.cache.wiring_semantic import load_shipped
from tests.integration.cache.conftest import Cache, running_cache, say
from tests.integration.cache.test_semantic import CAPITAL, REWORDED, near, put


@pytest.fixture
async def cache(redis_server: RedisServer) -> AsyncIterator[Cache]:
    # A busy test machine is no slow judge.
    async with running_cache(
        redis_server, load=load_shipped, semantic=True, semantic_ms_max=10_000
    ) as service:
        async with asyncio.timeout(60):
            while service.health.parts()["semantic"][0] != "ok":
                await asyncio.sleep(0.01)
        yield service


async def test_the_articles_example(cache: Cache) -> None:
    """Lower case is the very same, two rewordings are served, and Germany never is."""
    await put(cache, near(), say("Paris."))
    assert (await cache.find(near(CAPITAL.lower()))).outcome == pb.OUTCOME_EXACT
    for text in REWORDED:
        found = await cache.find(near(text))
        assert found.outcome == pb.OUTCOME_SEMANTIC, found.explanation
        assert found.answer == say("Paris.")
    other = await cache.find(near("What is the capital of Germany?"))
    assert other.outcome == pb.OUTCOME_MISS
    assert other.explanation.screened_out or other.explanation.candidates[0].refused_by


async def test_look_alikes_are_not_served(cache: Cache) -> None:
    """The opposite, another year, the other direction: each a miss that says what refused it."""
    pairs = [
        ("How do I enable two-factor login?", "How do I disable two-factor login?"),
        ("What were the sales figures for 2024?", "What were the sales figures for 2025?"),
        ("Is there a train from Madrid to Lisbon?", "Is there a train from Lisbon to Madrid?"),
    ]
    for stored, _ in pairs:
        await put(cache, near(stored), say(stored))
    for _, asked in pairs:
        found = await cache.find(near(asked))
        assert found.outcome == pb.OUTCOME_MISS
        assert found.explanation.candidates[0].refused_by.startswith("guard."), asked


async def test_a_wrong_hit_teaches_its_feature(cache: Cache) -> None:
    """After a report the same rewording is no longer served for that feature."""
    item = near(feature="faq")
    await put(cache, item, say("Lyon."))
    found = await cache.find(near(REWORDED[1], feature="faq"))
    assert found.outcome == pb.OUTCOME_SEMANTIC
    await asyncio.sleep(1.2)  # the hit is on its way to the store
    request = pb.ReportWrongHitRequest(
        scope=item.scope, entry_key=found.entry_key, key=found.key, feature="faq"
    )
    told = await cache.stub.ReportWrongHit(request, timeout=30)
    assert told.removed
    assert told.stricter >= 1
    await put(cache, item, say("Paris."))
    again = await cache.find(near(REWORDED[1], feature="faq"))
    assert again.explanation.stricter == told.stricter
    assert again.outcome == pb.OUTCOME_MISS


async def test_texts_as_vectors(cache: Cache) -> None:
    """What means the same is closer than what does not; each vector has length one."""
    texts = [*CLOSE, "Our office opens at nine."]
    told = await cache.stub.Embed(pb.EmbedRequest(texts=texts), timeout=30)
    one, other, far = (vector.values for vector in told.vectors)
    assert sum(value * value for value in one) == pytest.approx(1, abs=1e-3)
    assert _dot(one, other) > 0.7
    assert _dot(one, far) < 0.4
    assert told.model


CLOSE = ("The refund is on its way to your card.", "We have sent the money back to your card.")


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
