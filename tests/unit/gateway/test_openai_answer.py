"""A provider's answer becomes the fleet's, whole or in pieces, and nothing of it is lost."""

from typing import Any

import pytest
from spendgate.chat.v1 import chat_pb2

from gateway.openai.answer import BadAnswer, FailedInside, read_answer, read_chunk
from gateway.openai.render import render_message
from gateway.providers.join import AnswerJoiner, pieces_of


def answer(message: Any = None, **choice: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": "hi"} if message is None else message
    return {
        "id": "r1",
        "model": "m-2026",
        "choices": [{"index": 0, "message": told, "finish_reason": "stop", **choice}],
    }


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "hi"},
        {"content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"content": None, "tool_calls": [{"id": "c3", "type": "custom", "custom": {"input": "x"}}]},
        {"content": None, "tool_calls": [{**CALL, "extra_content": {"signature": "s"}}]},
        {"content": None, "refusal": "I would rather not."},
        {"content": "hi", "reasoning_content": "hm", "annotations": [{"type": "url_citation"}]},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]},
        {"content": None, "audio": {"id": "a1", "data": "aGk=", "transcript": "hi"}},
    ],
)
def test_a_message_comes_back_as_it_was(message: dict[str, Any]) -> None:
    """What the model said, asked for or refused reaches the caller unchanged."""
    told = read_answer(answer({"role": "assistant", **message}))
    assert render_message(told.choices[0].message, "") == {"role": "assistant", **message}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "FINISH_REASON_STOP"),
        ("length", "FINISH_REASON_LENGTH"),
        ("tool_calls", "FINISH_REASON_TOOL_CALLS"),
        ("function_call", "FINISH_REASON_TOOL_CALLS"),
        ("content_filter", "FINISH_REASON_CONTENT_FILTER"),
        ("end_turn", "FINISH_REASON_STOP"),
        ("max_tokens", "FINISH_REASON_LENGTH"),
        ("something new", "FINISH_REASON_UNSPECIFIED"),
        (None, "FINISH_REASON_UNSPECIFIED"),
    ],
)
def test_finish_reasons(word: str | None, reason: str) -> None:
    """Every name a server gives the end of an answer means one of ours."""
    told = read_answer(answer(finish_reason=word)).choices[0].finish_reason
    assert chat_pb2.FinishReason.Name(told) == reason


def test_what_is_beside_a_message_is_kept() -> None:
    """Log probabilities belong to the choice."""
    told = read_answer(answer(logprobs={"content": [{"token": "hi", "logprob": -0.1}]}))
    assert told.choices[0].extra_json == '{"logprobs":{"content":[{"token":"hi","logprob":-0.1}]}}'


def test_arguments_sent_as_an_object_are_text() -> None:
    """Some servers forget that arguments are text."""
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    told = read_answer(answer({"role": "assistant", "tool_calls": [call]}))
    assert told.choices[0].message.tool_calls[0].arguments_json == '{"a":1}'


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "hi",
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [5]},
        {"choices": [{}]},
        {"choices": [{"message": "hi"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"tool_calls": [{}]}}]},
        {"choices": [{"message": {"content": "x"}}] * 129},
    ],
)
def test_what_is_no_answer_is_refused(value: Any) -> None:
    """An answer with a part missing is not filled up with guesses."""
    with pytest.raises(BadAnswer):
        read_answer(value)


def test_a_failure_may_come_with_a_good_status() -> None:
    """Some servers report an error with status 200."""
    for read in (read_answer, read_chunk):
        with pytest.raises(FailedInside):
            read({"error": {"message": "overloaded"}})


def chunk(delta: Any, **choice: Any) -> dict[str, Any]:
    return {"id": "r1", "model": "m", "choices": [{"index": 0, "delta": delta, **choice}]}


def test_pieces_join_to_the_answer() -> None:
    """A stream tells the same answer as a whole response would."""
    joiner = AnswerJoiner()
    for value in [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}, logprobs={"content": [{"token": "Hel"}]}),
        chunk({"content": "lo", "reasoning_content": "h"}, logprobs={"content": [{"token": "lo"}]}),
        chunk({"reasoning_content": "m"}),
        chunk({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g"}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        chunk(
            {"tool_calls": [{"index": 2, "id": "c3", "type": "custom", "custom": {"input": "x"}}]}
        ),
        chunk({"tool_calls": [{"index": 2, "custom": {"input": "y"}}]}),
        {"choices": [{"index": 1, "delta": {"refusal": "No"}, "finish_reason": None}]},
        {"choices": [{"index": 1, "delta": {"refusal": "pe."}, "finish_reason": "stop"}]},
        chunk({}, finish_reason="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ]:
        for delta in read_chunk(value).deltas:
            joiner.add(delta)
    first, second = joiner.choices()
    assert render_message(first.message, "") == {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "hm",
        "tool_calls": [
            CALL,
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "c3", "type": "custom", "custom": {"input": "xy"}},
        ],
    }
    assert first.extra_json == '{"logprobs":{"content":[{"token":"Hel"},{"token":"lo"}]}}'
    assert first.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert second.message.refusal == "Nope."
    assert second.index == 1


def test_an_answer_can_be_told_in_pieces() -> None:
    """A cached answer served to a stream is the answer that was stored."""
    told = read_answer(
        answer(
            {"role": "assistant", "content": "hi", "tool_calls": [CALL], "reasoning_content": "h"},
            logprobs={"content": []},
            finish_reason="tool_calls",
        )
    ).choices[0]
    joiner = AnswerJoiner()
    for piece in pieces_of(told):
        joiner.add(piece)
    assert joiner.choices() == [told]


def test_a_piece_with_nothing_in_it_is_dropped() -> None:
    """Providers open with an empty piece; a caller's first piece is the first text."""
    assert read_chunk(chunk({"role": "assistant", "content": ""})).deltas == []


def test_the_last_word_on_tokens_counts() -> None:
    """A chunk may carry the tokens beside a choice."""
    value = {**chunk({"content": "x"}), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    told = read_chunk(value)
    assert told.deltas[0].content == "x"
    assert told.usage.usage == chat_pb2.TokenUsage(input_tokens=3, output_tokens=1)


def test_parts_in_a_piece_are_its_text() -> None:
    """Some models stream parts: text is text, thinking stays what it is."""
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]
    delta = read_chunk(chunk({"content": parts})).deltas[0]
    assert delta.content == "hi"
    assert delta.extra_json == '{"content_parts":[{"type":"thinking","thinking":"hm"}]}'
