"""What opportunities are concluded from: sums over a period. Money is nano-USD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catalog.price import PICOS_PER_NANO, Rates
from services.ledger.rules.values import NO_TOKENS, Tokens
from services.ledger.rules.windows import DAY_US

MONTH_US = 30 * DAY_US
# An answer of at most so many tokens is a label, a number or a name.
SHORT_TOKENS = 64
# Providers cache prompts from so many tokens on.
CACHEABLE_TOKENS = 1024
# A turn may read so many times what the first one read before a conversation counts as grown.
GROWN_TIMES = 4
# Requests to look at, an opportunity.
REQUEST_SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the calls: how many, their cost, their tokens by bucket."""

    calls: int = 0
    cost_nanos: int = 0
    tokens: Tokens = NO_TOKENS


@dataclass(frozen=True, slots=True)
class Use:
    """What a feature made of a model.

    `short`: calls whose answer has at most SHORT_TOKENS. `alone`: calls that were not streamed and
    name neither user nor session. `unstreamed`: calls that were not streamed.
    """

    feature: str
    model: str
    provider: str
    all: Part
    short: Part = Part()
    alone: Part = Part()
    unstreamed: Part = Part()
    failed: Part = Part()
    again: Part = Part()
    # Of calls whose prompt was counted by segment.
    segmented_calls: int = 0
    system_tokens: int = 0
    new_tokens: int = 0
    # Of calls with an output limit.
    limited_calls: int = 0
    limit_tokens: int = 0
    limited_output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Repeats:
    """Prompts of a feature that were paid for again: within the hour, the day, the period.

    Amounts are what all but the first of equal prompts cost.
    """

    feature: str
    calls: int
    hour_nanos: int
    day_nanos: int
    period_nanos: int
    request_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """Prompts of a feature that were near to one answered before."""

    feature: str
    calls: int
    cost_nanos: int
    request_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Static:
    """A system prompt of a feature, long enough for a provider's cache."""

    feature: str
    model: str
    calls: int
    system_tokens: int
    cached_tokens: int
    request_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Grown:
    """Conversations of a feature that read more than GROWN_TIMES their first turn."""

    feature: str
    model: str
    sessions: int
    calls: int
    excess_tokens: int
    request_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Users:
    """What users cost: how many, the middle one's cost, the dearest (name, cost, requests)."""

    count: int
    median_nanos: int
    total_nanos: int
    dearest: Sequence[tuple[str, int, int]] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A model that could be called: its rates, whether it is configured, whether "auto" may take
    it and what it can do. `generation`: numbers in its name, such as (5, 4)."""

    name: str
    rates: Rates
    provider: str = ""
    configured: bool = True
    capabilities: frozenset[str] | None = None
    window_tokens: int | None = None
    generation: tuple[int, ...] = ()
    batch_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `span_us`: how long the period with bookings is. `models`: the configured ones,
    by name; `published`: others of the same providers, by the configured model they could stand
    in for."""

    span_us: int
    cost_nanos: int
    uses: Sequence[Use] = ()
    repeats: Sequence[Repeats] = ()
    near: Sequence[Near] = ()
    static: Sequence[Static] = ()
    grown: Sequence[Grown] = ()
    users: Users = Users(0, 0, 0)
    models: Mapping[str, Model] = field(default_factory=dict)
    published: Mapping[str, Sequence[Model]] = field(default_factory=dict)
    # Calls with the facts that some opportunities need.
    hashed_calls: int = 0
    near_calls: int = 0
    sample: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def month(nanos: int, span_us: int) -> int:
    """An amount of the period as an amount of 30 days; a period counts as a day at least."""
    return nanos * MONTH_US // max(span_us, DAY_US)


def priced(tokens: Tokens, rates: Rates) -> int:
    """What tokens cost at other rates, in nano-USD. Without long-context rates: a sum of calls
    does not tell how long each was."""
    picos = (
        tokens.input_tokens * rates.input_picos
        + tokens.cached_input_tokens * rates.cached_input_picos
        + tokens.cache_write_tokens * rates.cache_write_picos
        + tokens.cache_write_1h_tokens * rates.cache_write_1h_picos
        + (tokens.output_tokens + tokens.reasoning_tokens) * rates.output_picos
        + tokens.audio_input_tokens * rates.audio_input_picos
        + tokens.audio_output_tokens * rates.audio_output_picos
        + tokens.image_input_tokens * rates.image_input_picos
        + tokens.image_output_tokens * rates.image_output_picos
    )
    return picos // PICOS_PER_NANO
