"""Who may be served what, and how it lies in Redis: over a real socket and a real Redis."""

import base64
import os
from collections.abc import Sequence

import pytest
from google.rpc import error_details_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.settings import SettingsError
from cli.embedded.redis import RedisServer
from services.cache.settings import CacheSettings
from tests.integration.cache.conftest import Cache, ask, running_cache
from tests.integration.cache.test_verbs import ACME, paid


async def test_a_user_has_a_quota(redis_server: RedisServer) -> None:
    """Over the limit a user's answers are refused; those kept, and other users', stay."""
    async with running_cache(redis_server, user_entries_max=2) as cache:
        outcomes = []
        for text in ("a", "b", "c", "a"):
            outcomes.append(await cache.keep(ask(text), paid(), user="eve"))
        assert [o.WhichOneof("outcome") for o in outcomes] == [
            "expire_time",
            "expire_time",
            "error",
            "expire_time",
        ]
        info = error_details_pb2.ErrorInfo()
        assert outcomes[2].error.details[0].Unpack(info)
        assert (info.reason, info.metadata["entryCountMax"]) == ("QUOTA_EXCEEDED", "2")
        assert (await cache.keep(ask("c"), paid(), user="ann")).HasField("expire_time")


async def test_others_get_an_entry_once_enough_users_brought_it(redis_server: RedisServer) -> None:
    """One user's entry is his alone until a second one brought it too, or an operator allows it."""

    def of(user: str, text: str = "q") -> pb.LookupItem:
        item = ask(text)
        item.user = user
        return item

    async with running_cache(redis_server, users_min=2) as cache:
        await cache.keep(of("eve"), paid("bad"), user="eve")
        assert (await cache.find(of("eve"))).outcome == pb.OUTCOME_EXACT
        for user in ("ann", ""):
            assert (await cache.find(of(user))).outcome == pb.OUTCOME_MISS
        await cache.keep(of("ann"), paid("good"), user="ann")
        found = await cache.find(of("bob"))
        assert found.answer.choices[0].message.content == "good"
        await cache.keep(of("eve", "r"), paid(), user="eve")
        key = (await cache.find(of("eve", "r"))).key
        request = pb.AllowEntriesRequest(scope=ACME, keys=[key, "0" * 64])
        assert (await cache.stub.AllowEntries(request, timeout=30)).allowed_count == 1
        assert (await cache.find(of("bob", "r"))).outcome == pb.OUTCOME_EXACT


def _keys(*ids: int) -> str:
    made = {n: base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)}
    return ",".join(f"{n}:{made[n]}" for n in ids)


async def test_values_are_encrypted_and_keys_rotate(redis_server: RedisServer) -> None:
    """With a key no text can be read in Redis; a new key opens old values while both are given,
    and without the old one they are misses."""
    texts = [f"secret {os.urandom(4).hex()}" for _ in range(2)]

    async def outcomes(keys: str | None, store: Sequence[str] = ()) -> list[int]:
        async with running_cache(redis_server, value_keys=keys) as cache:
            for text in store:
                await cache.keep(ask(text), paid(text))
            return [(await cache.find(ask(text))).outcome for text in texts]

    hit, miss = pb.OUTCOME_EXACT, pb.OUTCOME_MISS
    assert await outcomes(_keys(1), texts[:1]) == [hit, miss]
    async with running_cache(redis_server) as cache, cache.redis() as client:
        for key in await client.keys("*:x:*"):
            assert b"secret" not in await client.get(key)
    assert await outcomes(_keys(2, 1), texts[1:]) == [hit, hit]
    assert await outcomes(_keys(2)) == [miss, hit]


@pytest.mark.parametrize("keys", ["x", "1:AAAA", "0:" + "A" * 44, "1:a,1:b"])
def test_keys_that_are_none_are_refused_without_showing_them(keys: str) -> None:
    """A malformed key stops the start, and is not repeated."""
    with pytest.raises(SettingsError) as refused:
        CacheSettings.from_env({"SPENDGATE_REDIS_URL": "redis://x", "SPENDGATE_VALUE_KEYS": keys})
    assert "SPENDGATE_VALUE_KEYS" in str(refused.value)
    assert "AAAA" not in str(refused.value)


async def test_long_answers_are_kept_small(cache: Cache) -> None:
    """An answer that repeats itself takes a fraction of its length in Redis."""
    await cache.keep(ask("q"), paid("the same again. " * 2_000))
    async with cache.redis() as client:
        (key,) = await client.keys("*:x:*")
        assert await client.strlen(key) < 1_000
    assert len((await cache.find(ask("q"))).answer.choices[0].message.content) == 32_000


async def test_tool_calls_are_kept_only_by_policy(cache: Cache) -> None:
    """An answer that asks for tools is refused unless the caller's policy says otherwise."""
    answer = pb.Answer(model="m")
    choice = answer.choices.add(finish_reason=chat_pb2.FINISH_REASON_TOOL_CALLS)
    choice.message.tool_calls.add(id="1", name="find", arguments_json="{}")
    refused = await cache.keep(ask("q"), answer)
    assert refused.HasField("error")
    kept = await cache.keep(ask("q"), answer, tool_calls_allowed=True)
    assert kept.HasField("expire_time")
    assert (await cache.find(ask("q"))).answer == answer


async def test_a_request_may_bring_its_own_bound_on_temperature(cache: Cache) -> None:
    """The policy of a feature decides which temperature still is cached."""
    item = ask("q", sampling=chat_pb2.Sampling(temperature=0.5))
    assert (await cache.find(item)).outcome == pb.OUTCOME_NOT_CACHEABLE
    item.temperature_max = 0.7
    assert (await cache.find(item)).outcome == pb.OUTCOME_MISS
