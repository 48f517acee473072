"""A provider's token numbers become disjoint buckets, or are told to be impossible."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2

from gateway.openai.usage import read_usage, render_usage

COUNT = st.integers(0, 10**6)


def told(**fields: Any) -> Any:
    return {"prompt_tokens": 100, "completion_tokens": 50, **fields}


USAGE = st.builds(
    chat_pb2.TokenUsage,
    input_tokens=st.integers(1, 10**6),
    cached_input_tokens=COUNT,
    cache_write_tokens=COUNT,
    audio_input_tokens=COUNT,
    output_tokens=COUNT,
    reasoning_tokens=COUNT,
    audio_output_tokens=COUNT,
)


@given(USAGE, st.booleans(), st.sampled_from(["cache_write_tokens", "cache_creation_tokens"]))
def test_buckets_are_disjoint(
    usage: chat_pb2.TokenUsage, total_told: bool, write_name: str
) -> None:
    """Their sum is what the provider counted: nothing is charged twice, nothing is free."""
    read = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
    read += usage.audio_input_tokens
    written = usage.output_tokens + usage.reasoning_tokens + usage.audio_output_tokens
    told = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "audio_tokens": usage.audio_input_tokens,
            write_name: usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        },
        **({"total_tokens": read + written} if total_told else {}),
    }
    assert read_usage(told).usage == usage
    assert read_usage(told).told == (read, written)


@given(USAGE)
def test_what_callers_see_reads_back(usage: chat_pb2.TokenUsage) -> None:
    """The usage in our own answers, read as a provider's, gives the buckets it was made of."""
    assert read_usage(render_usage(usage)).usage == usage


@pytest.mark.parametrize(
    ("usage", "read", "cached", "written", "reasoning"),
    [
        (told(), 100, 0, 50, 0),
        (told(total_tokens=150, prompt_tokens_details=None), 100, 0, 50, 0),
        # xAI: reasoning comes on top of completion_tokens.
        (
            told(total_tokens=170, completion_tokens_details={"reasoning_tokens": 20}),
            100,
            0,
            50,
            20,
        ),
        # Gemini: the same, and nothing names it.
        (told(total_tokens=190), 100, 0, 50, 40),
        # DeepSeek: its own name for cached tokens.
        (told(prompt_cache_hit_tokens=30, prompt_cache_miss_tokens=70), 70, 30, 50, 0),
    ],
    ids=["plain", "null details", "reasoning on top", "unnamed on top", "own name for cached"],
)
def test_servers_differ(usage: Any, read: int, cached: int, written: int, reasoning: int) -> None:
    """What servers of the same protocol mean by the same names is told apart by their totals."""
    assert read_usage(usage).usage == chat_pb2.TokenUsage(
        input_tokens=read,
        cached_input_tokens=cached,
        output_tokens=written,
        reasoning_tokens=reasoning,
    )


@pytest.mark.parametrize(
    "usage",
    [
        told(prompt_tokens_details={"cached_tokens": 101}),
        told(prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 60}),
        told(prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 60}),
        told(completion_tokens_details={"reasoning_tokens": 51}),
        told(completion_tokens_details={"reasoning_tokens": 30, "audio_tokens": 30}),
        told(total_tokens=149),
        told(total_tokens=200, completion_tokens_details={"reasoning_tokens": 20}),
        told(prompt_tokens=-1),
        told(prompt_tokens=0),
        told(completion_tokens=10**12 + 1),
        told(completion_tokens=1.5),
        told(completion_tokens="50"),
        told(completion_tokens=True),
        told(prompt_tokens_details=[]),
        {},
        [],
        "none",
        5,
    ],
)
def test_impossible_numbers_are_no_numbers(usage: Any) -> None:
    """Numbers that contradict each other are never charged; the gateway counts instead."""
    reading = read_usage(usage)
    assert reading.usage is None
    assert reading.impossible


def test_no_numbers_are_not_impossible() -> None:
    """A provider that tells nothing is told apart from one that tells nonsense."""
    reading = read_usage(None)
    assert reading.usage is None
    assert not reading.impossible
