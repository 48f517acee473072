from dataclasses import astuple, fields
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.price import (
    PICOS_PER_TOKEN_MAX,
    ModelPrice,
    PriceOutOfRange,
    Rates,
    Tier,
    cost_nanos,
    hold_nanos,
    worst_usage,
)
from catalog.usage import BUCKETS, TOKENS_MAX, ImpossibleUsage, Usage

INT64_MAX = 2**63 - 1
RATE_OF = {
    "input_tokens": "input_picos",
    "cached_input_tokens": "cached_input_picos",
    "cache_write_tokens": "cache_write_picos",
    "cache_write_1h_tokens": "cache_write_1h_picos",
    "output_tokens": "output_picos",
    "reasoning_tokens": "output_picos",
    "audio_input_tokens": "audio_input_picos",
    "audio_output_tokens": "audio_output_picos",
    "image_input_tokens": "image_input_picos",
    "image_output_tokens": "image_output_picos",
}
tokens = st.one_of(st.integers(0, 2_000), st.integers(0, 2_000_000), st.integers(0, TOKENS_MAX))
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, tokens))
picos = st.one_of(st.integers(0, 2_000), st.integers(0, PICOS_PER_TOKEN_MAX))
rates = st.builds(Rates, *[picos] * len(fields(Rates)))


@st.composite
def prices(draw: st.DrawFn) -> ModelPrice:
    starts = sorted(draw(st.sets(st.integers(1, 3_000_000), max_size=3)))
    tiers = tuple(Tier(start, draw(rates)) for start in starts)
    return ModelPrice(draw(rates), "test", tiers)


def flat(picos_each: int, **other: int) -> ModelPrice:
    names = {field.name: picos_each for field in fields(Rates)}
    return ModelPrice(Rates(**(names | other)), "test")


def exact_picos(price: ModelPrice, usage: Usage) -> int:
    at = price.rates_at(usage.read_tokens)
    return sum(getattr(usage, bucket) * getattr(at, RATE_OF[bucket]) for bucket in BUCKETS)


@given(prices(), usages)
def test_a_cost_is_the_sum_of_its_parts_rounded_once(price: ModelPrice, usage: Usage) -> None:
    """A cost is every bucket times its rate, added up, to the nearest nano, half to even."""
    exact = Fraction(exact_picos(price, usage), 1000)
    assert cost_nanos(price, usage) == round(exact)


@given(prices(), usages)
def test_money_is_a_whole_number_that_fits_an_int64(price: ModelPrice, usage: Usage) -> None:
    """However large tokens and prices get, costs and holds are ints within an int64."""
    for nanos in (cost_nanos(price, usage), hold_nanos(price, usage)):
        assert type(nanos) is int
        assert 0 <= nanos <= INT64_MAX


@pytest.mark.parametrize(
    ("picos_each", "nanos"),
    [(499, 0), (500, 0), (501, 1), (1_499, 1), (1_500, 2), (2_500, 2), (2_501, 3), (3_500, 4)],
)
def test_half_a_nano_goes_to_the_even_neighbour(picos_each: int, nanos: int) -> None:
    """One token at 500 picos rounds to 0, at 1,500 to 2, at 2,500 to 2."""
    assert cost_nanos(flat(picos_each), Usage(input_tokens=1)) == nanos


def test_rounding_happens_once_not_per_bucket() -> None:
    """Three buckets of 400 picos are 1.2 nanos: rounding each would lose all of it."""
    usage = Usage(input_tokens=1, cached_input_tokens=1, output_tokens=1)
    assert cost_nanos(flat(400), usage) == 1


@given(prices(), usages, st.sampled_from(BUCKETS), st.integers(1, 1_000))
def test_more_tokens_never_cost_less_within_a_tier(
    price: ModelPrice, usage: Usage, bucket: str, more: int
) -> None:
    """At the same rates a larger usage never costs less."""
    grown = {name: getattr(usage, name) for name in BUCKETS}
    grown[bucket] = min(TOKENS_MAX, grown[bucket] + more)
    larger = Usage(**grown)
    one_tier = ModelPrice(price.rates_at(usage.read_tokens), "test")
    assert cost_nanos(one_tier, larger) >= cost_nanos(one_tier, usage)


@st.composite
def worst_and_within(draw: st.DrawFn) -> tuple[Usage, Usage]:
    """A worst case, and a usage within it as the provider may split it."""
    hour = draw(st.booleans())
    text, output, choices = draw(tokens), draw(st.integers(0, 10**6)), draw(st.integers(1, 16))
    sound = draw(st.integers(0, 10**6))
    worst = worst_usage(text, output, choices, hour_cache=hour, audio_input_tokens=sound)
    left = draw(st.integers(0, text))
    parts = []
    for _ in range(3):
        part = draw(st.integers(0, left))
        parts.append(part)
        left -= part
    written = draw(st.integers(0, output * choices))
    hidden = draw(st.integers(0, written))
    within = Usage(
        input_tokens=left,
        cached_input_tokens=parts[0],
        cache_write_tokens=parts[1],
        cache_write_1h_tokens=parts[2] if hour else 0,
        output_tokens=written - hidden,
        reasoning_tokens=hidden,
        audio_input_tokens=draw(st.integers(0, sound)),
    )
    return worst, within


@given(prices(), worst_and_within())
def test_a_hold_covers_whatever_the_provider_makes_of_it(
    price: ModelPrice, case: tuple[Usage, Usage]
) -> None:
    """No split of the prompt into cached, written and fresh tokens costs more than the hold."""
    worst, within = case
    assert cost_nanos(price, within) <= hold_nanos(price, worst)


def test_a_hold_counts_the_dearer_price_of_long_requests() -> None:
    """A prompt one token over a cliff is held at the higher rates, one below is not."""
    low, high = flat(1_000).rates, flat(5_000).rates
    price = ModelPrice(low, "test", (Tier(100, high),))
    assert hold_nanos(price, worst_usage(100, 10)) == 110
    assert hold_nanos(price, worst_usage(101, 10)) == 555


def test_a_hold_does_not_pay_for_an_hour_that_nobody_asked_for() -> None:
    """The price of one-hour cache writes is held only when the caller asks for that class."""
    price = flat(1_000, cache_write_picos=1_250, cache_write_1h_picos=2_000)
    assert hold_nanos(price, worst_usage(100, 0)) == 125
    assert hold_nanos(price, worst_usage(100, 0, hour_cache=True)) == 200


def test_a_hold_rounds_up() -> None:
    """A single pico is held as a whole nano."""
    assert hold_nanos(flat(1), Usage(input_tokens=1)) == 1
    assert hold_nanos(flat(0), Usage(input_tokens=1)) == 0


def test_every_choice_is_held_to_its_end() -> None:
    """Three choices hold three times the output and the prompt once."""
    assert worst_usage(10, 7, 3) == Usage(input_tokens=10, output_tokens=21)


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("wrong", [-1, TOKENS_MAX + 1])
def test_impossible_usage_is_refused_by_name(bucket: str, wrong: int) -> None:
    """A negative bucket, or one beyond 10^12 tokens, is an error that names the bucket."""
    with pytest.raises(ImpossibleUsage) as caught:
        Usage(**{bucket: wrong})
    assert (caught.value.bucket, caught.value.tokens) == (bucket, wrong)


@pytest.mark.parametrize("wrong", [-1, PICOS_PER_TOKEN_MAX + 1])
def test_a_rate_out_of_range_is_refused(wrong: int) -> None:
    """A negative rate, or one beyond 1,000 USD per million tokens, cannot become a price."""
    with pytest.raises(PriceOutOfRange):
        flat(wrong)


def test_no_bucket_is_free_by_mistake() -> None:
    """Every bucket of a usage is billed."""
    for bucket in BUCKETS:
        assert cost_nanos(flat(1_000), Usage(**{bucket: 7})) == 7, bucket
    assert sum(astuple(Usage(*[1] * len(BUCKETS)))) == len(BUCKETS)
