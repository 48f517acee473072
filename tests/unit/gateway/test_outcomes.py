"""What the router is told, and when."""

from types import SimpleNamespace

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from gateway.errors import ProviderFailed
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from gateway.saga.outcomes import TEXT_BYTES_MAX, routing_text
from gateway.saga.steps import embedding_of
from tests.fakes.saga_house import House

LATENCY = "routing: {policy: latency}\n"


async def asked(house, **options):
    await house.complete("Which way?", **options)
    await house.books.drain()
    return house.services.asked


async def test_by_price_alone_the_router_needs_no_text_and_no_outcomes():
    """The default policy sends no prompt around and reports nothing."""
    house = House()
    seen = await asked(house)
    assert seen["route"][0].text == ""
    assert seen["report_outcome"] == []


async def test_a_policy_that_learns_hears_how_each_call_ended():
    """With the tokens used, under the id that Route was asked with."""
    house = House(LATENCY)
    seen = await asked(house)
    (route,), (outcome,) = seen["route"], seen["report_outcome"]
    assert route.text == "Which way?"
    assert route.request_id == outcome.request_id != ""
    assert (outcome.model, outcome.status) == ("cheap", router_pb.CALL_STATUS_OK)
    assert (outcome.input_tokens, outcome.output_tokens) == (10, 2)


async def test_a_model_the_caller_named_teaches_nothing():
    """Nobody chose it."""
    house = House(LATENCY)
    assert (await asked(house, model="cheap"))["report_outcome"] == []


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Unavailability.RATE_LIMITED, router_pb.CALL_STATUS_RATE_LIMITED),
        (Unavailability.TIMEOUT, router_pb.CALL_STATUS_TIMEOUT),
        (Unavailability.SERVER_ERROR, router_pb.CALL_STATUS_ERROR),
    ],
)
async def test_failures_are_told_by_kind(reason, status):
    """A model that turns calls away is left out in time."""
    house = House(LATENCY)
    house.provider.script = [
        ProviderUnavailable("fake", reason, billed=Billed.NO) for _ in range(2)
    ]
    with pytest.raises(ProviderFailed):
        await house.complete()
    await house.books.drain()
    assert [o.status for o in house.services.asked["report_outcome"]] == [status]


async def test_a_router_that_takes_no_outcomes_fails_no_request():
    """Learning is never in a request's way."""
    house = House(LATENCY)
    house.services.fail["report_outcome"] = RuntimeError("gone")
    response = await house.complete()
    await house.books.drain()
    assert response.summary.cost_nanos > 0


def test_the_text_is_the_instructions_and_the_newest_question():
    """Bounded; where both are too long the newest question stays."""
    prompt = chat_pb2.Prompt(
        messages=[
            chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="Be kind."),
            chat_pb2.Message(role=chat_pb2.ROLE_USER, content="old"),
            chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content="answer"),
            chat_pb2.Message(
                role=chat_pb2.ROLE_USER, parts=[chat_pb2.ContentPart(text="new question")]
            ),
        ]
    )
    assert routing_text(prompt) == "Be kind.\nnew question"
    prompt.messages[0].content = "é" * TEXT_BYTES_MAX
    cut = routing_text(prompt)
    assert cut.endswith("new question")
    assert len(cut.encode()) <= TEXT_BYTES_MAX
    assert routing_text(chat_pb2.Prompt()) == ""


def test_an_embedding_is_handed_on_where_there_is_one():
    """The cache's miss carries it or not; one the router would refuse is left out."""
    assert embedding_of(SimpleNamespace()) == ()
    assert embedding_of(SimpleNamespace(vector=[0.5, 0.5])) == [0.5, 0.5]
    assert embedding_of(SimpleNamespace(vector=[0.0] * 2_000)) == ()
