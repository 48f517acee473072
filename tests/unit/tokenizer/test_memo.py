from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import Memo
from services.tokenizer.meter import Meter
from services.tokenizer.models import model_of
from services.tokenizer.prepare import prepare

KEY = bytes(range(32))


class Counting:
    """A vocabulary that notes what it is asked to count."""

    def __init__(self, vocabulary):
        self._vocabulary = vocabulary
        self.name = vocabulary.name
        self.asked = []

    def count(self, text, checkpoint):
        self.asked.append(text)
        return self._vocabulary.count(text, checkpoint)

    def count_word(self, word):
        return self._vocabulary.count_word(word)


def prompt_of(*words):
    return chat.Prompt(
        messages=[chat.Message(role=chat.ROLE_USER, content=word) for word in words],
        tools=[chat.Tool(name="look", description="Looks it up")],
    )


def test_a_conversation_that_grows_costs_only_what_is_new(vocabularies):
    """A turn later nothing is counted but the new message."""
    counting = Counting(vocabularies["o200k_base"])
    memo = Memo(100, KEY)
    meter = Meter(model_of("gpt-4o"), counting, FixedRatios(), memo=memo)
    prepare(prompt_of("first", "second"), meter)
    counting.asked.clear()
    prepare(prompt_of("first", "second", "third"), meter)
    assert counting.asked == ["third"]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.sampled_from(["gpt-4o", "gpt-4"]))
def test_what_is_remembered_is_what_is_counted(vocabularies, words, name):
    """With and without a memo, at the first and the second time, the answer is the same."""
    model = model_of(name)
    memo = Memo(3, KEY)
    vocabulary = vocabularies[model.encoding]
    plain = prepare(prompt_of(*words), Meter(model, vocabulary, FixedRatios()))
    for _ in range(2):
        meter = Meter(model, vocabulary, FixedRatios(), memo=memo)
        found = prepare(prompt_of(*words), meter)
        assert found.sent.total().tokens == plain.sent.total().tokens
        assert found.sent.history.tokens == plain.sent.history.tokens
        assert found.sent.total().bound_permille == plain.sent.total().bound_permille


def test_models_do_not_share(vocabularies):
    """The same message is another number for another model."""
    memo = Memo(100, KEY)
    totals = []
    for name in ("gpt-4o", "gpt-4", "claude-opus-4-7", "claude-opus-4-5"):
        model = model_of(name)
        meter = Meter(model, vocabularies[model.encoding], FixedRatios(), memo=memo)
        totals.append(
            prepare(prompt_of("你好,今天天气很好吗? Yes it is."), meter).sent.total().tokens
        )
    assert len(set(totals)) == 4


def test_it_forgets_what_was_not_used_for_longest():
    """Never more entries than allowed, and no text among them."""
    memo = Memo(2, KEY)
    first, second, third = (memo.digest(b"m", word) for word in (b"one", b"two", b"three"))
    memo.put(first, 1)
    memo.put(second, 2)
    assert memo.get(first) == 1
    memo.put(third, 3)
    assert (memo.get(first), memo.get(second), memo.get(third)) == (1, None, 3)
    assert len(memo) == 2
    assert not any(word in digest for digest in (first, second) for word in (b"one", b"two"))


def test_kind_and_content_cannot_run_into_each_other():
    """What is counted in one way never stands for what is counted in another."""
    memo = Memo(2, KEY)
    assert memo.digest(b"ab", b"c") != memo.digest(b"a", b"bc")
    assert memo.digest(b"a", b"b") != Memo(2, bytes(32)).digest(b"a", b"b")
