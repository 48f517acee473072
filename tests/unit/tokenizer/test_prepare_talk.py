"""Prepare with compression and fitting, and of conversations it has seen before."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat

from catalog.price import Rates
from chassis.errors import InvalidFields
from services.tokenizer.compress.compress import Options, Rule, compress
from services.tokenizer.context.conversation import Conversation
from services.tokenizer.context.fit import Wish, fit
from services.tokenizer.context.known import Conversations
from services.tokenizer.context.plan import Policy, Shape, Why
from services.tokenizer.messages import message_tally
from services.tokenizer.prepare import Ask, Fit, prepare
from tests.unit.tokenizer.test_fit import KINDS, conversation, say

LIGHT = Options(rules=frozenset({Rule.JSON, Rule.WHITESPACE, Rule.DUPLICATES}))
FLAT = Shape(Rates(2_500_000, 2_500_000, 2_500_000, 0, 0, 0, 0))
CACHED = Shape(Rates(2_500_000, 2_500, 2_500_000, 0, 0, 0, 0), lifetime_seconds=300)


def known():
    return Conversations(10_000, bytes(32))


def applied(messages, done):
    """The prompt's messages with the edits made."""
    sent = []
    for place, message in enumerate(messages):
        instructs = message.role in (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
        if place == done.cut_from and done.memory:
            sent.append(say(chat.ROLE_SYSTEM, done.memory))
        if place >= done.cut_from or instructs:
            changed = chat.Message()
            changed.CopyFrom(message)
            changed.content = done.contents.get(place, message.content)
            sent.append(changed)
    return sent


def with_results(kinds):
    """The conversation with JSON results, some of them equal."""
    messages = conversation(kinds)
    for place, message in enumerate(messages):
        if message.role == chat.ROLE_TOOL:
            rows = {"rows": ["long enough to be worth a pointer"] * 8, "n": place % 3}
            message.content = json.dumps(rows, indent=place % 2 or None)
    return messages


@settings(max_examples=60, deadline=None)
@given(KINDS, st.sampled_from(Policy), st.integers(100, 800), st.data())
def test_a_known_beginning_changes_no_number(meter_for, kinds, policy, budget, data):
    """Told turn by turn, by whatever steps, or all at once: the same answer."""
    messages, memory = with_results(kinds), known()
    ask = Ask(LIGHT, Fit(policy, budget, FLAT))
    end = 0
    while end < len(messages):
        end = min(len(messages), end + data.draw(st.integers(1, 5)))
        prompt = chat.Prompt(messages=messages[:end])
        told = prepare(prompt, meter_for("gpt-4o"), ask, memory)
    once = prepare(chat.Prompt(messages=messages), meter_for("gpt-4o"), ask)
    fields = ("contents", "cut_from", "memory", "memory_tokens")
    if told.plan.why is once.plan.why is Why.KEPT:
        assert [getattr(told, f) for f in fields] == [getattr(once, f) for f in fields]
    for done in (told, once):
        sent = applied(messages, done)
        again = sum(message_tally(each, meter_for("gpt-4o")).tokens for each in sent)
        assert done.sent.total().tokens == again + done.sent.overhead.tokens
        given_tokens = sum(message_tally(each, meter_for("gpt-4o")).tokens for each in messages)
        assert done.given.total().tokens == given_tokens + done.given.overhead.tokens


@settings(max_examples=60, deadline=None)
@given(KINDS)
def test_the_quick_way_compresses_as_compress_does(meter_for, kinds):
    """Rule by rule while the conversation grows, or Compress on all of it: the same messages."""
    messages = with_results(kinds)
    meter = meter_for("gpt-4o")
    done = prepare(chat.Prompt(messages=messages), meter, Ask(LIGHT))
    assert applied(messages, done) == compress(messages, LIGHT, meter).messages


@settings(max_examples=40, deadline=None)
@given(KINDS, st.sampled_from(Policy), st.integers(100, 800))
def test_a_given_cut_fits_as_fit_context_does(meter_for, kinds, policy, budget):
    """The same messages as FitContext's for the same cut."""
    messages, meter = conversation(kinds), meter_for("gpt-4o")
    fitted = fit(messages, Wish(policy, budget), FLAT, meter)
    done = prepare(
        chat.Prompt(messages=messages), meter, Ask(None, Fit(policy, budget, FLAT, fitted.cut_from))
    )
    again = fit(messages, Wish(policy, budget, fitted.cut_from), FLAT, meter)
    assert (applied(messages, done), done.cut_from) == (again.messages, again.cut_from)


def test_the_cut_stays_where_it_was_and_needs_no_memory(meter_for):
    """Every call brings the whole conversation: what was sent last is what is sent now, plus what
    is new, until the next cut; and a tokenizer that has just started cuts in the same places."""
    messages, memory, last, cuts = conversation("ua" * 60), known(), [], []
    ask = Ask(None, Fit(Policy.WINDOW_WITH_FACTS, 1000, FLAT))
    for end in range(2, len(messages) + 1, 2):
        prompt = chat.Prompt(messages=messages[:end])
        done = prepare(prompt, meter_for("gpt-4o"), ask, memory)
        assert prepare(prompt, meter_for("gpt-4o"), ask).cut_from == done.cut_from
        sent = applied(messages[:end], done)
        if not cuts or done.cut_from != cuts[-1]:
            cuts.append(done.cut_from)
        else:
            assert sent[: len(last)] == last
        last = sent
    assert 3 <= len(cuts) <= 12


def test_a_pause_is_observed_and_the_cut_after_it_stays(meter_for):
    """After more than the provider keeps a prefix, all is written again anyway: cut then. A
    conversation of another scope has not paused."""
    messages, memory = conversation("ua" * 20), known()
    ask = Ask(None, Fit(Policy.AUTO, 400, CACHED), b"acme/1")
    other = Ask(None, ask.fit, b"acme/2")
    first = chat.Prompt(messages=messages[:30])
    assert prepare(first, meter_for("gpt-4o"), ask, memory, lambda: 1000.0).cut_from == 0
    assert prepare(first, meter_for("gpt-4o"), other, memory, lambda: 1400.0).cut_from == 0
    warm = prepare(
        chat.Prompt(messages=messages[:32]), meter_for("gpt-4o"), ask, memory, lambda: 1300.0
    )
    assert warm.plan.why is Why.KEPT
    cold = prepare(
        chat.Prompt(messages=messages[:34]), meter_for("gpt-4o"), ask, memory, lambda: 1601.0
    )
    assert cold.plan.why is Why.COLD_CACHE
    assert cold.cut_from > 0
    after = prepare(
        chat.Prompt(messages=messages[:36]), meter_for("gpt-4o"), ask, memory, lambda: 1602.0
    )
    assert (after.plan.why, after.cut_from) == (Why.KEPT, cold.cut_from)


def test_a_pointer_never_points_at_what_was_cut(meter_for):
    """The first of two equal results is cut: then the second is sent whole."""
    result = json.dumps({"rows": ["a row that is said in both results"] * 12})
    messages = [say(chat.ROLE_USER, "look")]
    for n in range(6):
        call = chat.ToolCall(id=f"c{n}", name="look", arguments_json="{}")
        messages.append(say(chat.ROLE_ASSISTANT, "", tool_calls=[call]))
        content = result if n in (0, 4) else f"nothing {n}"
        messages.append(say(chat.ROLE_TOOL, content, tool_call_id=f"c{n}"))
        messages.append(say(chat.ROLE_ASSISTANT, f"answer {n}"))
        messages.append(say(chat.ROLE_USER, f"go on {n}"))
    prompt = chat.Prompt(messages=messages)
    whole = applied(messages, prepare(prompt, meter_for("gpt-4o"), Ask(LIGHT)))
    assert any(each.content.startswith("[the same") for each in whole)
    fit_options = Fit(Policy.SLIDING_WINDOW, 300, FLAT)
    cut = prepare(prompt, meter_for("gpt-4o"), Ask(LIGHT, fit_options))
    assert cut.cut_from > 2
    assert not any(each.content.startswith("[the same") for each in applied(messages, cut)), (
        "its first copy is gone"
    )


def test_the_least_used_conversations_are_forgotten(meter_for):
    """A limit on messages kept, not on conversations; what is kept holds no text."""
    memory = Conversations(6, bytes(32))
    for n in range(5):
        messages = [say(chat.ROLE_USER, f"secret-{n}"), say(chat.ROLE_ASSISTANT, "a")]
        prepare(chat.Prompt(messages=messages), meter_for("gpt-4o"), Ask(), memory)
    assert len(memory) == 3
    talk = Conversation(frozenset(), None)
    talk.add(say(chat.ROLE_USER, "secret-text"), meter_for("gpt-4o"))
    kept = [getattr(talk, slot) for slot in Conversation.__slots__]
    assert "secret" not in repr(kept)


def test_what_breaks_a_rule_is_refused_wherever_it_stands(meter_for):
    """Also behind a known beginning; the place is told, and nothing is kept of it."""
    memory = known()
    good = [say(chat.ROLE_USER, "hi"), say(chat.ROLE_ASSISTANT, "hello")]
    prepare(chat.Prompt(messages=good[:1]), meter_for("gpt-4o"), Ask(), memory)
    bad = chat.Prompt(messages=[*good, chat.Message(content="no role")])
    for _ in range(2):
        with pytest.raises(InvalidFields, match="PROMPT_INVALID") as refused:
            prepare(bad, meter_for("gpt-4o"), Ask(), memory)
        assert [each.field for each in refused.value.violations] == ["prompt.messages[2].role"]
