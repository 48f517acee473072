"""What a request's cost is made of adds up to the cost."""

from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.price import ModelPrice, Rates, cost_nanos
from catalog.usage import BUCKETS, Usage
from gateway.saga.anatomy import PARTS, parts_of, share_out

# USD 1, 0.1, 1.25, 2 and 10 for a million tokens.
PRICE = ModelPrice(
    Rates(1_000_000, 100_000, 1_250_000, 2_000_000, 10_000_000, 4_000_000, 20_000_000), "v"
)
TOKENS = st.integers(0, 10**6)


def told(**usage):
    return cost_nanos(PRICE, Usage(**usage)), chat_pb2.TokenUsage(**usage)


def test_each_part_costs_what_its_tokens_cost():
    """Where nothing is cached and counts are right, a part is its tokens at the list price."""
    cost, usage = told(input_tokens=1000, output_tokens=50, reasoning_tokens=30)
    segments = tokenizer_pb.Segments(
        system_tokens=600, tools_tokens=100, history_tokens=250, new_tokens=50
    )
    assert parts_of(cost + 7, cost, usage, segments, PRICE) == {
        "system": 600_000,
        "tools": 100_000,
        "history": 250_000,
        "new": 50_000,
        "output": 500_000,
        "reasoning": 300_000,
        "retries": 7,
    }


def test_cached_tokens_are_the_beginning_of_the_prompt():
    """A provider's cache keeps prefixes: what is new was read at the full price."""
    cost, usage = told(cached_input_tokens=900, input_tokens=100)
    segments = tokenizer_pb.Segments(system_tokens=900, new_tokens=100)
    assert parts_of(cost, cost, usage, segments, PRICE) == {"system": 90_000, "new": 100_000}


def test_a_prompt_that_was_not_counted_is_new_text():
    """Nothing is left out because nobody knows what it was."""
    cost, usage = told(input_tokens=10, output_tokens=1)
    parts = parts_of(cost, cost, usage, tokenizer_pb.Segments(), PRICE)
    assert parts == {"new": 10_000, "output": 10_000}


@given(
    st.fixed_dictionaries(dict.fromkeys(BUCKETS, TOKENS)),
    st.lists(TOKENS, min_size=4, max_size=4),
    TOKENS,
)
def test_the_parts_add_up_to_the_nano(usage, counted, retries):
    """Whatever was used, counted and charged."""
    cost, used = told(**usage)
    segments = tokenizer_pb.Segments(
        system_tokens=counted[0],
        tools_tokens=counted[1],
        history_tokens=counted[2],
        new_tokens=counted[3],
    )
    parts = parts_of(cost + retries, cost, used, segments, PRICE)
    assert sum(parts.values()) == cost + retries
    assert all(nanos > 0 for nanos in parts.values())
    assert set(parts) <= set(PARTS)


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**15), min_size=1, max_size=9))
def test_shares_are_fair_and_whole(whole, weights):
    """No share is a whole unit away from its due."""
    shares = share_out(whole, weights)
    assert sum(shares) == whole
    if total := sum(weights):
        for share, weight in zip(shares, weights, strict=True):
            assert abs(share * total - whole * weight) < total
