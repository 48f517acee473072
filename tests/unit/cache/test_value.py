"""Answers as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import stored_pb2
from spendgate.chat.v1 import chat_pb2

from services.cache.value import BadValue, Codec

ANSWER = pb.Answer(
    choices=[
        chat_pb2.Choice(
            message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content="Paris."),
            finish_reason=chat_pb2.FINISH_REASON_STOP,
        )
    ],
    model="m",
    usage=chat_pb2.TokenUsage(input_tokens=7, output_tokens=2),
)
CODEC = Codec()
ENTRY = stored_pb2.StoredEntry(answer=ANSWER, feature="faq", tags=["a", "b"])


def test_an_answer_comes_back_whole() -> None:
    """Answer, usage and store time survive packing."""
    kept = CODEC.unpack("here", CODEC.pack("here", ENTRY, 1_700_000_000_123))
    assert kept.entry == ENTRY
    assert kept.store_time_ms == 1_700_000_000_123


def test_a_value_is_bad_anywhere_but_at_its_place() -> None:
    """A whole value found at another place, as by a connection out of step, is not served."""
    with pytest.raises(BadValue):
        CODEC.unpack("there", CODEC.pack("here", ENTRY, 1))


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    """One byte of a value that rots makes the whole value bad."""
    value = bytearray(CODEC.pack("here", ENTRY, 1))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadValue):
        CODEC.unpack("here", bytes(value))


@given(st.binary(max_size=200))
def test_garbage_is_bad(value: bytes) -> None:
    """Bytes of any kind are refused without another exception."""
    with pytest.raises(BadValue):
        CODEC.unpack("here", value)


@pytest.mark.parametrize("cut", [0, 1, 17, 24, 25, -1])
def test_a_cut_value_is_bad(cut: int) -> None:
    """A value that was cut short is refused."""
    with pytest.raises(BadValue):
        CODEC.unpack("here", CODEC.pack("here", ENTRY, 1)[:cut])
