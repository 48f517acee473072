"""The saga of embeddings on fakes: each text by itself, once, booked exactly."""

import pytest
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from gateway.errors import IdempotencyMismatch, ProviderFailed
from gateway.providers.embeddings import numbers
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from gateway.saga.shares import shares
from gateway.validate_embed import check_reply
from tests.fakes.saga_house import IDENTITY, House


@pytest.fixture
async def house():
    made = House()
    made.services.models = ["vectors"]
    yield made
    await made.books.drain()


def asked(*texts, **more):
    inputs = [
        embed_pb2.EmbedInput(text=each)
        if isinstance(each, str)
        else embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=each))
        for each in texts
    ]
    return pb.EmbedRequest(model="vectors", inputs=inputs, **more)


async def embed(house, *texts, **more):
    answer = await house.door.embed(asked(*texts, **more), IDENTITY, "", Deadline.after(10))
    await house.books.drain()
    return answer


def sent(house):
    return [[each.text for each in call.inputs] for call in house.embedder.calls]


async def test_one_vector_an_input_in_order(house):
    answer = await embed(house, "aa", "b", "aa")
    assert [list(each.values) for each in answer.embeddings] == [[2, 2], [1, 0], [2, 2]]
    assert answer.cached_count == 0
    # Equal texts are sent once.
    assert sent(house) == [["aa", "b"]]
    assert answer.summary.usage.input_tokens == 3
    assert answer.summary.source == pb.ANSWER_SOURCE_PROVIDER


async def test_only_new_texts_are_sent(house):
    """What is saved is told: the whole request less what was sent on."""
    await embed(house, "aa", "b")
    answer = await embed(house, "ccc", "aa", "b")
    assert sent(house)[1] == ["ccc"]
    assert [each.from_cache for each in answer.embeddings] == [False, True, True]
    assert [list(each.values) for each in answer.embeddings] == [[3, 0], [2, 2], [1, 0]]
    assert answer.cached_count == 2
    (attempt,) = house.services.asked["settle"][1].attempts
    assert attempt.usage.input_tokens == 3
    assert attempt.kind == entry_pb2.ENTRY_KIND_CALL
    (step,) = attempt.counterfactuals
    assert (step.cause, step.usage.input_tokens) == (entry_pb2.SAVING_CAUSE_CACHE, 6)


async def test_a_request_of_known_texts_calls_nobody(house):
    await embed(house, "aa", "b")
    answer = await embed(house, "b", "aa", encoding=embed_pb2.VECTOR_ENCODING_PACKED)
    assert len(house.embedder.calls) == 1
    assert len(house.services.asked["reserve"]) == 1
    assert [len(each.packed) for each in answer.embeddings] == [8, 8]
    assert answer.summary.source == pb.ANSWER_SOURCE_CACHE_EXACT
    assert (answer.summary.cost_nanos, answer.summary.model) == (0, "vectors")
    (record,) = house.services.asked["record"]
    assert record.attempt.kind == entry_pb2.ENTRY_KIND_CACHE_HIT
    assert record.attempt.counterfactuals[0].usage.input_tokens == 3


@pytest.mark.parametrize("mode", [pb.CACHE_MODE_OFF, pb.CACHE_MODE_REFRESH])
async def test_the_cache_is_passed_over_when_asked(house, mode):
    options = pb.RequestOptions(cache_mode=mode)
    await embed(house, "aa")
    answer = await embed(house, "aa", options=options)
    assert not answer.embeddings[0].from_cache
    assert len(house.embedder.calls) == 2
    stored = len(house.services.asked["store"])
    assert stored == (2 if mode == pb.CACHE_MODE_REFRESH else 1)


async def test_a_cache_that_is_away_costs_nothing_but_its_use(house):
    house.services.fail["lookup"] = ConnectionError()
    answer = await embed(house, "aa")
    assert list(answer.embeddings[0].values) == [2, 2]


async def test_texts_are_looked_up_to_the_byte(house):
    """Not as what a person typed, which the cache takes for the same in small differences."""
    await embed(house, "Aa")
    (item,) = house.services.asked["lookup"]
    assert item.prompt.messages[0].role not in (1, 2, 3)


async def test_tokens_are_taken_as_they_are(house):
    answer = await embed(house, [1, 2, 3])
    assert list(house.embedder.calls[0].inputs[0].tokens.ids) == [1, 2, 3]
    assert not house.services.asked["prepare"]
    assert len(answer.embeddings) == 1


async def test_a_provider_that_tells_no_tokens_is_counted(house):
    house.embedder.tells_usage = False
    answer = await embed(house, "one two", "three")
    assert answer.summary.usage.input_tokens == 3
    assert answer.summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED


def unavailable(reason=Unavailability.SERVER_ERROR):
    return ProviderUnavailable("fake", reason, billed=Billed.NO, http_status=503)


async def test_it_is_tried_again_and_never_of_another_model(house):
    house.services.models = ["vectors", "cheap"]
    house.embedder.fails = [unavailable()]
    await embed(house, "aa")
    assert len(house.embedder.calls) == 2
    house.embedder.fails = [unavailable(), unavailable(), unavailable()]
    with pytest.raises(ProviderFailed):
        await embed(house, "new")
    assert {call.model for call in house.embedder.calls} == {house.embedder.calls[0].model}
    await house.books.drain()
    assert all(len(ways) == 1 for ways in house.services.resolutions().values())


async def test_a_budget_that_wants_cheaper_gets_no_other_model(house):
    """It is told that there is none, and goes by its limit."""
    house.services.downgrade = True
    answer = await embed(house, "aa")
    assert answer.summary.model == "vectors"
    assert [item.model for item in house.services.asked["route"]] == ["vectors"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.EmbedRequest(model="vectors"), "inputs"),
        (asked(""), "inputs[0]"),
        (asked([]), "inputs[0].tokens"),
        (asked([-1]), "inputs[0].tokens"),
        (asked("a", dimensions=0), "dimensions"),
        (asked("a", extra_json="[]"), "extra_json"),
        (asked("a", extra_json='{"input":"b"}'), "extra_json"),
        (asked("a", encoding=9), "encoding"),
        (pb.EmbedRequest(model="auto", inputs=asked("a").inputs), "model"),
        (pb.EmbedRequest(model="auto:best", inputs=asked("a").inputs), "model"),
        (pb.EmbedRequest(model="cheap", inputs=asked("a").inputs), "model"),
        (pb.EmbedRequest(inputs=asked("a").inputs), "model"),
        (asked(*["a"] * 2_049), "inputs"),
    ],
)
async def test_bad_input_is_named(house, request_, field):
    with pytest.raises(InvalidFields) as caught:
        await house.door.embed(request_, IDENTITY, "", Deadline.after(10))
    assert caught.value.violations[0].field == field
    assert not house.services.asked["reserve"]


def test_vectors_that_one_message_cannot_bring_are_refused_before_they_are_paid_for():
    check_reply(asked(*["a"] * 2_048, dimensions=1_536))
    with pytest.raises(InvalidFields, match="REQUEST_INVALID"):
        check_reply(asked(*["a"] * 2_048, dimensions=3_072))


async def test_an_embedding_model_has_no_answers(house):
    request = pb.CompleteRequest(model="text-vectors")
    request.prompt.messages.add(role=3, content="hi")
    with pytest.raises(InvalidFields, match="REQUEST_INVALID") as caught:
        await house.door.complete(request, IDENTITY, "", Deadline.after(10))
    assert caught.value.violations[0].field == "model"


@pytest.mark.parametrize(
    ("total", "weights"), [(10, [3, 3, 3]), (5, [0, 0]), (0, [1, 2]), (7, [1]), (3, [9, 1, 1, 1])]
)
def test_shares_add_up(total, weights):
    found = shares(total, weights)
    assert sum(found) == total
    assert min(found) >= 0
    assert len(found) == len(weights)


async def test_sent_twice_made_once(house):
    """An idempotency key holds for vectors too, however the second asking wants them told."""
    options = pb.RequestOptions(idempotency_key="k", cache_mode=pb.CACHE_MODE_OFF)
    first = await embed(house, "a", "b", options=options)
    again = await embed(house, "a", "b", options=options, encoding=embed_pb2.VECTOR_ENCODING_PACKED)
    assert again.summary.idempotent_replay
    assert not first.summary.idempotent_replay
    assert len(sent(house)) == 1
    assert [list(numbers(each.packed)) for each in again.embeddings] == [
        list(each.values) for each in first.embeddings
    ]
    with pytest.raises(IdempotencyMismatch):
        await embed(house, "a", "c", options=options)


async def test_no_place_is_held_while_the_provider_thinks(house):
    """Nor is one kept after the answer."""
    at_work = []
    embedding = house.embedder.embed

    async def seen(call, deadline):
        at_work.append((house.admission.under_way, house.admission.at_work))
        return await embedding(call, deadline)

    house.embedder.embed = seen
    await embed(house, "a")
    assert at_work == [(1, 0)]
    assert (house.admission.under_way, house.admission.at_work) == (0, 0)
