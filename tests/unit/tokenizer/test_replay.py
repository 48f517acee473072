import pytest
from spendgate.chat.v1 import chat_pb2 as chat

from catalog.price import ModelPrice, Rates
from services.tokenizer.context.plan import Policy, Shape
from services.tokenizer.context.recorded import LineInvalid, read, stretch
from services.tokenizer.context.replay import Recording, replay

RATES = Rates(2_000_000, 500_000, 3_000_000, 0, 10_000_000, 0, 0)
PRICE = ModelPrice(RATES, "test")


def talk(turns, words=" word" * 100):
    messages = [chat.Message(role=chat.ROLE_SYSTEM, content="Be brief.")]
    for turn in range(turns):
        messages.append(chat.Message(role=chat.ROLE_USER, content=f"Order A-{turn}77{words}"))
        messages.append(chat.Message(role=chat.ROLE_ASSISTANT, content=f"It is A-{turn}77."))
    return messages


def test_two_calls_by_hand(meter_for):
    """The first call writes what it sends; the second reads that and writes what is new."""
    recording = Recording(talk(2), meter_for("gpt-4o"))
    system, ask, answer, ask_again, last = recording.tokens
    sums = replay(recording, Policy.APPEND_ONLY, PRICE, Shape(RATES), 10_000)
    first, second = system + ask, system + ask + answer + ask_again
    assert sums.input_tokens == first + second
    read_nanos = first * 500
    written_nanos = (first + answer + ask_again) * 3000
    assert sums.nanos == read_nanos + written_nanos + (answer + last) * 10_000
    short = replay(
        recording, Policy.APPEND_ONLY, PRICE, Shape(RATES, prefix_tokens_min=100_000), 10_000
    )
    assert short.nanos == (first + second) * 2000 + (answer + last) * 10_000


def test_what_was_cut_is_missed_and_what_is_remembered_is_not(meter_for):
    """A window forgets the first order; with facts it is still there; append-only keeps all."""
    messages = talk(12)
    messages.append(chat.Message(role=chat.ROLE_USER, content="Which was the first?"))
    messages.append(chat.Message(role=chat.ROLE_ASSISTANT, content="It was A-077."))
    recording = Recording(messages, meter_for("gpt-4o"))
    kept = {
        policy: replay(recording, policy, PRICE, Shape(RATES), 800)
        for policy in (Policy.APPEND_ONLY, Policy.SLIDING_WINDOW, Policy.WINDOW_WITH_FACTS)
    }
    used = kept[Policy.APPEND_ONLY].facts_used
    assert kept[Policy.APPEND_ONLY].facts_kept == used == 13
    assert kept[Policy.SLIDING_WINDOW].facts_kept == used - 1
    assert kept[Policy.WINDOW_WITH_FACTS].facts_kept == used
    assert kept[Policy.SLIDING_WINDOW].cuts
    assert kept[Policy.SLIDING_WINDOW].input_tokens < kept[Policy.APPEND_ONLY].input_tokens


def test_a_recording_is_read_from_openais_shape():
    """Text, parts, tool calls and results; an empty line is none."""
    line = (
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]},'
        '{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": '
        '{"name": "f", "arguments": "{}"}}]},'
        '{"role": "tool", "tool_call_id": "1", "content": "x"}]}'
    )
    (messages,) = read([line, "\n"])
    assert messages[0].content == "hi"
    assert messages[1].tool_calls[0].name == "f"
    assert messages[2].tool_call_id == "1"


@pytest.mark.parametrize("line", ["{", "[]", '{"messages": []}', '{"messages": [{"role": "x"}]}'])
def test_a_line_that_is_no_conversation_is_named(line):
    """The number of the line, and nothing of its content."""
    with pytest.raises(LineInvalid, match="line 2: ") as refused:
        list(read(["", line]))
    assert refused.value.line == 2


def test_stretched_conversations_have_so_many_turns_and_one_set_of_instructions():
    """The next conversations of the file follow, without their instructions."""
    for messages in stretch([talk(3), talk(5)], 60):
        assert sum(each.role == chat.ROLE_USER for each in messages) == 60
        assert [each.role for each in messages].count(chat.ROLE_SYSTEM) == 1
        assert messages[-1].role == chat.ROLE_ASSISTANT
