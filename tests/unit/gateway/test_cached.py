"""What the saga makes of the cache: modes, semantic hits, leases, feedback."""

import asyncio

import pytest
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis.errors import InvalidFields
from gateway.door import Identity
from tests.fakes.saga_house import IDENTITY, House

SEMANTIC = """
cache:
  ttl_class: static
  features:
    faq: {mode: semantic, ttl_seconds: 60, wrong_hit_percent_max: 0.5, tool_calls: true}
    chat: {mode: "off"}
"""


def hit(outcome=cache_pb.OUTCOME_SEMANTIC, **more):
    choice = chat_pb2.Choice(
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content="Paris."),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
    )
    answer = cache_pb.Answer(
        choices=[choice], model="cheap", usage=chat_pb2.TokenUsage(input_tokens=5)
    )
    return cache_pb.Finding(
        outcome=outcome, key="a" * 64, entry_key="b" * 64, answer=answer, **more
    )


def answering(house, finding):
    async def lookup(item, deadline):
        house.services.asked["lookup"].append(item)
        return finding

    house.services.lookup = lookup


async def test_a_semantic_hit_costs_nothing_and_says_how_like_it_was():
    """Source, similarity and savings are told; the provider is not called."""
    house = House()
    answering(house, hit(similarity=0.93))
    response = await house.complete(cache_mode=pb.CACHE_MODE_SEMANTIC)
    summary = response.summary
    assert summary.source == pb.ANSWER_SOURCE_CACHE_SEMANTIC
    assert summary.similarity == 0.93
    assert summary.savings[0].cause == entry_pb2.SAVING_CAUSE_CACHE
    assert not house.services.asked["reserve"]
    assert house.services.asked["record"][0].attempt.kind == entry_pb2.ENTRY_KIND_CACHE_HIT


async def test_a_semantic_hit_streams():
    """A hit comes as deltas and a summary, like any answer."""
    house = House()
    answering(house, hit(similarity=0.93))
    events = [event async for event in house.stream(cache_mode=pb.CACHE_MODE_SEMANTIC)]
    assert "".join(event.delta.content for event in events) == "Paris."
    assert events[-1].summary.source == pb.ANSWER_SOURCE_CACHE_SEMANTIC


async def test_what_refused_the_nearest_is_told_when_asked():
    """A miss that explains itself names the nearest's likeness and what refused it."""
    house = House()
    house.services.finding = {
        "explanation": cache_pb.Explanation(
            candidates=[cache_pb.SeenCandidate(similarity=0.97, refused_by="guard.numbers")]
        )
    }
    response = await house.complete(cache_mode=pb.CACHE_MODE_SEMANTIC, cache_explain=True)
    assert house.services.asked["lookup"][0].explain
    assert response.summary.similarity == 0.97
    assert response.summary.cache_refused_by == "guard.numbers"
    assert not response.summary.feedback_token


@pytest.mark.parametrize(
    ("feature", "asked", "mode"),
    [
        ("", 0, cache_pb.LOOKUP_MODE_EXACT),
        ("faq", 0, cache_pb.LOOKUP_MODE_SEMANTIC),
        ("faq", pb.CACHE_MODE_EXACT, cache_pb.LOOKUP_MODE_EXACT),
        ("", pb.CACHE_MODE_SEMANTIC, cache_pb.LOOKUP_MODE_SEMANTIC),
        ("chat", 0, None),
        ("chat", pb.CACHE_MODE_EXACT, cache_pb.LOOKUP_MODE_EXACT),
    ],
)
async def test_the_fleet_file_says_what_a_request_does_not(feature, asked, mode):
    """A request's own word wins over its feature's, which wins over that for all."""
    house = House(SEMANTIC)
    await house.complete(feature=feature, cache_mode=asked)
    modes = [item.mode for item in house.services.asked["lookup"]]
    assert modes == ([] if mode is None else [mode])


async def test_a_features_policy_goes_with_its_answers():
    """Time to live, target, tags, cost and the place among neighbours reach the cache."""
    house = House(SEMANTIC)
    place = cache_pb.SemanticPlace(context="c" * 64, text="hello")
    house.services.finding = {"semantic": place}
    await house.complete(feature="faq", tags={"team": "a"}, user="ann")
    await house.books.drain()
    (asked,), (stored,) = house.services.asked["lookup"], house.services.asked["store"]
    assert asked.wrong_hit_ppm_max == 5_000
    assert (asked.feature, asked.user) == ("faq", "ann")
    assert stored.ttl_class == cache_pb.TTL_CLASS_STATIC
    assert stored.ttl.seconds == 60
    assert stored.tool_calls_allowed
    assert list(stored.tags) == ["team=a"]
    assert stored.semantic == place
    assert stored.answer.cost_nanos > 0


async def test_a_lease_is_renewed_while_the_provider_answers_and_goes_with_the_answer():
    """The leader keeps its lease alive; the stored answer gives it back."""
    house = House(cache_lease_ms=30)
    house.services.finding = {"lease": "token-1"}
    gate = house.services.gate["reserve"] = asyncio.Event()
    asking = asyncio.create_task(house.complete())
    async with asyncio.timeout(10):
        while len(house.services.asked["renew_lease"]) < 3:
            await asyncio.sleep(0.005)
    gate.set()
    await asking
    await house.books.drain()
    (stored,) = house.services.asked["store"]
    assert stored.lease == "token-1"
    assert all(item.lease_ms == 30 for item in house.services.asked["renew_lease"])


async def test_a_leader_that_fails_gives_its_lease_back():
    """The others need not wait for a lease that nobody works under."""
    house = House()
    house.services.finding = {"lease": "token-1"}
    house.services.fail["reserve"] = RuntimeError("no")
    with pytest.raises(RuntimeError):
        await house.complete()
    await house.books.drain()
    assert [item.lease_ms for item in house.services.asked["renew_lease"]] == [0]


async def test_an_answer_another_gateway_brings_is_waited_for():
    """Led elsewhere, the request waits and is served from the cache."""
    house = House()
    house.services.finding = {"led_elsewhere": True}
    house.services.awaited = [hit(cache_pb.OUTCOME_EXACT)]
    response = await house.complete()
    assert response.summary.source == pb.ANSWER_SOURCE_CACHE_EXACT
    assert not house.services.asked["reserve"]


async def test_a_waiter_whose_leader_died_leads():
    """With the lease it calls the provider itself, and hands lease and answer to the cache."""
    house = House()
    place = cache_pb.SemanticPlace(context="c" * 64, text="hello")
    house.services.finding = {"led_elsewhere": True, "semantic": place}
    house.services.awaited = [
        cache_pb.Finding(outcome=cache_pb.OUTCOME_MISS, key="a" * 64, lease="token-2")
    ]
    response = await house.complete()
    await house.books.drain()
    assert response.summary.source == pb.ANSWER_SOURCE_PROVIDER
    (stored,) = house.services.asked["store"]
    assert (stored.lease, stored.semantic) == ("token-2", place)


async def test_a_cache_that_fails_while_waiting_fails_nobody():
    """Without a word from the cache everybody calls for himself."""
    house = House()
    house.services.finding = {"led_elsewhere": True}
    house.services.fail["await_answer"] = RuntimeError("away")
    response = await house.complete()
    assert response.summary.source == pb.ANSWER_SOURCE_PROVIDER


async def test_a_stream_takes_no_lease():
    """A stream is nobody's leader: others would wait for its slowest reader."""
    house = House()
    async for _ in house.stream():
        pass
    assert house.services.asked["lookup"][0].lease_ms == 0


async def test_feedback_reaches_the_cache_with_the_hit_it_speaks_of():
    """What Summary gave names entry, key, scope and feature."""
    house = House()
    answering(house, hit(similarity=0.9))
    summary = (await house.complete(feature="faq")).summary
    told = await house.door.submit_feedback(
        pb.SubmitFeedbackRequest(feedback_token=summary.feedback_token, verdict=pb.VERDICT_BAD),
        IDENTITY,
    )
    (report,) = house.services.asked["report_wrong_hit"]
    assert told.removed
    assert (report.entry_key, report.key, report.feature) == ("b" * 64, "a" * 64, "faq")
    assert report.scope == cache_pb.Scope(tenant="acme")
    assert report.verdict == cache_pb.HIT_VERDICT_WRONG


async def test_feedback_of_others_is_refused():
    """A token of another tenant, or of a project the key is not for, changes nothing."""
    house = House("cache: {scope: project}\n")
    answering(house, hit())
    token = (await house.complete(project="blue")).summary.feedback_token
    strangers = [
        Identity(tenant="globex", key_id="k2"),
        Identity(tenant="acme", key_id="k3", project="red"),
    ]
    for identity in strangers:
        with pytest.raises(InvalidFields):
            await house.door.submit_feedback(
                pb.SubmitFeedbackRequest(feedback_token=token, verdict=pb.VERDICT_BAD), identity
            )
    assert not house.services.asked["report_wrong_hit"]


@pytest.mark.parametrize("token", ["", "x", "%%%", "AAAA", "a" * 3_000, "é"])
async def test_a_made_up_token_is_refused(token):
    """What the gateway never gave is refused with the field's name."""
    house = House()
    with pytest.raises(InvalidFields) as refused:
        await house.door.submit_feedback(
            pb.SubmitFeedbackRequest(feedback_token=token, verdict=pb.VERDICT_BAD), IDENTITY
        )
    assert refused.value.reason == "REQUEST_INVALID"
    assert refused.value.violations[0].field == "feedback_token"


@pytest.mark.parametrize(
    ("similarity", "refused_by", "named"),
    [
        (0.97, "verifier", True),
        (0.97, "guard.numbers", False),
        (0.80, "similarity", False),
    ],
)
async def test_a_prompt_that_was_paid_for_nearly_twice_is_named_in_the_books(
    similarity, refused_by, named
):
    """Near enough, and refused for nothing that can be pointed at; the caller hears nothing."""
    house = House()
    seen = cache_pb.SeenCandidate(entry_key="k1", similarity=similarity, refused_by=refused_by)
    told = cache_pb.Explanation(candidates=[seen], similarity_min=0.9)
    house.services.finding = {"explanation": told}
    response = await house.complete(cache_mode=pb.CACHE_MODE_SEMANTIC)
    (attempt,) = house.services.asked["settle"][0].attempts
    assert bool(attempt.facts.near_hash) is named
    assert "k1" not in attempt.facts.near_hash
    assert not response.summary.cache_refused_by
