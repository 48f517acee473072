"""What is spent in a month, as the calculator sees it: tokens by model and by what they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cli.calculator.steps import BP, CASES, HOURS, STEPS, Rate

COUNT_MAX = 10**15
ROWS_MAX = 50
TURNS_MAX = 1000
PICOS_MAX = 10**9
NANOS_MAX = 10**18
HOURS_MAX = 10**5

BUCKETS = ("instructions", "history", "new", "output")


class WorkloadError(Exception):
    """A workload that cannot be reckoned. `field` is what is wrong, `rule` what would be right."""

    def __init__(self, field_name: str, rule: str) -> None:
        super().__init__(f"{field_name} {rule}")
        self.field = field_name
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Prices:
    """Whole pico-USD for a token read, read from the provider's cache, and written."""

    input_picos: int
    cached_picos: int
    output_picos: int


@dataclass(frozen=True, slots=True)
class Row:
    """A model's month. Tokens are whole numbers; history in half tokens, for means of turns."""

    name: str
    requests: int
    instruction_tokens: int
    history_half_tokens: int
    new_tokens: int
    output_tokens: int
    prices: Prices


@dataclass(frozen=True, slots=True)
class Workload:
    """All that is reckoned from.

    `spend_nanos`: what was really paid in the month; everything is scaled to it. None: what the
    tokens cost. `cached_bp`: how much of instructions and history the provider reads from its own
    cache. `tool_bp`: how much of history and new tokens is JSON of tools. Raises WorkloadError.
    """

    rows: tuple[Row, ...]
    turns: int
    cached_bp: int
    tool_bp: int
    cheap: Prices | None
    cheap_name: str
    rates: Mapping[str, Rate]
    spend_nanos: int | None = None
    batch_discount_bp: int = 5000
    hours: Mapping[str, int] = field(default_factory=lambda: dict(HOURS))
    hourly_nanos: int = 200 * 10**9
    running_nanos: int = 100 * 10**9

    def __post_init__(self) -> None:
        if not 1 <= len(self.rows) <= ROWS_MAX:
            raise WorkloadError("models", f"must be 1 to {ROWS_MAX}")
        _within("turns", self.turns, 1, TURNS_MAX)
        for name in ("cached_bp", "tool_bp", "batch_discount_bp"):
            _within(name, getattr(self, name), 0, BP)
        for name in ("hourly_nanos", "running_nanos"):
            _within(name, getattr(self, name), 0, NANOS_MAX)
        if self.spend_nanos is not None:
            _within("spend_nanos", self.spend_nanos, 1, NANOS_MAX)
        for row in self.rows:
            for name in ROW_COUNTS:
                _within(f"{row.name}: {name}", getattr(row, name), 0, COUNT_MAX)
            _priced(row.name, row.prices)
        if self.cheap is not None:
            _priced(self.cheap_name, self.cheap)
        for step in STEPS:
            rate = self.rates[step]
            if not 0 <= rate.low <= rate.expected <= rate.high <= BP:
                raise WorkloadError(step, "must be from 0 to 100 %, low to high")
            _within(f"hours of {step}", self.hours[step], 0, HOURS_MAX)

    def full_picos(self, row: Row, prices: Prices) -> dict[str, Fraction]:
        """What a row's tokens cost at these prices, by bucket, before any scaling."""
        read, cached = prices.input_picos, prices.cached_picos
        again = Fraction(read * (BP - self.cached_bp) + cached * self.cached_bp, BP)
        return {
            "instructions": row.instruction_tokens * again,
            "history": Fraction(row.history_half_tokens, 2) * again,
            "new": Fraction(row.new_tokens * read),
            "output": Fraction(row.output_tokens * prices.output_picos),
        }


ROW_COUNTS = (
    "requests",
    "instruction_tokens",
    "history_half_tokens",
    "new_tokens",
    "output_tokens",
)


def rows_of(
    mix: Sequence[tuple[str, int, Prices]],
    *,
    requests: int,
    instruction_tokens: int,
    new_tokens: int,
    output_tokens: int,
    turns: int,
) -> tuple[Row, ...]:
    """Rows of a mix (name, share of requests in basis points, prices).

    Tokens are those of one request. A conversation of T turns sends u + a tokens again for every
    turn before: (T - 1) / 2 times a request, on average. Raises WorkloadError.
    """
    if sum(share for _, share, _ in mix) != BP:
        raise WorkloadError("shares", "must add up to 100 %")
    _within("requests", requests, 1, 10**12)
    per_request = {"instruction": instruction_tokens, "new": new_tokens, "output": output_tokens}
    for name, tokens in per_request.items():
        _within(f"{name} tokens", tokens, 0, 10**7)
    _within("turns", turns, 1, TURNS_MAX)
    rows, before, so_far = [], 0, 0
    for name, share, prices in mix:
        # What rounding leaves goes to the next row, so that the rows add up.
        so_far += share
        upto = requests * so_far // BP
        count, before = upto - before, upto
        rows.append(
            Row(
                name,
                count,
                count * instruction_tokens,
                count * (turns - 1) * (new_tokens + output_tokens),
                count * new_tokens,
                count * output_tokens,
                prices,
            )
        )
    return tuple(rows)


def as_json(work: Workload) -> dict[str, Any]:
    """The workload as the web page and the test vectors have it: whole numbers as text."""
    return {
        "turns": work.turns,
        "cachedBp": work.cached_bp,
        "toolBp": work.tool_bp,
        "batchDiscountBp": work.batch_discount_bp,
        "spendNanos": None if work.spend_nanos is None else str(work.spend_nanos),
        "cheapName": work.cheap_name,
        "cheap": None if work.cheap is None else _prices_json(work.cheap),
        "rows": [
            {
                "name": row.name,
                "requests": str(row.requests),
                "instructionTokens": str(row.instruction_tokens),
                "historyHalfTokens": str(row.history_half_tokens),
                "newTokens": str(row.new_tokens),
                "outputTokens": str(row.output_tokens),
                "prices": _prices_json(row.prices),
            }
            for row in work.rows
        ],
        "rates": {step: [work.rates[step].of(case) for case in CASES] for step in STEPS},
        "hours": {step: work.hours[step] for step in STEPS},
        "hourlyNanos": str(work.hourly_nanos),
        "runningNanos": str(work.running_nanos),
    }


def _prices_json(prices: Prices) -> dict[str, int]:
    return {
        "input": prices.input_picos,
        "cached": prices.cached_picos,
        "output": prices.output_picos,
    }


def _priced(name: str, prices: Prices) -> None:
    for each in (prices.input_picos, prices.cached_picos, prices.output_picos):
        _within(f"{name}: price", each, 0, PICOS_MAX)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise WorkloadError(name, f"must be from {low:,} to {high:,}")
