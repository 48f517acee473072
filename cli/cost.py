"""`spendgate cost`: what a call costs, from its usage. Needs no fleet."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.bill import UnknownUsageKey, bill, usage_of
from catalog.config import ConfigError, load_config
from catalog.fleet import Fleet
from catalog.price import ModelPrice
from catalog.prices import UnknownModel, Unpriced
from catalog.published import NoPublishedPrice, Published
from catalog.tiers import STANDARD, TIERS, UnpricedTier, tier_price
from catalog.usage import ImpossibleUsage
from cli.place import JsonOption
from cli.problems import EXIT_CONFIG, EXIT_USAGE, Problem, command
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
    config: Annotated[
        Path | None,
        typer.Option(help="A fleet file: its providers, models, own prices and tiers count."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a call costs, exactly, from the usage its provider told."""
    moment = _moment(at)
    told = _told(usage)
    try:
        tokens = usage_of(told)
    except (UnknownUsageKey, ImpossibleUsage) as error:
        raise Problem(f"impossible usage: {error}", code=EXIT_USAGE) from None
    tiers: Mapping[str, Decimal] = {}
    if tier not in TIERS:
        raise Problem(f"no such tier; there are {', '.join(TIERS)}", code=EXIT_USAGE)
    listed = None
    if config is None:
        price = price_at(provider, model, moment)
        listed = _listed(provider, model, tier, moment)
    else:
        price, tiers = _configured(config, provider, model, moment)
    try:
        # The catalogue's own list of this tier needs no factor.
        factor = tier_price(provider, STANDARD if listed else tier, tiers)
    except UnpricedTier as error:
        raise Problem(str(error), "Take another tier, or price it yourself.") from None
    price = listed or price
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


def _listed(provider: str, model: str, tier: str, at: datetime) -> ModelPrice | None:
    """What the catalogue says of this model's tier itself. Raises Problem."""
    published = Published()
    found = published.find(provider, model)
    if found is None or tier == STANDARD:
        return None
    try:
        return published.tier_price(found, tier, at)
    except NoPublishedPrice as error:
        raise Problem(f"unpriced: {error.reason}", "Set a price in the fleet file.") from None


def _configured(
    path: Path, provider: str, model: str, at: datetime
) -> tuple[ModelPrice, Mapping[str, Decimal]]:
    """The price and the tiers of a fleet file's model. Raises Problem."""
    try:
        fleet = Fleet.of(load_config(path))
        card = fleet.models.card(model)
        if card.provider != provider:
            raise Problem(f"{model} is served by {card.provider}", code=EXIT_USAGE)
        return fleet.book.price(model, at), _tiers(fleet, provider)
    except ConfigError as error:
        raise Problem(str(error), code=EXIT_CONFIG) from None
    except UnknownModel as error:
        meant = f", did you mean {error.nearest}?" if error.nearest else ""
        raise Problem(f"{path} has no such model{meant}", code=EXIT_USAGE) from None
    except Unpriced as error:
        raise Problem(f"unpriced: {error.reason}", "Set a price in the fleet file.") from None


def _tiers(fleet: Fleet, provider: str) -> Mapping[str, Decimal]:
    """The operator's own before what the catalogue's provider publishes."""
    config = fleet.config.providers[provider]
    own = {str(name): each for name, each in config.tier_percent.items()}
    if config.priced_as is None:
        return own
    for tier in TIERS:
        try:
            factor = tier_price(config.priced_as, tier)
        except UnpricedTier:
            continue
        own.setdefault(tier, Decimal(100) * factor.numerator / factor.denominator)
    return own


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
