"""Money, finish reasons and odd answers as HTTP callers see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2, hold_pb2

from gateway.http.headers import add_options, summary_headers
from gateway.openai.wire import ChunkRenderer, cache_word, render_answer, usd


@given(st.integers(-(2**63), 2**63 - 1))
def test_money_is_exact(nanos: int) -> None:
    """USD as text has all nine decimals of the nano-USD it was."""
    whole, _, part = usd(nanos).partition(".")
    assert len(part) == 9
    assert int(whole + part) == nanos


@given(st.integers(0, 10**18 - 1))
def test_a_limit_on_cost_is_read_exactly(nanos: int) -> None:
    """What a caller may spend is taken to the nano, however many decimals were written."""
    for text in (usd(nanos), usd(nanos).rstrip("0").rstrip(".")):
        options = pb.RequestOptions()
        headers = CIMultiDict({"X-Spendgate-Cost-Max-Usd": text})
        add_options(CIMultiDictProxy(headers), options)
        assert options.cost_max_nanos == nanos


@pytest.mark.parametrize(
    ("source", "mode", "word"),
    [
        (pb.ANSWER_SOURCE_PROVIDER, pb.CACHE_MODE_UNSPECIFIED, "miss"),
        (pb.ANSWER_SOURCE_PROVIDER, pb.CACHE_MODE_EXACT, "miss"),
        (pb.ANSWER_SOURCE_PROVIDER, pb.CACHE_MODE_OFF, "off"),
        (pb.ANSWER_SOURCE_PROVIDER, pb.CACHE_MODE_REFRESH, "refresh"),
        (pb.ANSWER_SOURCE_CACHE_EXACT, pb.CACHE_MODE_EXACT, "exact"),
        (pb.ANSWER_SOURCE_SHARED, pb.CACHE_MODE_EXACT, "shared"),
    ],
)
def test_what_the_cache_did(source: pb.AnswerSource, mode: pb.CacheMode, word: str) -> None:
    """One word, also when it was told to do nothing."""
    assert cache_word(pb.Summary(source=source), mode) == word


def test_names_fit_into_headers() -> None:
    """A model's name is any text; a header is one line of ASCII."""
    told = summary_headers(pb.Summary(model="größe\r\nx: 1 %"), pb.CACHE_MODE_EXACT)
    assert told["x-spendgate-model"] == "gr%C3%B6%C3%9Fe%0D%0Ax: 1 %25"


def test_no_budget_is_told_apart_from_an_empty_one() -> None:
    """Nothing left is a number; no budget is no header."""
    empty = pb.Summary(tightest=hold_pb2.BudgetLeft(budget_id="b"))
    name = "x-spendgate-budget-left-nanos"
    assert summary_headers(empty, pb.CACHE_MODE_EXACT)[name] == "0"
    assert name not in summary_headers(pb.Summary(), pb.CACHE_MODE_EXACT)


def answer(message: chat_pb2.Message, **choice: object) -> pb.CompleteResponse:
    return pb.CompleteResponse(choices=[chat_pb2.Choice(message=message, **choice)])  # type: ignore[arg-type]


def test_an_answer_cut_for_money() -> None:
    """To an SDK it is an answer cut by a limit; the summary says by which."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content="x")
    cut = answer(message, finish_reason=chat_pb2.FINISH_REASON_HOLD_USED_UP)
    told = render_answer(cut, pb.CACHE_MODE_EXACT, 0)
    assert told["choices"][0]["finish_reason"] == "length"
    assert told["spendgate"]["hold_used_up"]
    chunks = ChunkRenderer("s", "m", 0, include_usage=False)
    last = chunks.piece(pb.Delta(finish_reason=chat_pb2.FINISH_REASON_HOLD_USED_UP))
    (end,) = chunks.end(last, pb.Summary(), pb.CACHE_MODE_EXACT)
    assert end["choices"][0]["finish_reason"] == "length"
    assert end["spendgate"]["hold_used_up"]


def test_parts_of_an_answer() -> None:
    """SDKs read a text; what is none is kept beside it."""
    parts = [
        chat_pb2.ContentPart(extra_json='{"type":"thinking","thinking":"hm"}'),
        chat_pb2.ContentPart(text="hi"),
    ]
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=parts)
    told = render_answer(answer(message), pb.CACHE_MODE_EXACT, 0)["choices"][0]["message"]
    assert told["content"] == "hi"
    assert told["content_parts"] == [{"type": "thinking", "thinking": "hm"}]


def test_a_stream_without_a_reason_still_ends() -> None:
    """SDKs wait for a finish reason."""
    (end,) = ChunkRenderer("s", "m", 0, include_usage=False).end(
        None, pb.Summary(cost_nanos=5), pb.CACHE_MODE_EXACT
    )
    assert end["choices"][0]["finish_reason"] == "stop"
    assert end["spendgate"]["cost_nanos"] == 5


def test_further_fields_of_a_piece() -> None:
    """Reasoning and log probabilities stream through."""
    chunks = ChunkRenderer("s", "m", 0, include_usage=False)
    piece = pb.Delta(
        extra_json='{"reasoning_content":"h"}', choice_extra_json='{"logprobs":{"content":[]}}'
    )
    (choice,) = chunks.piece(piece)["choices"]
    assert choice["delta"] == {"role": "assistant", "reasoning_content": "h"}
    assert choice["logprobs"] == {"content": []}


def test_savings_by_cause() -> None:
    """Each cause by its name; what cost more than it saved is negative."""
    saved = [entry_pb2.Saving(cause=entry_pb2.SAVING_CAUSE_COMPRESSION, saved_nanos=-3)]
    told = render_answer(
        pb.CompleteResponse(summary=pb.Summary(savings=saved)), pb.CACHE_MODE_EXACT, 0
    )
    assert told["spendgate"]["savings"] == {"compression": -3}
    assert told["spendgate"]["saved_nanos"] == -3
