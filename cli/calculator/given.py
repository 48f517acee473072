"""What people type at `spendgate calc`, made into a Workload. Raises Problem with the next step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from catalog.picos import InexactPrice, picos_per_token
from catalog.prices import Unpriced
from catalog.published import NoPublishedPrice, Published
from cli.amounts import count_of, nanos_of
from cli.calculator.steps import BP, HOURS, STEPS, Rate, assumed
from cli.calculator.workload import Prices, Row, Workload, WorkloadError, rows_of
from cli.problems import EXIT_USAGE, Problem

# Where a model's name without a provider is looked for, in this order.
PROVIDERS = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq")


@dataclass(frozen=True, slots=True)
class Told:
    """The options that all sources of a month share, as typed."""

    turns: int
    cached: str
    tools: str
    repeat: str
    wait: str
    cheap: str
    assume: Sequence[str]
    hours: Sequence[str]
    rate: str
    running: str


class PriceList:
    """Prices by name: what the user told first, then what is published at a moment."""

    def __init__(self, own: Iterable[str], at: datetime) -> None:
        self._own = dict(_own_price(text) for text in own)
        self._at = at
        self._published: Published | None = None

    def prices(self, name: str) -> Prices:
        """For "gpt-5.4" or "openai/gpt-5.4". Raises Problem."""
        if name in self._own:
            return self._own[name]
        self._published = self._published or Published()
        given, _, model = name.rpartition("/")
        for provider in (given,) if given else PROVIDERS:
            found = self._published.find(provider, model)
            if found is None:
                continue
            try:
                dated = [each for each in self._published.prices(found) if each.holds(self._at)]
            except (NoPublishedPrice, Unpriced) as error:
                raise _unpriced(name, str(error)) from None
            if dated:
                rates = dated[-1].price.rates
                return Prices(rates.input_picos, rates.cached_input_picos, rates.output_picos)
        raise _unpriced(name, "the catalogue has no price of it")


def from_form(
    told: Told, prices: PriceList, mix: Sequence[str], tokens: Mapping[str, int], **volume: str
) -> Workload:
    """A month from tokens a request: `volume` has requests or spend (or both), else empty."""
    requests, spend = volume["requests"], volume["spend"]
    if not requests and not spend:
        raise Problem(
            "neither requests nor spending is told",
            "give --requests 100k or --spend 1500, a file with --usage, or --from-ledger",
            code=EXIT_USAGE,
        )
    shares = [_share(text) for text in mix or ["gpt-5.4"]]
    try:
        rows = rows_of(
            [(name, share, prices.prices(name)) for name, share in shares],
            # With spending alone any number does: the tokens are scaled to what was paid.
            requests=count_of(requests) if requests else 10**6,
            turns=told.turns,
            **tokens,
        )
    except WorkloadError as error:
        raise Problem(str(error), code=EXIT_USAGE) from None
    return build(told, prices, rows, nanos_of(spend) if spend else None)


def build(told: Told, prices: PriceList, rows: tuple[Row, ...], spend: int | None) -> Workload:
    """The workload of rows that are known. Raises Problem."""
    cheap_name = told.cheap or _cheapest(rows)
    cached = bp_of(told.cached)
    rates = assumed(
        repeat_bp=bp_of(told.repeat) if told.repeat else None,
        turns=max(1, told.turns),
        provider_caches=cached > 0,
        wait_bp=bp_of(told.wait),
    )
    for text in told.assume:
        step, rate = _assumption(text)
        rates[step] = rate
    hours = dict(HOURS) | dict(_hours(text) for text in told.hours)
    try:
        return Workload(
            rows=rows,
            turns=told.turns,
            cached_bp=cached,
            tool_bp=bp_of(told.tools),
            cheap=prices.prices(cheap_name) if told.cheap else _prices_in(rows, cheap_name),
            cheap_name=cheap_name,
            rates=rates,
            spend_nanos=spend,
            hours=hours,
            hourly_nanos=nanos_of(told.rate),
            running_nanos=nanos_of(told.running),
        )
    except WorkloadError as error:
        raise Problem(str(error), "see: spendgate calc --help", code=EXIT_USAGE) from None


def bp_of(text: str) -> int:
    """Basis points of "12.5" or "12.5%". Raises Problem."""
    try:
        points = Decimal(text.removesuffix("%")) * 100
    except InvalidOperation:
        points = Decimal("NaN")
    if not points.is_finite() or not 0 <= points <= BP or points != points.to_integral_value():
        raise Problem(
            f"{text!r} is no percentage", "write 0 to 100, two decimals at most", code=EXIT_USAGE
        )
    return int(points)


def _cheapest(rows: Sequence[Row]) -> str:
    dearest = max(rows, key=lambda row: row.prices.output_picos)
    cheapest = min(rows, key=lambda row: row.prices.output_picos)
    return cheapest.name if cheapest.prices != dearest.prices else ""


def _prices_in(rows: Sequence[Row], name: str) -> Prices | None:
    return next((row.prices for row in rows if row.name == name), None)


def _share(text: str) -> tuple[str, int]:
    name, sign, share = text.partition("=")
    return name, bp_of(share) if sign else BP


def _own_price(text: str) -> tuple[str, Prices]:
    name, sign, rest = text.partition("=")
    parts = rest.split(",")
    try:
        if not sign or len(parts) not in (2, 3):
            raise InvalidOperation
        picos = [picos_per_token(Decimal(part)) for part in parts]
    except (InvalidOperation, InexactPrice):
        raise Problem(
            f"{text!r} is no price",
            "write NAME=INPUT,OUTPUT or NAME=INPUT,OUTPUT,CACHED in USD for a million tokens",
            code=EXIT_USAGE,
        ) from None
    return name, Prices(picos[0], picos[2] if len(picos) == 3 else picos[0], picos[1])


def _assumption(text: str) -> tuple[str, Rate]:
    step, _, rest = text.partition("=")
    parts = rest.split(",")
    if step not in STEPS or len(parts) != 3:
        raise Problem(
            f"{text!r} is no assumption",
            f"write STEP=LOW,EXPECTED,HIGH in percent; steps: {', '.join(STEPS)}",
            code=EXIT_USAGE,
        )
    low, expected, high = map(bp_of, parts)
    return step, replace(Rate(low, expected, high, ""), why="as you said")


def _hours(text: str) -> tuple[str, int]:
    step, sign, hours = text.partition("=")
    if step not in STEPS or not sign:
        raise Problem(
            f"{text!r} tells no hours",
            f"write STEP=HOURS; steps: {', '.join(STEPS)}",
            code=EXIT_USAGE,
        )
    return step, count_of(hours)


def _unpriced(name: str, why: str) -> Problem:
    return Problem(
        f"{name} is unpriced: {why}",
        f"tell its price in USD for a million tokens: --price {name}=INPUT,OUTPUT,CACHED",
    )
