"""How answers are compared, and when a compression passes."""

import math

import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.deadline import Deadline
from chassis.errors import InvalidFields, RemoteError
from gateway.compression_trials import Caller, CompressionTest
from gateway.similarity import LexicalSimilarity, compare
from gateway.similarity_meaning import EmbeddingSimilarity
from tests.fakes.saga_house import IDENTITY


@given(st.text(), st.text())
async def test_likeness_is_symmetric_and_full_with_oneself(one, other):
    """0 to 1000, the same both ways."""
    found, _ = await LexicalSimilarity().of([(one, other), (other, one), (one, one)])
    there, back, same = found
    assert there == back
    assert 0 <= there <= 1000
    assert same == 1000


@pytest.mark.parametrize(
    ("one", "other", "number", "method"),
    [
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', 1000, "json"),
        ('{"a": 1}', '{"a": 2}', 0, "json"),
        ("Positive.", "positive", 1000, "exact"),
        ("positive", "negative", 0, "exact"),
    ],
)
async def test_json_and_labels_are_equal_or_not(one, other, number, method):
    """Whatever their layout and case."""
    assert await compare([(one, other)], LexicalSimilarity()) == ([number], method)


async def test_close_texts_are_closer_than_distant_ones():
    """The same said with a few other words, against something else."""
    text = "The refund is sent to your card within five working days after we have approved it."
    close = "The refund goes to your card within five working days once we have approved it."
    far = "Our office in Lisbon opens at nine and closes at six, except on public holidays."
    near, distant = (await compare([(text, close), (text, far)], LexicalSimilarity()))[0]
    assert near > 700
    assert distant < 300


class Embeds:
    """The one service that is asked: texts by how many of two words they have."""

    def __init__(self, *, away=False):
        self.away = away
        self.asked = []

    async def embed_texts(self, texts, deadline):
        if self.away:
            raise RemoteError(status_pb2.Status(code=14))
        self.asked.append(list(texts))
        vectors = [[text.count("cat"), text.count("dog")] for text in texts]
        return [[value / math.hypot(*vector) for value in vector] for vector in vectors]


async def test_texts_are_compared_by_their_embeddings():
    """Long ones by all of their pieces; a text that says nothing is like no other."""
    embeds = Embeds()
    long = "A cat is here. " * 200 + "\n\n" + "A dog is there. " * 200
    pairs = [("cat", "cat cat"), ("cat", "dog"), (long, "cat dog"), ("", "cat"), ("", " ")]
    found, how = await EmbeddingSimilarity(embeds, LexicalSimilarity()).of(pairs)
    assert how == "embedding"
    assert found[:2] == [1000, 0]
    assert found[2] > 990
    assert found[3:] == [0, 1000]
    assert max(len(piece) for texts in embeds.asked for piece in texts) <= 800
    joined = " ".join(" ".join(texts) for texts in embeds.asked)
    assert joined.count("A dog is there.") == 200


async def test_without_embeddings_words_are_compared():
    """And the answer says so."""
    similarity = EmbeddingSimilarity(Embeds(away=True), LexicalSimilarity())
    assert await similarity.of([("one cat", "one cat")]) == ([1000], "lexical")


class Scripted:
    """A door whose answers follow from whether the prompt is compressed."""

    def __init__(self, plain, compressed):
        self.answers = {True: list(plain), False: list(compressed)}
        self.asked = []

    async def complete(self, request, identity, traceparent, deadline):
        self.asked.append(request)
        off = request.options.compression.level == pb.COMPRESSION_LEVEL_OFF
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=self.answers[off].pop(0))
        return pb.CompleteResponse(
            choices=[chat_pb2.Choice(message=message)], summary=pb.Summary(cost_nanos=10)
        )


def wanted(**fields):
    level = pb.CompressionOptions(level=pb.COMPRESSION_LEVEL_WORDING)
    return pb.TestCompressionRequest(
        model="m",
        prompts=[chat_pb2.Prompt()],
        options=pb.RequestOptions(compression=level),
        **fields,
    )


async def run(door, request):
    caller = Caller(IDENTITY, "", Deadline.after(5))
    return await CompressionTest(door, LexicalSimilarity()).run(request, caller)


async def test_the_yardstick_is_how_much_answers_differ_by_themselves():
    """Half of the originals agree; compressed answers that agree as often pass."""
    steady = await run(Scripted(["yes", "yes"], ["no", "no"]), wanted())
    assert (steady.passed, steady.yardstick_permille, steady.relative_permille) == (False, 1000, 0)
    assert steady.cost_nanos == 40
    loose = Scripted(["yes", "no", "yes"], ["yes", "yes", "no"])
    found = await run(loose, wanted(runs=3))
    # One of three pairs of originals agrees; five of nine mixed pairs do.
    assert found.yardstick_permille == 333
    assert (found.passed, found.relative_permille) == (True, 1000)
    assert found.trials[0].method == "exact"


async def test_the_cache_is_not_asked_and_the_threshold_is_the_callers():
    """Every call is a new one, as it is and compressed."""
    long = "The answer is that the parcel left our house on Monday and comes on Thursday morning."
    door = Scripted([long, long], [long.replace("Monday", "Friday")] * 2)
    found = await run(door, wanted(threshold_permille=999))
    assert found.trials[0].method == "lexical"
    assert 850 < found.relative_permille < 999
    assert not found.passed
    assert all(each.options.cache_mode == pb.CACHE_MODE_OFF for each in door.asked)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"runs": 1}, "runs"),
        ({"runs": 6}, "runs"),
        ({"threshold_permille": 1001}, "threshold_permille"),
    ],
)
async def test_tests_that_cannot_be_are_refused(change, field):
    """Before anything is asked."""
    door = Scripted([], [])
    with pytest.raises(InvalidFields) as refused:
        await run(door, wanted(**change))
    assert [each.field for each in refused.value.violations] == [field]
    assert door.asked == []
