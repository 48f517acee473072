import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat

from catalog.price import Rates
from chassis.errors import InvalidFields
from services.tokenizer.context.fit import Wish, fit
from services.tokenizer.context.plan import Policy, Shape

RATES = Rates(2_500_000, 250_000, 2_500_000, 0, 0, 0, 0)
KINDS = st.lists(st.sampled_from("usatTd"), min_size=1, max_size=40)


def say(role, content, **fields):
    return chat.Message(role=role, content=content, **fields)


def conversation(kinds):
    """u: user, a: assistant, t: a call and its result, T: two of them, s and d: instructions."""
    messages = [say(chat.ROLE_SYSTEM, "Be brief.")]
    for n, kind in enumerate(kinds):
        if kind == "u":
            messages.append(say(chat.ROLE_USER, f"Question {n} about order A-{n}77? " * 5))
        elif kind == "a":
            messages.append(say(chat.ROLE_ASSISTANT, f"Answer {n}. " * 10))
        elif kind in "tT":
            ids = [f"c{n}-{k}" for k in range(1 if kind == "t" else 2)]
            calls = [chat.ToolCall(id=each, name="look", arguments_json="{}") for each in ids]
            messages.append(say(chat.ROLE_ASSISTANT, "", tool_calls=calls))
            for each in ids:
                messages.append(say(chat.ROLE_TOOL, f"result of {each} " * 8, tool_call_id=each))
        else:
            messages.append(say(chat.ROLE_SYSTEM if kind == "s" else chat.ROLE_DEVELOPER, "Note."))
    return messages


@given(KINDS, st.sampled_from(Policy), st.integers(20, 800))
def test_nothing_is_split_or_lost_that_must_stay(meter_for, kinds, policy, budget):
    """Instructions, the last two exchanges, and each call with its result; in order."""
    messages = conversation(kinds)
    done = fit(messages, Wish(policy, budget), Shape(RATES), meter_for("gpt-4o"))
    if not done.cut_from:
        assert done.messages == messages
    sent = [each for each in done.messages if each in messages]
    assert len(done.messages) - len(sent) == (1 if done.memory.tokens else 0)
    instructions = (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
    assert all(each in sent for each in messages if each.role in instructions)
    talk = [each for each in messages if each.role not in instructions]
    kept = [each for each in sent if each.role not in instructions]
    assert kept == talk[len(talk) - len(kept) :]
    called = {call.id for each in sent for call in each.tool_calls}
    assert called == {each.tool_call_id for each in sent if each.role == chat.ROLE_TOOL}
    asked = [place for place, each in enumerate(talk) if each.role == chat.ROLE_USER]
    if len(asked) >= 2:
        assert all(each in kept for each in talk[asked[-2] :])
    assert done.total().tokens == sum(
        part.tokens for part in (done.system, done.memory, done.history, done.new)
    )


def test_the_prefix_is_stable_between_two_cuts(meter_for):
    """Until the next cut every turn's messages begin with all of the last turn's."""
    messages, cut, last, cuts = conversation("ua" * 60), 0, [], 0
    for end in range(2, len(messages) + 1, 2):
        wish = Wish(Policy.WINDOW_WITH_FACTS, 1000, cut)
        done = fit(messages[:end], wish, Shape(RATES), meter_for("gpt-4o"))
        if done.cut_from == cut:
            assert done.messages[: len(last)] == last
        else:
            cuts += 1
        cut, last = done.cut_from, done.messages
    assert 2 <= cuts <= 12


@pytest.mark.parametrize("policy", [Policy.WINDOW_WITH_FACTS, Policy.SUMMARY])
def test_what_was_cut_is_remembered_within_its_share(meter_for, policy):
    """Facts are the newest first; both take at most two fifths of what is kept."""
    done = fit(conversation("ua" * 60), Wish(policy, 1600), Shape(RATES), meter_for("gpt-4o"))
    assert 50 < done.memory.tokens <= 320 + 8
    words = done.messages[1].content
    assert words.startswith(
        "Facts from earlier" if policy is Policy.WINDOW_WITH_FACTS else "From earlier"
    )
    if policy is Policy.WINDOW_WITH_FACTS:
        orders = [int(found) for found in re.findall(r"A-(\d+)77", words)]
        assert orders == sorted(orders, reverse=True) != []


def test_a_cut_that_is_no_place_is_refused(meter_for):
    """CONTEXT_INVALID names the field."""
    for cut in (-1, 3, 99):
        with pytest.raises(InvalidFields, match="CONTEXT_INVALID") as refused:
            fit(conversation("ua"), Wish(Policy.AUTO, 100, cut), Shape(RATES), meter_for("gpt-4o"))
        assert [each.field for each in refused.value.violations] == ["cut_from_message"]
