"""One call's bill, line by line. The sum is rounded once; lines are exact pico-USD."""

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.price import PICOS_PER_NANO, ModelPrice
from catalog.tiers import TierPrice
from catalog.usage import ImpossibleUsage, Usage

_RATE_OF = {
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
USAGE_KEYS = tuple(_RATE_OF)
_READ_PARTS = (
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
_WRITTEN_PARTS = ("reasoning_tokens", "audio_output_tokens", "image_output_tokens")


class UnknownUsageKey(Exception):
    """A key of a usage is none of USAGE_KEYS. `key` is the one."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is no usage key; they are {', '.join(USAGE_KEYS)}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Line:
    """One bucket: its tokens, the rate of one, and what they come to before any tier."""

    bucket: str
    tokens: int
    rate_picos: int
    picos: int


@dataclass(frozen=True, slots=True)
class Bill:
    """`nanos` is the sum at the tier's factor, rounded half to even."""

    nanos: int
    lines: tuple[Line, ...]


def usage_of(told: Mapping[str, int]) -> Usage:
    """Disjoint buckets from totals: `input_tokens` holds cached, written, audio and image
    tokens, `output_tokens` reasoning, audio and image ones.

    Raises: UnknownUsageKey; ImpossibleUsage when a part is more than its total or a number is out
    of range.
    """
    for key, tokens in told.items():
        if key not in _RATE_OF:
            raise UnknownUsageKey(key)
        if tokens < 0:
            raise ImpossibleUsage(key, tokens)
    parts = {key: told.get(key, 0) for key in (*_READ_PARTS, *_WRITTEN_PARTS)}
    read = told.get("input_tokens", 0) - sum(parts[key] for key in _READ_PARTS)
    written = told.get("output_tokens", 0) - sum(parts[key] for key in _WRITTEN_PARTS)
    if read < 0:
        raise ImpossibleUsage("input_tokens", read)
    if written < 0:
        raise ImpossibleUsage("output_tokens", written)
    return Usage(input_tokens=read, output_tokens=written, **parts)


def bill(price: ModelPrice, usage: Usage, tier: TierPrice) -> Bill:
    """The bill of one call: multiplied out, summed, the factor taken, rounded once."""
    rates = price.rates_at(usage.read_tokens)
    lines = tuple(
        Line(bucket, tokens, rate, tokens * rate)
        for bucket, name in _RATE_OF.items()
        if (tokens := getattr(usage, bucket))
        for rate in (getattr(rates, name),)
    )
    whole = sum(line.picos for line in lines) * tier.numerator
    nanos, rest = divmod(whole, tier.denominator * PICOS_PER_NANO)
    twice = 2 * rest
    half = tier.denominator * PICOS_PER_NANO
    if twice > half or (twice == half and nanos % 2 == 1):
        nanos += 1
    return Bill(nanos, lines)
