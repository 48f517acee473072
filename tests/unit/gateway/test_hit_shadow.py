"""Semantic hits asked anew, compared and booked; the caller never waits."""

import pytest
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from gateway.saga.hit_shadow import SHADOW_TAG, say_the_same
from tests.fakes.saga_house import House
from tests.unit.gateway.test_cached import answering, hit

FLEET = "cache: {mode: semantic, shadow_percent: 3}\n"


async def compared(outcome=cache_pb.OUTCOME_SEMANTIC, drawn=0.02, **more):
    """A house that served one hit, once all that follows is done."""
    house = House(FLEET)
    house.drawn = drawn
    answering(house, hit(outcome, **more))
    response = await house.complete(feature="faq")
    assert response.choices[0].message.content == "Paris."
    await house.books.drain()
    return house


async def test_a_hit_that_is_drawn_is_compared_and_booked():
    """The fresh call holds and settles under a request of its own; the cache hears the verdict."""
    house = await compared(similarity=0.9)
    assert len(house.provider.calls) == 1
    (reserve,) = house.services.asked["reserve"]
    assert reserve.attribution.tags[SHADOW_TAG] == "1"
    assert house.services.resolutions()[reserve.hold_id] == ["settle"]
    (record,) = house.services.asked["record"]
    assert record.request_id != reserve.request_id
    assert SHADOW_TAG not in record.attribution.tags
    (report,) = house.services.asked["report_wrong_hit"]
    assert report.judge == cache_pb.HIT_JUDGE_SHADOW
    assert report.verdict == cache_pb.HIT_VERDICT_WRONG  # "Hello there" is not "Paris."
    assert (report.entry_key, report.key, report.feature) == ("b" * 64, "a" * 64, "faq")
    assert not house.services.asked["store"]


async def test_an_equal_answer_is_right():
    """What says the same teaches that the hit was right."""
    house = House(FLEET)
    house.drawn = 0.0
    house.provider.pieces = ("paris",)
    answering(house, hit(similarity=0.9))
    async for _ in house.stream():
        pass
    await house.books.drain()
    (report,) = house.services.asked["report_wrong_hit"]
    assert report.verdict == cache_pb.HIT_VERDICT_RIGHT


@pytest.mark.parametrize(
    ("outcome", "drawn"),
    [(cache_pb.OUTCOME_SEMANTIC, 0.03), (cache_pb.OUTCOME_EXACT, 0.0)],
)
async def test_others_are_not(outcome, drawn):
    """Hits that chance leaves out, and exact ones, cost nothing more."""
    house = await compared(outcome, drawn)
    assert not house.provider.calls
    assert not house.services.asked["report_wrong_hit"]


async def test_a_refused_comparison_is_nobodys_failure():
    """A budget that would break ends the comparison, not the request."""
    house = House(FLEET)
    house.drawn = 0.0
    house.services.fail["reserve"] = RuntimeError("budget")
    answering(house, hit(similarity=0.9))
    response = await house.complete()
    await house.books.drain()
    assert response.summary.source == pb.ANSWER_SOURCE_CACHE_SEMANTIC
    assert not house.services.asked["report_wrong_hit"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris.", "paris", True),
        ("Paris.", "Lyon.", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ("word " * 20, "other " * 20, None),
        ("word " * 20, "word " * 20, True),
        ("", "Paris", None),
        (
            "It is due on the 4th. " * 5 + "The answer is 1,200.",
            "First. " * 20 + "Answer: 1200",
            True,
        ),
        ("Long. " * 20 + "The answer is 12.", "Other. " * 20 + "The answer is 13.", False),
    ],
)
def test_what_can_be_told_from_texts(one, other, same):
    """Short answers, JSON and final results can be compared; prose that differs proves nothing."""
    assert say_the_same(one, other) is same
