"""What tokens cost: whole numbers from the price list to the bill.

Prices are whole pico-USD (10^-12 USD) a token, money is whole nano-USD (10^-9 USD). A cost is
multiplied out and added up in picos and rounded to nanos once, at the end.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from functools import reduce

from catalog.usage import Usage

PICOS_PER_NANO = 1000

# 1,000 USD for a million tokens. With at most 10^12 tokens in each of nine buckets no cost can
# leave an int64 of nano-USD; what all ten could come to the ledger refuses.
PICOS_PER_TOKEN_MAX = 10**9
# The rate of a picture where none is told: that of text.
AS_TEXT = -1


class PriceOutOfRange(Exception):
    """A rate is below 0 or above PICOS_PER_TOKEN_MAX. `rate` is its name, `picos` its value."""

    def __init__(self, rate: str, picos: int) -> None:
        super().__init__(f"{rate} is {picos}; it must be from 0 to {PICOS_PER_TOKEN_MAX}")
        self.rate = rate
        self.picos = picos


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD for one token of each bucket. Reasoning is billed as output, pictures as text unless
    they have rates of their own.

    Raises PriceOutOfRange when a rate is below 0 or above PICOS_PER_TOKEN_MAX.
    """

    input_picos: int
    cached_input_picos: int
    cache_write_picos: int
    cache_write_1h_picos: int
    output_picos: int
    audio_input_picos: int
    audio_output_picos: int
    image_input_picos: int = AS_TEXT
    image_output_picos: int = AS_TEXT

    def __post_init__(self) -> None:
        if self.image_input_picos == AS_TEXT:
            object.__setattr__(self, "image_input_picos", self.input_picos)
        if self.image_output_picos == AS_TEXT:
            object.__setattr__(self, "image_output_picos", self.output_picos)
        for rate in RATE_NAMES:
            picos = getattr(self, rate)
            if not 0 <= picos <= PICOS_PER_TOKEN_MAX:
                raise PriceOutOfRange(rate, picos)

    def dearest(self, other: "Rates") -> "Rates":
        """The higher of both, rate by rate."""
        return Rates(*(max(getattr(self, name), getattr(other, name)) for name in RATE_NAMES))


RATE_NAMES = tuple(field.name for field in fields(Rates))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for the whole request once the model reads more than `input_tokens_over` tokens."""

    input_tokens_over: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The price of a model from `start` on (UTC; None: not told).

    `tiers` are in ascending order. `version` names the list, so that a booked row can be traced
    to the numbers it was priced with. `numerator` / `denominator` is what a service tier makes of
    the whole, where it has no rates of its own.
    """

    rates: Rates
    version: str
    tiers: tuple[Tier, ...] = ()
    start: datetime | None = None
    numerator: int = 1
    denominator: int = 1

    def rates_at(self, read_tokens: int) -> Rates:
        """The rates of a request that reads so many tokens: all of them pay the same."""
        rates = self.rates
        for tier in self.tiers:
            if read_tokens > tier.input_tokens_over:
                rates = tier.rates
        return rates

    def worst_rates_up_to(self, read_tokens: int) -> Rates:
        """The dearest rates that a request reading so many tokens or fewer can meet."""
        reached = (t.rates for t in self.tiers if read_tokens > t.input_tokens_over)
        return reduce(Rates.dearest, reached, self.rates)


def cost_nanos(price: ModelPrice, usage: Usage) -> int:
    """What `usage` costs in nano-USD, rounded once, half to even."""
    rates = price.rates_at(usage.read_tokens)
    picos = (
        usage.input_tokens * rates.input_picos
        + usage.cached_input_tokens * rates.cached_input_picos
        + usage.cache_write_tokens * rates.cache_write_picos
        + usage.cache_write_1h_tokens * rates.cache_write_1h_picos
        + (usage.output_tokens + usage.reasoning_tokens) * rates.output_picos
        + usage.audio_input_tokens * rates.audio_input_picos
        + usage.audio_output_tokens * rates.audio_output_picos
        + usage.image_input_tokens * rates.image_input_picos
        + usage.image_output_tokens * rates.image_output_picos
    )
    whole = PICOS_PER_NANO * price.denominator
    nanos, rest = divmod(picos * price.numerator, whole)
    if 2 * rest > whole or (2 * rest == whole and nanos % 2 == 1):
        nanos += 1
    return nanos


def hold_nanos(price: ModelPrice, usage: Usage) -> int:
    """The most that a request within `usage` can cost in nano-USD, rounded up.

    A request is within `usage` when it reads no more text and pictures, no more sound, writes no
    more text (reasoning included) and pictures, and no more sound. How the provider splits what it
    read into text fresh, cached and newly cached and pictures is its own choice, so every token is
    held at the dearest of these prices; what it writes at that of text or pictures. The one-hour
    cache is the caller's choice: only tokens held in that bucket are held at its price too.
    Long-context prices that a shorter request would meet count as well.
    """
    rates = price.worst_rates_up_to(usage.read_tokens)
    text = max(
        rates.input_picos,
        rates.cached_input_picos,
        rates.cache_write_picos,
        rates.image_input_picos,
    )
    read = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
    written = usage.output_tokens + usage.reasoning_tokens + usage.image_output_tokens
    picos = (
        (read + usage.image_input_tokens) * text
        + usage.cache_write_1h_tokens * max(text, rates.cache_write_1h_picos)
        + written * max(rates.output_picos, rates.image_output_picos)
        + usage.audio_input_tokens * rates.audio_input_picos
        + usage.audio_output_tokens * rates.audio_output_picos
    )
    return -(-picos * price.numerator // (PICOS_PER_NANO * price.denominator))


def worst_usage(
    input_tokens: int,
    output_tokens_max: int,
    choice_count: int = 1,
    *,
    hour_cache: bool = False,
    audio_input_tokens: int = 0,
) -> Usage:
    """The most a text request can use, for `hold_nanos`.

    The prompt is read once, every choice may be written to its end. With `hour_cache` the caller
    has asked the provider to keep the prompt for an hour: all of it may be billed as such a write.
    Raises ImpossibleUsage for numbers out of range.
    """
    return Usage(
        input_tokens=0 if hour_cache else input_tokens,
        cache_write_1h_tokens=input_tokens if hour_cache else 0,
        output_tokens=output_tokens_max * choice_count,
        audio_input_tokens=audio_input_tokens,
    )
