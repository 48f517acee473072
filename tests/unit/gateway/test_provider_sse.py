"""Server-sent events come out whole however their bytes were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.sse import EventTooLarge, SseParser

STREAM = (
    b"\xef\xbb\xbf: a comment\r\n\r\n"
    b'data: {"a":1}\n\n'
    b"event: message\rid: 7\rdata:no space\r\r"
    b"data: two\r\ndata:  lines\r\n\r\n"
    b"retry: 10\n\n"
    b"data\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [b'{"a":1}', b"no space", b"two\n lines", b"[DONE]"]


def events_of(pieces: list[bytes], bytes_max: int = 1000) -> list[bytes]:
    parser = SseParser(bytes_max)
    found = [event for piece in pieces for event in parser.feed(piece)]
    return found + parser.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_events_do_not_depend_on_the_cuts(cuts: list[int]) -> None:
    """Any cut, also between CR and LF and inside the byte order mark, gives the same events."""
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(edges)]
    assert events_of(pieces) == EVENTS


def test_byte_by_byte() -> None:
    """The hardest cut of all."""
    assert events_of([STREAM[at : at + 1] for at in range(len(STREAM))]) == EVENTS


def test_the_last_empty_line_may_be_missing() -> None:
    """Servers forget it; the event before it counts."""
    assert events_of([b"data: x\n\ndata: last"]) == [b"x", b"last"]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 60, b"x" * 60, b"data: xxxx\n" * 12])
def test_an_event_has_a_limit(line: bytes) -> None:
    """A line or an event without end is not collected without end."""
    with pytest.raises(EventTooLarge):
        events_of([line] * 100, bytes_max=40)


def test_many_events_pass_a_limit_of_one() -> None:
    """The limit is on an event, not on the stream."""
    assert len(events_of([b"data: xxxx\n\n"] * 1000, bytes_max=20)) == 1000
