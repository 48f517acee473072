"""AWS's binary framing of streams."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bedrock.event_stream import EventStreamParser
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.providers.sse import EventTooLarge
from tests.fakes.bedrock_upstream import frame

WHOLE = frame("messageStart", {"role": "assistant"}) + frame("metadata", {"usage": {}})
EVENTS = [b'{"messageStart":{"role": "assistant"}}', b'{"metadata":{"usage": {}}}']


@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=8))
def test_it_may_be_cut_anywhere(cuts: list[int]) -> None:
    """Events come out whole, in order."""
    parser = EventStreamParser(1_000)
    edges = [0, *sorted(set(cuts)), len(WHOLE)]
    found: list[bytes] = []
    for start, end in itertools.pairwise(edges):
        found += parser.feed(WHOLE[start:end])
    assert found + parser.finish() == EVENTS


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_no_bit_may_be_another(at: int, change: int) -> None:
    """What was changed on the way is no answer."""
    broken = bytearray(WHOLE)
    broken[at] ^= change
    parser = EventStreamParser(1_000)
    with pytest.raises((BadAnswer, EventTooLarge)):
        parser.feed(bytes(broken))
        parser.finish()


def test_a_cut_stream_is_no_whole_one() -> None:
    """The rest of a frame that never came is missed."""
    parser = EventStreamParser(1_000)
    parser.feed(WHOLE[:-1])
    with pytest.raises(BadAnswer):
        parser.finish()


def test_a_frame_has_a_limit() -> None:
    """It is told by its head, before it is waited for."""
    parser = EventStreamParser(10)
    with pytest.raises(EventTooLarge):
        parser.feed(WHOLE[:12])


def test_an_exception_ends_the_answer() -> None:
    """Its text is not read."""
    with pytest.raises(FailedInside):
        EventStreamParser(1_000).feed(frame("throttlingException", {}, kind="exception"))
