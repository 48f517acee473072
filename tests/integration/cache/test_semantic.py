"""Semantic look-ups as callers see them, over a real socket and a real Redis 8 or Valkey."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from cli.embedded.redis import RedisServer
from services.cache.wiring_semantic import Loaded
from tests.fakes.judge import FakeCalibrator, FakeJudge
from tests.fakes.valkey import valkey_url
from tests.integration.cache.conftest import Cache, ask, running_cache, say

SEMANTIC = pb.LOOKUP_MODE_SEMANTIC
CAPITAL = "What is the capital of France?"
REWORDED = ("What's the capital city of France?", "Tell me France's capital")


def near(text: str = CAPITAL, **more: Any) -> pb.LookupItem:
    """A semantic look-up that explains itself."""
    item = ask(text)
    item.MergeFrom(pb.LookupItem(mode=SEMANTIC, explain=True, **more))
    return item


@asynccontextmanager
async def semantic_cache(
    server: RedisServer, judge: FakeJudge | None = None, **settings: Any
) -> AsyncIterator[Cache]:
    """The service with a judge that needs no model, once semantic look-ups are on."""
    loaded = Loaded(judge or FakeJudge(), settings.pop("calibrator", FakeCalibrator()))
    given = {"semantic": True, "semantic_ms_max": 5_000, **settings}
    async with running_cache(server, load=lambda threads: loaded, **given) as cache:
        async with asyncio.timeout(30):
            while cache.health.parts()["semantic"][0] != "ok":
                await asyncio.sleep(0.01)
        yield cache


@pytest.fixture
async def cache(redis_server: RedisServer) -> AsyncIterator[Cache]:
    async with semantic_cache(redis_server) as service:
        yield service


async def put(cache: Cache, item: pb.LookupItem, answer: pb.Answer, **more: Any) -> pb.Finding:
    """Looks `item` up, misses, and stores `answer` where similar prompts find it."""
    found = await cache.find(item)
    assert not found.HasField("answer")
    stored = pb.StoreItem(
        scope=item.scope,
        key=found.key,
        answer=answer,
        semantic=found.semantic if found.HasField("semantic") else None,
        feature=item.feature,
        user=item.user,
        model_asked=item.model,
        **more,
    )
    response = await cache.stub.Store(pb.StoreRequest(items=[stored]), timeout=30)
    assert response.results[0].HasField("expire_time"), response.results[0].error
    return found


async def test_the_articles_example(cache: Cache) -> None:
    """Reworded questions are served, lower case is the very same, Germany is never France."""
    await put(cache, near(), say("Paris."))
    assert (await cache.find(near(CAPITAL.lower()))).outcome == pb.OUTCOME_EXACT
    for text in REWORDED:
        found = await cache.find(near(text))
        assert found.outcome == pb.OUTCOME_SEMANTIC
        assert found.answer == say("Paris.")
        assert 0.85 <= found.similarity < 1
        assert found.p_same == pytest.approx(0.9)
    other = await cache.find(near("near what is the capital of france?"))
    assert other.outcome == pb.OUTCOME_MISS
    assert other.explanation.candidates[0].refused_by == "verifier"


async def test_without_the_mode_only_the_very_same_is_served(cache: Cache) -> None:
    """A look-up that does not ask for it never gets another prompt's answer."""
    await put(cache, near(), say("Paris."))
    assert (await cache.find(ask(REWORDED[0]))).outcome == pb.OUTCOME_MISS


async def test_a_miss_brings_the_embedding_it_made(cache: Cache) -> None:
    """Asked for, the vector comes with a miss; not asked for, only where it was made anyway."""
    found = await cache.find(near("who wrote faust?", vector_wanted=True))
    assert len(found.vector) == 384
    assert found.vector_model == "fake/1"
    again = await cache.find(near("who wrote hamlet?"))
    assert not again.vector
    assert again.explanation.screened_out


async def test_history_must_be_the_very_same(cache: Cache) -> None:
    """With another system prompt, history or tools the same question is another question."""
    await put(cache, near(), say("Paris."))
    changes = [
        chat_pb2.Prompt(tools=[chat_pb2.Tool(name="find")]),
        chat_pb2.Prompt(response_format_json='{"type":"json_object"}'),
        chat_pb2.Prompt(sampling=chat_pb2.Sampling(seed=3)),
    ]
    for change in changes:
        item = near(REWORDED[0])
        item.prompt.MergeFrom(change)
        assert (await cache.find(item)).outcome == pb.OUTCOME_MISS
    item = near(REWORDED[0])
    item.prompt.messages.insert(0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="Lie."))
    assert (await cache.find(item)).outcome == pb.OUTCOME_MISS
    item = near(REWORDED[0])
    item.model = "small"
    assert (await cache.find(item)).outcome == pb.OUTCOME_MISS
    assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_SEMANTIC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("what is my balance", "exact_only"),
        ("what is the weather today", "exact_only"),
        ("word " * 200, "exact_only"),
    ],
)
async def test_what_may_not_be_served_to_others_is_not_looked_up(
    cache: Cache, text: str, why: str
) -> None:
    """A question about the asker or the day, and one too long to be read whole: exact only."""
    found = await cache.find(near(text))
    assert found.explanation.skipped == why
    assert not found.HasField("semantic")
    assert len(found.key) == 64


async def test_an_owner_may_ask_about_himself(redis_server: RedisServer) -> None:
    """In a scope of one user "my" has one meaning."""
    same = (("what is my balance?", "tell me my balance"),)
    async with semantic_cache(redis_server, FakeJudge(same=same)) as cache:
        items = []
        for text in same[0]:
            item = near(text)
            item.scope.user = "ann"
            items.append(item)
        await put(cache, items[0], say("12."))
        assert (await cache.find(items[1])).outcome == pb.OUTCOME_SEMANTIC


async def test_a_semantic_answer_lives_shorter(cache: Cache) -> None:
    """Similar prompts find an answer for the semantic class's time, the very same prompt longer."""
    await put(cache, near(), say(), semantic_ttl=Duration(seconds=1))
    assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_SEMANTIC
    async with asyncio.timeout(30):
        while (await cache.find(near(REWORDED[0]))).outcome != pb.OUTCOME_MISS:
            await asyncio.sleep(0.05)
    assert (await cache.find(near())).outcome == pb.OUTCOME_EXACT
    async with cache.redis() as client:
        assert not await client.keys("*:v:*")


async def test_an_entry_of_another_model_is_a_miss_and_goes(redis_server: RedisServer) -> None:
    """After a change of weights old neighbours are not served."""
    async with semantic_cache(redis_server, FakeJudge(model_version="fake/1")) as cache:
        await put(cache, near(), say())
    async with semantic_cache(redis_server, FakeJudge(model_version="fake/2")) as cache:
        assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_MISS
        assert (await cache.find(near())).outcome == pb.OUTCOME_EXACT


async def test_a_lost_value_is_a_miss_and_leaves_the_index(cache: Cache) -> None:
    """A neighbour whose value is gone or rotten is no neighbour, and is not looked at again."""
    await put(cache, near(), say())
    async with cache.redis() as client:
        (where,) = await client.keys("*:x:*")
        await client.set(where, b"\x02rot")
        assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_MISS
        async with asyncio.timeout(30):
            while await client.keys("*:v:*") or await client.exists(where):
                await asyncio.sleep(0.01)


async def test_a_slow_or_broken_judge_is_a_miss(redis_server: RedisServer) -> None:
    """Over its time, or failing, the judge serves nothing and the look-up still answers."""
    judge = FakeJudge()
    async with semantic_cache(redis_server, judge, semantic_ms_max=200) as cache:
        await put(cache, near(), say())
        judge.fails = True
        found = await cache.find(near(REWORDED[0]))
        assert (found.outcome, found.explanation.skipped) == (pb.OUTCOME_MISS, "failed")
        judge.fails, judge.slow_seconds = False, 0.5
        found = await cache.find(near(REWORDED[1]))
        assert (found.outcome, found.explanation.skipped) == (pb.OUTCOME_MISS, "late")
        assert (await cache.find(near())).outcome == pb.OUTCOME_EXACT


async def test_embedding_is_batched_and_off_the_loop(redis_server: RedisServer) -> None:
    """Concurrent look-ups share embedding calls, on worker threads, each text at most once."""
    judge = FakeJudge()
    async with semantic_cache(redis_server, judge) as cache:
        items = [near(f"question number {n}", vector_wanted=True) for n in range(64)]
        await asyncio.gather(*(cache.look_up(item, item) for item in items))
        texts = [text for batch in judge.embedded for text in batch]
        assert len(set(texts)) == 64
        assert len(judge.embedded) < 64
        assert all(name.startswith("cache-judge") for name in judge.threads)
        await cache.find(items[0])
        assert len([text for batch in judge.embedded for text in batch]) == len(texts)


async def test_it_works_on_valkey_without_vector_sets(tmp_path: Path) -> None:
    """A server without vector sets gets the in-process index, built from the store at start."""

    class Server:
        def __init__(self, url: str) -> None:
            self.url = url

    with valkey_url(tmp_path / "valkey") as url:
        server: Any = Server(url)
        async with semantic_cache(server) as cache:
            await put(cache, near(), say("Paris."))
            assert (await cache.find(near(REWORDED[0]))).outcome == pb.OUTCOME_SEMANTIC
        async with semantic_cache(server) as cache:
            async with asyncio.timeout(30):
                while (await cache.find(near(REWORDED[0]))).outcome != pb.OUTCOME_SEMANTIC:
                    await asyncio.sleep(0.05)


async def test_nothing_is_served_across_scopes_in_10000_look_ups(cache: Cache) -> None:
    """Random tenants, models, system prompts and tools: a semantic hit is always the own one."""
    chance = random.Random(5)
    texts = (CAPITAL, *REWORDED)

    def drawn() -> tuple[pb.LookupItem, str]:
        item = near(chance.choice(texts))
        item.explain = False
        item.scope.tenant = chance.choice(["acme", "globex", "ac"])
        item.scope.project = chance.choice(["", "me"])
        item.model = chance.choice(["auto", "small"])
        system = chance.choice(["", "Help.", "Help!"])
        if system:
            item.prompt.messages.insert(
                0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=system)
            )
        tool = chance.choice(["", "find", "send"])
        if tool:
            item.prompt.tools.add(name=tool)
        return item, repr((item.scope.tenant, item.scope.project, item.model, system, tool))

    for _ in range(60):
        item, name = drawn()
        if not (await cache.find(item)).HasField("answer"):
            await put(cache, item, say(name))
    hits = {pb.OUTCOME_EXACT: 0, pb.OUTCOME_SEMANTIC: 0}
    for _ in range(40):
        pairs = [drawn() for _ in range(250)]
        for (_, name), result in zip(
            pairs, await cache.look_up(*(item for item, _ in pairs)), strict=True
        ):
            if result.finding.HasField("answer"):
                hits[result.finding.outcome] += 1
                assert result.finding.answer.choices[0].message.content == name
    assert min(hits.values()) > 100


async def test_a_wrong_hit_goes_at_once_and_makes_the_feature_stricter(cache: Cache) -> None:
    """A report removes the entry and raises the floor of its feature, and of no other."""
    asking = await put(cache, near(feature="faq"), say("Lyon."))
    found = await cache.find(near(REWORDED[0], feature="faq"))
    assert found.outcome == pb.OUTCOME_SEMANTIC
    request = pb.ReportWrongHitRequest(
        scope=pb.Scope(tenant="acme"), entry_key=found.entry_key, key=found.key, feature="faq"
    )
    await asyncio.sleep(1.2)  # the hit is on its way to the store
    told = await cache.stub.ReportWrongHit(request, timeout=30)
    assert found.entry_key == asking.key
    assert (told.removed, told.learned) == (True, True)
    assert told.stricter == 1.0
    again = await cache.find(near(REWORDED[0], feature="faq"))
    assert (again.outcome, again.explanation.stricter) == (pb.OUTCOME_MISS, 1.0)
    assert (await cache.find(near(REWORDED[0]))).explanation.stricter == 0
    # Once: a hit that was reported, or never was, teaches nothing.
    twice = await cache.stub.ReportWrongHit(request, timeout=30)
    assert (twice.removed, twice.learned) == (False, False)
