"""`spendgate cost`: what a call costs, from its usage. Needs no fleet."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from catalog.bill import UnknownUsageKey, bill, usage_of
from catalog.price import ModelPrice
from catalog.published import NoPublishedPrice, Published
from catalog.tiers import TIERS, UnpricedTier, tier_price
from catalog.usage import ImpossibleUsage
from cli.place import JsonOption
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import print_json, print_table

EPILOG = (
    "Example: spendgate cost --provider openai --model gpt-5.4"
    """ --usage '{"input_tokens": 1000, "cached_input_tokens": 800, "output_tokens": 200}'"""
)


@command
async def cost(
    *,
    provider: Annotated[str, typer.Option(help="The catalogue's provider, such as openai.")],
    model: Annotated[str, typer.Option(help="The provider's model, such as gpt-5.4.")],
    usage: Annotated[str, typer.Option(help="JSON of tokens; input_tokens is the total.")],
    at: Annotated[str | None, typer.Option(help="RFC 3339 moment. Default: now.")] = None,
    tier: Annotated[str, typer.Option(help=f"One of {', '.join(TIERS)}.")] = "standard",
    as_json: JsonOption = False,
) -> None:
    """Print what a call costs, exactly, from the usage its provider told."""
    moment = _moment(at)
    told = _told(usage)
    try:
        tokens = usage_of(told)
    except (UnknownUsageKey, ImpossibleUsage) as error:
        raise Problem(f"impossible usage: {error}", code=EXIT_USAGE) from None
    price = price_at(provider, model, moment)
    if tier not in TIERS:
        raise Problem(f"no such tier; there are {', '.join(TIERS)}", code=EXIT_USAGE)
    try:
        factor = tier_price(provider, tier)
    except UnpricedTier as error:
        raise Problem(str(error), "Take another tier, or price it yourself.") from None
    found = bill(price, tokens, factor)
    lines: list[dict[str, Any]] = [
        {
            "bucket": line.bucket,
            "tokens": line.tokens,
            "picos_per_token": line.rate_picos,
            "picos": line.picos * factor.numerator // factor.denominator,
        }
        for line in found.lines
    ]
    result = {
        "provider": provider,
        "model": model,
        "tier": tier,
        "at": moment.isoformat(),
        "cost_usd": usd(found.nanos),
        "cost_nanos": found.nanos,
        "price_version": price.version,
        "breakdown": lines,
    }
    if as_json:
        print_json(result)
        return
    rows = [[line["bucket"], f"{line['tokens']:,}", per_million(line)] for line in lines]
    print_table(["bucket", "tokens", "USD/M"], rows, right=" rr")
    typer.echo(f"{result['cost_usd']} USD ({price.version}, {tier})")


def per_million(line: dict[str, Any]) -> str:
    """A rate as people know it."""
    return f"{Decimal(line['picos_per_token']).scaleb(-6).normalize():f}"


def usd(nanos: int) -> str:
    """Nano-USD as a decimal number of USD."""
    text = f"{Decimal(nanos).scaleb(-9):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_at(provider: str, model: str, at: datetime) -> ModelPrice:
    """The published price at a moment. Raises Problem."""
    published = Published()
    found = published.find(provider, model)
    if found is None:
        meant = published.nearest(provider, model)
        raise Problem(
            "the catalogue has no such model" + (f", did you mean {meant}?" if meant else ""),
            "Unknown is not free: set a price in the fleet file.",
        )
    try:
        prices = published.prices(found)
    except NoPublishedPrice as error:
        raise Problem(f"unpriced: {error.reason}", "Set a price in the fleet file.") from None
    for dated in reversed(prices):
        if dated.holds(at):
            return dated.price
    raise Problem("unpriced at that moment: its first price begins later")


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem("--at is not an RFC 3339 moment", code=EXIT_USAGE) from None
    if moment.tzinfo is None:
        raise Problem("--at needs a time zone, such as Z", code=EXIT_USAGE)
    return moment


def _told(text: str) -> dict[str, int]:
    try:
        told = json.loads(text)
    except ValueError:
        raise Problem("--usage is not JSON", code=EXIT_USAGE) from None
    good = isinstance(told, dict) and all(
        isinstance(tokens, int) and not isinstance(tokens, bool) for tokens in told.values()
    )
    if not good:
        raise Problem("--usage must be an object of whole numbers", code=EXIT_USAGE)
    return dict(told)


def register(app: typer.Typer) -> None:
    """Adds `cost`."""
    app.command("cost", epilog=EPILOG)(cost)
