"""Shadow calls: after the answer, within their purse, on nobody's account but their own."""

import asyncio

import pytest
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from gateway.saga.shadow import SHADOW_FEATURE, SHADOW_OF_TAG
from tests.fakes.saga_house import House

SHADOWED = "routing: {policy: target, learning: {shadow_percent: 2}}\n"
# The fake router's candidates cost 5,000 nano-USD at their worst; the fake ledger charges 1,000.
ONE_CALL = SHADOWED.replace("2}", '2, shadow_usd_per_day_max: "0.000005"}')


def shadowed(routing=SHADOWED, **says):
    house = House(routing)
    house.services.shadow = "dear"
    house.provider.says = {"up-cheap": "42", "up-dear": "The answer is 42."} | says
    return house


async def asked(house, **options):
    response = await house.complete(**options)
    await house.books.drain()
    return response


def scores(house):
    told = [o for o in house.services.asked["report_outcome"] if o.HasField("score")]
    assert {o.source for o in told} <= {router_pb.OUTCOME_SOURCE_SHADOW}
    return {o.model: o.score for o in told}


async def test_a_shadow_call_is_made_after_the_answer_and_booked_apart():
    """Its own hold, request, kind and feature; no user, no session; the answer costs as before."""
    house = shadowed()
    response = await asked(house, user="ann", session="s1")
    assert [call.model for call in house.provider.calls] == ["up-cheap", "up-dear"]
    first, second = house.services.asked["settle"]
    assert first.attempts[0].kind == entry_pb2.ENTRY_KIND_CALL
    (shadow,) = second.attempts
    assert (shadow.kind, shadow.model_used) == (entry_pb2.ENTRY_KIND_SHADOW, "dear")
    assert response.summary.cost_nanos == 1000
    hold = house.services.asked["reserve"][1]
    who = hold.attribution
    assert (who.tenant, who.feature, who.user, who.session) == ("acme", SHADOW_FEATURE, "", "")
    assert who.tags[SHADOW_OF_TAG] == response.summary.request_id != hold.request_id


@pytest.mark.parametrize(("strong", "score"), [("The answer is 42.", 1.0), ("41", 0.0)])
async def test_the_comparison_is_an_outcome_of_both_models(strong, score):
    """The strong model's answer is what the other is measured by."""
    house = shadowed(**{"up-dear": strong})
    response = await asked(house)
    assert scores(house) == {"cheap": score, "dear": 1.0}
    for outcome in house.services.asked["report_outcome"]:
        assert outcome.request_id == response.summary.request_id


async def test_prose_is_compared_with_nothing():
    """Equal words are no proof, other words no disproof: no label is made up."""
    house = shadowed(**{"up-cheap": "word " * 40, "up-dear": "other " * 40})
    await asked(house)
    assert len(house.provider.calls) == 2
    assert scores(house) == {}


async def test_an_answer_that_falls_by_itself_is_worse_whatever_the_strong_one_says():
    """Prose against a refusal can be told apart."""
    house = shadowed(**{"up-cheap": "I'm sorry, but I can't.", "up-dear": "other " * 40})
    await asked(house)
    assert scores(house) == {"cheap": 0.0, "dear": 1.0}


async def test_only_drawn_requests_have_a_shadow():
    """The router draws; no name, no call."""
    house = shadowed()
    house.services.shadow = ""
    await asked(house)
    assert len(house.provider.calls) == 1


async def test_the_purse_of_a_day_is_kept_and_filled_again():
    """A call that could cost more than what is left is not made; tomorrow there is more."""
    house = shadowed(ONE_CALL)
    await asked(house, text="one")
    assert len(house.provider.calls) == 2
    # 1,000 of 5,000 nano-USD are spent: another call at its worst has no room.
    await asked(house, text="two")
    assert len(house.provider.calls) == 3
    house.day = house.day.replace(day=2)
    await asked(house, text="three")
    assert len(house.provider.calls) == 5


@pytest.mark.parametrize("where", ["provider", "route", "reserve"])
async def test_a_shadow_that_fails_disturbs_nobody(where):
    """Its hold goes back, the answer stays."""
    house = shadowed()
    if where == "provider":
        house.provider.says["up-dear"] = ProviderUnavailable(
            "fake", Unavailability.SERVER_ERROR, billed=Billed.NO
        )
    response_task = asyncio.create_task(house.complete())
    if where != "provider":
        while not house.provider.calls:
            await asyncio.sleep(0)
        house.services.fail[where] = RuntimeError("gone")
    response = await response_task
    await house.books.drain()
    assert response.summary.cost_nanos == 1000
    assert scores(house) == {}
    ways = house.services.resolutions()
    assert all(len(each) == 1 for each in ways.values())
