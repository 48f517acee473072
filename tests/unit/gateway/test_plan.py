"""Escalation plans carried out: who is asked, what is taken, what is booked."""

import asyncio
from contextlib import aclosing

import grpc
import pytest
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.errors import StatusError
from gateway.errors import ProviderFailed
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.saga_house import House
from tests.fakes.services import COST_NANOS, refusal

PLANNED = "routing: {escalation: {cheap: [cheap], strong: dear}}\n"
ALONE = [router_pb.CHECK_FINISHED, router_pb.CHECK_NOT_EMPTY, router_pb.CHECK_NOT_REFUSED]
AGREE = [*ALONE, router_pb.CHECK_AGREEMENT]
TURNS_MAX = 90


def planned(*, parallel=True, checks=AGREE):
    """Two cheap models, then `dear`."""
    house = House(PLANNED)
    house.services.plan = [
        ("cheap", checks, parallel),
        ("thrifty", checks, parallel),
        ("dear", [], False),
    ]
    house.provider.says = {"up-cheap": "42", "up-thrifty": "42.", "up-dear": "the answer is 43"}
    return house


def gone():
    return ProviderUnavailable("fake", Unavailability.CREDENTIALS, billed=Billed.NO)


async def asked(house):
    response = await house.complete()
    await house.books.drain()
    return response, [call.model for call in house.provider.calls]


def booked(house):
    (item,) = house.services.asked["settle"]
    return list(item.attempts)


@pytest.mark.parametrize("parallel", [True, False])
async def test_two_that_agree_are_taken_and_the_strong_one_is_not_asked(parallel):
    """The first one's words; both are charged, all under one hold of the sum."""
    house = planned(parallel=parallel)
    response, calls = await asked(house)
    assert calls == ["up-cheap", "up-thrifty"]
    assert response.choices[0].message.content == "42"
    assert response.summary.model == "cheap"
    assert "agreed" in response.summary.route_explanation
    (hold,) = house.services.asked["reserve"]
    assert hold.hold_all
    assert [case.model for case in hold.worst_cases] == ["cheap", "thrifty", "dear"]
    attempts = booked(house)
    assert [each.attempt_number for each in attempts] == [1, 2]
    assert response.summary.cost_nanos == 2 * COST_NANOS


@pytest.mark.parametrize("parallel", [True, False])
async def test_two_that_differ_are_charged_and_the_strong_one_answers(parallel):
    """Three attempts; the last one stands for the request."""
    house = planned(parallel=parallel)
    house.provider.says["up-thrifty"] = "41"
    response, calls = await asked(house)
    assert calls == ["up-cheap", "up-thrifty", "up-dear"]
    assert response.choices[0].message.content == "the answer is 43"
    attempts = booked(house)
    assert [each.model_used for each in attempts] == ["cheap", "thrifty", "dear"]
    assert response.summary.cost_nanos == 3 * COST_NANOS
    # Neither cheap call would have been made without the plan: routing cost them.
    for attempt in attempts[:2]:
        (step,) = attempt.counterfactuals
        assert step.cause == entry_pb2.SAVING_CAUSE_ROUTING
        assert step.usage.ByteSize() == 0
    assert not attempts[2].counterfactuals


async def test_what_is_taken_saves_what_the_baseline_would_have_cost_more():
    """And the other cheap answer counts against it."""
    house = planned()
    await asked(house)
    first, second = booked(house)
    assert [(s.model, s.usage == first.usage) for s in first.counterfactuals] == [("dear", True)]
    assert second.counterfactuals[0].usage.ByteSize() == 0


async def test_in_turn_the_second_is_asked_only_when_the_first_stands():
    """An answer that was cut off is compared with nothing."""
    house = planned(parallel=False)
    house.provider.says["up-cheap"] = " "
    _, calls = await asked(house)
    assert calls == ["up-cheap", "up-dear"]


async def test_without_agreement_the_first_that_stands_is_taken():
    """The second cheap model is the first one's stand-in."""
    house = planned(parallel=False, checks=ALONE)
    house.provider.says["up-cheap"] = "I cannot help with that."
    response, calls = await asked(house)
    assert calls == ["up-cheap", "up-thrifty"]
    assert response.summary.model == "thrifty"


async def test_a_cheap_provider_that_fails_leaves_the_strong_one():
    """Its failure is booked, and says nothing of how answers stand."""
    house = planned()
    house.provider.says["up-cheap"] = gone()
    response, _ = await asked(house)
    assert response.summary.model == "dear"
    outcomes = [each.outcome for each in booked(house)]
    assert outcomes.count(entry_pb2.ATTEMPT_OUTCOME_FAILED) == 1
    assert not [o for o in house.services.asked["report_outcome"] if o.HasField("score")]


async def test_a_strong_provider_that_fails_leaves_a_cheap_answer():
    """One that stood by itself is better than none; without one the failure is told."""
    house = planned()
    house.provider.says |= {"up-thrifty": "41", "up-dear": gone()}
    response, _ = await asked(house)
    assert response.choices[0].message.content == "42"
    house = planned()
    house.provider.says |= {"up-cheap": "", "up-thrifty": "", "up-dear": gone()}
    with pytest.raises(ProviderFailed):
        await house.complete()
    await house.books.drain()
    # What the cheap ones used is owed all the same.
    assert sum(each.usage.ByteSize() > 0 for each in booked(house)) == 2


@pytest.mark.parametrize(("second", "score"), [("42", 1.0), ("41", 0.0)])
async def test_the_router_hears_whether_cheap_answers_stood(second, score):
    """So that it can decline where the plan does not pay."""
    house = planned()
    house.provider.says["up-thrifty"] = second
    await asked(house)
    told = [o for o in house.services.asked["report_outcome"] if o.HasField("score")]
    assert {o.model: o.score for o in told} == {"cheap": score, "thrifty": score}
    assert {o.source for o in told} == {router_pb.OUTCOME_SOURCE_VALIDATOR}
    assert house.services.asked["route"][0].text == "hello"


@pytest.mark.parametrize(("second", "model"), [("42", "cheap"), ("41", "dear")])
async def test_a_stream_waits_for_the_checks(second, model):
    """What stands comes at once, the strong model's answer as it is written."""
    house = planned()
    house.provider.says["up-thrifty"] = second
    async with aclosing(house.stream()) as events:
        seen = [event async for event in events]
    await house.books.drain()
    assert seen[-1].summary.model == model
    text = "".join(event.delta.content for event in seen)
    assert text == ("42" if model == "cheap" else "Hello there")
    assert len(booked(house)) == (2 if model == "cheap" else 3)
    assert seen[-1].summary.cost_nanos == len(booked(house)) * COST_NANOS


async def test_a_plan_that_the_budget_cannot_cover_is_refused_before_any_call():
    """For the worst case of all its steps."""
    house = planned()
    house.services.fail["reserve"] = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED")
    with pytest.raises(StatusError, match="RESOURCE_EXHAUSTED"):
        await house.complete()
    assert house.provider.calls == []


@pytest.mark.parametrize("turns", range(TURNS_MAX))
@pytest.mark.parametrize("usage", ["reported", "missing"])
@pytest.mark.parametrize("parallel", [True, False])
async def test_a_plan_cancelled_at_any_await_charges_every_answer_and_leaves_no_hold(
    turns, usage, parallel
):
    """Whole answers are owed for, whoever of them was still being counted."""
    house = planned(parallel=parallel)
    house.provider.says["up-thrifty"] = "41"
    if usage == "missing":
        house.provider.script = [None, None, None]
    task = asyncio.create_task(house.complete())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.books.drain()
    for hold_id, ways in house.services.resolutions().items():
        assert len(ways) == 1, f"hold {hold_id} was resolved by {ways}"
    if house.provider.answered:
        used = [a for a in booked(house) if a.usage.output_tokens]
        assert len(used) == house.provider.answered
        numbers = [each.attempt_number for each in booked(house)]
        assert numbers == sorted(set(numbers))
