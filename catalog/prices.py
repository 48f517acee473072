"""Which price a configured model has at a moment."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from catalog.config import ConfigError
from catalog.nearest import nearest
from catalog.picos import picos_per_token
from catalog.price import ModelPrice, Rates, Tier
from catalog.published import DatedPrice, NoPublishedPrice, Published, PublishedModel
from catalog.schema import FleetConfig, ModelConfig, PriceConfig, RatesConfig
from catalog.tiers import STANDARD, UnpricedTier, tier_price

_DIGEST_HEX_DIGITS = 8


class UnknownModel(Exception):
    """No model of this name is configured. `nearest` is a close name or None."""

    def __init__(self, model: str, nearest_name: str | None) -> None:
        super().__init__("no model of this name is configured")
        self.model = model
        self.nearest = nearest_name


class Unpriced(Exception):
    """The price of a configured model is not known. It is never taken for 0."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"the price of {model} is unknown: {reason}")
        self.model = model
        self.reason = reason


class PriceBook:
    """The prices of all configured models, by configured name or alias.

    Made once: loads the published catalogue and turns every price into whole numbers. Looking a
    price up is a walk over a handful of dates. Raises ConfigError when a `priced_as` names
    nothing that is published.
    """

    def __init__(self, config: FleetConfig, published: Published | None = None) -> None:
        self._published = published or Published()
        self._config = config
        self._names = {name: name for name in config.models}
        self._prices: dict[str, tuple[DatedPrice, ...] | Unpriced] = {}
        self.facts: dict[str, PublishedModel | None] = {}
        problems: list[str] = []
        for name, model in config.models.items():
            self._names.update(dict.fromkeys(model.aliases, name))
            self.facts[name] = self._look_up(config, name, model, problems)
            self._prices[name] = self._priced(name, model, self.facts[name])
        if problems:
            raise ConfigError("prices", problems)

    def name_of(self, model: str) -> str:
        """The configured name behind a name or alias. Raises UnknownModel."""
        found = self._names.get(model)
        if found is None:
            raise UnknownModel(model, nearest(model, self._names))
        return found

    def price(self, model: str, at: datetime) -> ModelPrice:
        """The price of a model, by name or alias, at a moment (aware).

        Raises UnknownModel, or Unpriced when its price at that moment is not known.
        """
        name = self.name_of(model)
        prices = self._prices[name]
        if isinstance(prices, Unpriced):
            # A fresh one each time: a raised exception keeps the frames it went through.
            raise Unpriced(name, prices.reason)
        for dated in reversed(prices):
            if dated.holds(at):
                return dated.price
        first = min(p.price.start for p in prices if p.price.start is not None)
        raise Unpriced(name, f"its first price holds from {first.date().isoformat()} on")

    def price_in(self, tier: str, model: str, at: datetime) -> ModelPrice:
        """The price of a model in a service tier: the operator's percentage, else the tier's own
        list, else what its provider publishes for all its models.

        Raises UnknownModel, or Unpriced when the model or the tier has no known price.
        """
        standard = self.price(model, at)
        if tier == STANDARD:
            return standard
        name = self.name_of(model)
        configured = self._config.models[name]
        provider = self._config.providers[configured.provider]
        own = {str(each): percent for each, percent in provider.tier_percent.items()}
        found = self.facts[name]
        if tier not in own and found is not None and configured.price is None:
            try:
                listed = self._published.tier_price(found, tier, at)
            except NoPublishedPrice as error:
                raise Unpriced(name, error.reason) from None
            if listed is not None:
                return listed
        try:
            seller = found.provider if found is not None else provider.priced_as or ""
            factor = tier_price(seller, tier, own)
        except UnpricedTier as error:
            raise Unpriced(name, str(error)) from None
        return replace(
            standard,
            version=f"{standard.version} / {tier}",
            numerator=factor.numerator,
            denominator=factor.denominator,
        )

    def _look_up(
        self, config: FleetConfig, name: str, model: ModelConfig, problems: list[str]
    ) -> PublishedModel | None:
        upstream = model.upstream_model or name
        if model.priced_as is not None:
            provider_id, _, upstream = model.priced_as.partition("/")
        else:
            provider = config.providers[model.provider]
            url = provider.places()[0].base_url
            provider_id = (
                provider.priced_as or (self._published.provider_at(url) if url else None) or ""
            )
        found = self._published.find(provider_id, upstream)
        if found is None and model.priced_as is not None:
            meant = self._published.nearest(provider_id, upstream)
            hint = f", did you mean {meant}?" if meant else ""
            problems.append(f"models.{name}.priced_as: is not in the catalogue{hint}")
        return found

    def _priced(
        self, name: str, model: ModelConfig, found: PublishedModel | None
    ) -> tuple[DatedPrice, ...] | Unpriced:
        if model.price is not None:
            return tuple(_own_price(name, price) for price in sorted(model.price, key=_start))
        if found is None:
            return Unpriced(name, "give it a price, or priced_as with a name from the catalogue")
        try:
            return self._published.prices(found)
        except NoPublishedPrice as error:
            return Unpriced(name, f"{found.provider}/{found.model}: {error.reason}")


def _start(price: PriceConfig) -> datetime:
    if price.start_date is None:
        return datetime.min.replace(tzinfo=UTC)
    day = price.start_date
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _own_price(name: str, price: PriceConfig) -> DatedPrice:
    """The operator's price. Its version holds a digest: other numbers are another version."""
    tiers = sorted(price.long_context, key=lambda tier: tier.input_tokens_over)
    rates = _own_rates(price)
    own_tiers = tuple(Tier(tier.input_tokens_over, _own_rates(tier)) for tier in tiers)
    digest = hashlib.sha256(repr((rates, own_tiers)).encode()).hexdigest()[:_DIGEST_HEX_DIGITS]
    start = None if price.start_date is None else _start(price)
    parts = ["operator", name, *([start.date().isoformat()] if start else []), digest]
    return DatedPrice(ModelPrice(rates, " / ".join(parts), own_tiers, start))


def _own_rates(rates: RatesConfig) -> Rates:
    def picos(*choices: Decimal | None) -> int:
        return picos_per_token(next(choice for choice in choices if choice is not None))

    read, written = rates.input_usd_per_million, rates.output_usd_per_million
    write = rates.cache_write_usd_per_million
    return Rates(
        input_picos=picos(read),
        cached_input_picos=picos(rates.cached_input_usd_per_million, read),
        cache_write_picos=picos(write, read),
        cache_write_1h_picos=picos(rates.cache_write_1h_usd_per_million, write, read),
        output_picos=picos(written),
        audio_input_picos=picos(rates.audio_input_usd_per_million, read),
        audio_output_picos=picos(rates.audio_output_usd_per_million, written),
        image_input_picos=picos(rates.image_input_usd_per_million, read),
        image_output_picos=picos(rates.image_output_usd_per_million, written),
    )
