"""What the cache's callers see, over a real socket and a real Redis."""

import asyncio
import logging
import random
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.errors import RemoteError
from cli.embedded.redis import RedisServer
from tests.integration.cache.conftest import Cache, ask, running_cache, say

PAIRS = 2_000
BATCH = 250


async def test_the_articles_example(cache: Cache) -> None:
    """The same question in lower case is served; the one about Germany is not."""
    await cache.keep(ask("What is the capital of France?"), say("Paris."))
    lower = await cache.find(ask("what is the capital of france?"))
    assert lower.outcome == pb.OUTCOME_EXACT
    assert lower.answer == say("Paris.")
    assert (await cache.find(ask("What is the capital of Germany?"))).outcome == pb.OUTCOME_MISS


async def test_the_same_answer_twice_is_kept_once(cache: Cache) -> None:
    """Storing again leaves one key in Redis and a fresh time to live."""
    for _ in range(2):
        await cache.keep(ask(), say())
    async with cache.redis() as client:
        assert len(await client.keys("*:x:*")) == 1


async def test_an_answer_lapses(redis_server: RedisServer) -> None:
    """A class whose time is a second is gone a moment later, without anybody's doing."""
    async with running_cache(redis_server, ttl_exact_seconds=1) as cache:
        stored = await cache.keep(ask(), say())
        assert stored.HasField("expire_time")
        async with asyncio.timeout(30):
            while (await cache.find(ask())).outcome != pb.OUTCOME_MISS:
                await asyncio.sleep(0.05)


async def test_a_time_to_live_can_be_asked_for(cache: Cache) -> None:
    """Redis itself forgets the answer when it was asked to."""
    await cache.keep(ask(), say(), ttl=Duration(seconds=300))
    async with cache.redis() as client:
        (key,) = await client.keys("*:x:*")
        assert 250_000 < await client.pttl(key) <= 300_000


async def test_redis_knows_no_names_and_no_prompts(cache: Cache) -> None:
    """Keys hold neither tenant nor text; all keys of a scope share one hash tag."""
    for text in ("first question", "second question"):
        await cache.keep(ask(text, tenant="canary-tenant"), say())
    async with cache.redis() as client:
        keys = [key.decode() for key in await client.keys("*:x:*")]
    assert len({key.partition("}")[0] for key in keys}) == 1
    assert not any("canary" in key or "question" in key for key in keys)


async def test_nothing_is_served_beyond_its_partition(cache: Cache) -> None:
    """2,000 random pairs over scope, model, prompt and settings: a hit only for the very same."""
    chance = random.Random(20261123)
    stored = [_random_item(chance) for _ in range(PAIRS)]
    asked = [_changed(item, chance) for item in stored]
    findings = await _find_all(cache, stored)
    keeps = [
        pb.StoreItem(scope=item.scope, key=finding.key, answer=say(_identity(item)))
        for item, finding in zip(stored, findings, strict=True)
    ]
    for start in range(0, PAIRS, BATCH):
        await cache.stub.Store(pb.StoreRequest(items=keeps[start : start + BATCH]), timeout=60)
    known = {_identity(item) for item in stored}
    hits = 0
    for item, finding in zip(asked, await _find_all(cache, asked), strict=True):
        is_known = _identity(item) in known
        assert finding.outcome == (pb.OUTCOME_EXACT if is_known else pb.OUTCOME_MISS)
        if is_known:
            hits += 1
            assert finding.answer.choices[0].message.content == _identity(item)
    assert 0 < hits < PAIRS


@pytest.mark.parametrize("spoil", [b"", b"\x07", b"\x02" + b"\x00" * 60, "append", "version"])
async def test_a_value_that_cannot_be_read_is_a_miss_and_goes(
    cache: Cache, spoil: bytes | str
) -> None:
    """Rot, another version and garbage in Redis: a miss, and the value is removed."""
    await cache.keep(ask(), say())
    async with cache.redis() as client:
        (key,) = await client.keys("*:x:*")
        value = await client.get(key)
        spoiled = {"append": value + b"x", "version": b"\x01" + value[1:]}
        await client.set(key, spoiled[spoil] if isinstance(spoil, str) else spoil)
        assert (await cache.find(ask())).outcome == pb.OUTCOME_MISS
        async with asyncio.timeout(30):
            while await client.exists(key):
                await asyncio.sleep(0.01)


async def test_a_value_of_another_kind_is_a_miss(cache: Cache) -> None:
    """A key that somebody made a list of is no error."""
    finding = await cache.find(ask())
    await cache.keep(ask(), say())
    async with cache.redis() as client:
        (key,) = await client.keys("*:x:*")
        await client.delete(key)
        await client.rpush(key, "x")
    assert (await cache.find(ask())) == finding


@pytest.mark.parametrize("count", [0, 257])
async def test_a_batch_has_limits(cache: Cache, count: int) -> None:
    """No items, or more than 256, are refused for both calls."""
    for call in (
        cache.stub.Lookup(pb.LookupRequest(items=[ask()] * count), timeout=30),
        cache.stub.Store(pb.StoreRequest(items=[pb.StoreItem()] * count), timeout=30),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        _, reason, metadata = _reason(RemoteError.from_rpc(caught.value).status)
        assert reason == "ITEMS_INVALID"
        assert metadata == {"itemCount": str(count), "itemCountMax": "256"}


async def test_items_fail_alone_with_reasons(cache: Cache) -> None:
    """Each bad item gets a status with reason and domain, its neighbour its finding."""
    nameless = ask(tenant="")
    modelless = ask(model="")
    good, scope, model = await cache.look_up(ask(), nameless, modelless)
    assert good.finding.outcome == pb.OUTCOME_MISS
    assert _reason(scope.error) == ("cache.spendgate", "SCOPE_INVALID", {})
    assert _reason(model.error) == ("cache.spendgate", "PROMPT_INVALID", {})


async def test_an_item_whose_time_is_up_fails_alone(cache: Cache) -> None:
    """Nobody waits for it any more; its neighbour gets its finding."""
    late = ask()
    late.timeout_ms = -1
    failed, good = await cache.look_up(late, ask())
    assert _reason(failed.error) == ("cache.spendgate", "DEADLINE_PASSED", {})
    assert good.finding.outcome == pb.OUTCOME_MISS


@pytest.mark.parametrize(
    ("change", "reason", "metadata"),
    [
        ({"key": "short"}, "KEY_INVALID", {}),
        ({"scope": pb.Scope()}, "SCOPE_INVALID", {}),
        (
            {"ttl": Duration(seconds=10**9)},
            "TTL_INVALID",
            {"ttlSeconds": "1000000000", "ttlSecondsMax": "7776000"},
        ),
        (
            {"answer": pb.Answer(model="m", choices=[chat_pb2.Choice(finish_reason=2)])},
            "ANSWER_NOT_STORABLE",
            {"finishReason": "LENGTH"},
        ),
    ],
)
async def test_a_refused_answer_says_why(
    cache: Cache, change: dict[str, Any], reason: str, metadata: dict[str, str]
) -> None:
    """Every refusal of Store carries its reason and numbers."""
    item = pb.StoreItem(
        **{"scope": pb.Scope(tenant="t"), "key": "0" * 64, "answer": say(), **change}
    )
    response = await cache.stub.Store(pb.StoreRequest(items=[item]), timeout=30)
    assert _reason(response.results[0].error) == ("cache.spendgate", reason, metadata)


async def test_an_answer_too_large_is_refused_with_its_size(redis_server: RedisServer) -> None:
    """The limit on answers is told in bytes."""
    async with running_cache(redis_server, answer_bytes_max=100) as cache:
        stored = await cache.keep(ask(), say("x" * 200))
        _, reason, metadata = _reason(stored.error)
        assert reason == "ANSWER_NOT_STORABLE"
        assert metadata["answerBytesMax"] == "100"
        assert int(metadata["answerBytes"]) > 200


async def test_no_text_reaches_logs_or_statuses(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """A canary in prompt, answer and names appears in no log line and no status."""
    caplog.set_level(logging.DEBUG)
    canary = "canary-7f3a"
    statuses = []
    for item in (ask(canary), ask(canary, tenant=canary * 20), ask(canary, model=canary * 40)):
        statuses += [str(result.error) for result in await cache.look_up(item)]
    stored = await cache.keep(ask(canary), say(canary * 10), ttl=Duration(seconds=10**9))
    statuses.append(str(stored.error))
    async with cache.redis() as client:
        await cache.keep(ask(canary), say(canary))
        (key,) = await client.keys("*:x:*")
        await client.set(key, canary)
        await cache.find(ask(canary))
    assert not any(canary in text for text in statuses)
    assert canary not in caplog.text
    assert not any(canary in str(vars(record)) for record in caplog.records)


def _random_item(chance: random.Random) -> pb.LookupItem:
    """One of a few values in every dimension, so that collisions would show."""
    sampling = chat_pb2.Sampling()
    if chance.random() < 0.5:
        sampling.seed = chance.randrange(2)
    if chance.random() < 0.5:
        sampling.temperature = 0.0
    prompt = chat_pb2.Prompt(sampling=sampling)
    if chance.random() < 0.8:
        prompt.messages.add(role=chat_pb2.ROLE_SYSTEM, content=chance.choice(["Help.", "Hinder."]))
    prompt.messages.add(role=chat_pb2.ROLE_USER, content=f"question {chance.randrange(3)} please")
    if chance.random() < 0.5:
        prompt.tools.add(name=chance.choice(["find", "send"]), parameters_json='{"a":1,"b":2}')
    scope = pb.Scope(
        tenant=chance.choice(["acme", "ac"]),
        project=chance.choice(["", "me"]),
        user=chance.choice(["", "me"]),
    )
    return pb.LookupItem(scope=scope, model=chance.choice(["auto", "small"]), prompt=prompt)


def _changed(item: pb.LookupItem, chance: random.Random) -> pb.LookupItem:
    """`item` with one dimension drawn anew; now and then it stays as it was."""
    other = _random_item(chance)
    made = pb.LookupItem()
    made.CopyFrom(item)
    dimension = chance.randrange(5)
    if dimension == 0:
        made.scope.CopyFrom(other.scope)
    elif dimension == 1:
        made.model = other.model
    elif dimension == 2:
        made.prompt.sampling.CopyFrom(other.prompt.sampling)
    elif dimension == 3:
        del made.prompt.messages[:]
        made.prompt.messages.extend(other.prompt.messages)
    else:
        made.prompt.ClearField("tools")
        made.prompt.tools.extend(other.prompt.tools)
    return made


def _identity(item: pb.LookupItem) -> str:
    """What the item is, told without the code under test."""
    sampling = item.prompt.sampling
    return repr(
        (
            (item.scope.tenant, item.scope.project, item.scope.user),
            item.model,
            [(message.role, message.content) for message in item.prompt.messages],
            [tool.name for tool in item.prompt.tools],
            sampling.seed if sampling.HasField("seed") else None,
            sampling.temperature if sampling.HasField("temperature") else None,
        )
    )


async def _find_all(cache: Cache, items: list[pb.LookupItem]) -> list[pb.Finding]:
    findings = []
    for start in range(0, len(items), BATCH):
        results = await cache.look_up(*items[start : start + BATCH])
        findings += [result.finding for result in results]
    return findings


def _reason(status: status_pb2.Status) -> tuple[str, str, dict[str, str]]:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.domain, info.reason, dict(info.metadata)
