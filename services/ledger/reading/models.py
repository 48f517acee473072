"""What is known of models: those of the fleet file, and newer ones of the same families."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from catalog.facts import fact_about
from catalog.fleet import Fleet
from catalog.price import ModelPrice
from catalog.prices import Unpriced
from catalog.published import NoPublishedPrice, Published, PublishedModel
from catalog.tiers import UnpricedTier, tier_price
from services.ledger.insight.facts import Model

_DATE = re.compile(r"[-@](20\d{2}-\d{2}-\d{2}|20\d{6})$")
_NUMBER = re.compile(r"\d+")
# "4o" is a number and no word of its own.
_NUMBERS = re.compile(r"\d+o?")


def configured_models(fleet: Fleet, at: datetime) -> dict[str, Model]:
    """The models of the fleet file that have a price at a moment, by name."""
    found = {}
    for name in fleet.config.models:
        try:
            price = fleet.book.price(name, at)
        except Unpriced:
            continue
        published = fleet.book.facts[name]
        upstream = published.model if published else fleet.models.card(name).upstream_model
        card = fleet.models.card(name)
        found[name] = Model(
            name=name,
            rates=price.rates,
            provider=published.provider if published else "",
            capabilities=None if card.capabilities is None else frozenset(card.capabilities),
            window_tokens=card.context_window_tokens,
            generation=generation(upstream),
            batch_percent=_batch_percent(published.provider if published else ""),
        )
    return found


def published_models(
    fleet: Fleet, published: Published, at: datetime
) -> Mapping[str, Sequence[Model]]:
    """Newer models of the family of each configured one, by the configured one's name."""
    found = {}
    for name, known in fleet.book.facts.items():
        if known is None:
            continue
        newer = [
            other
            for other in published.models_of(known.provider)
            if family(other.model) == family(known.model)
            and generation(other.model) > generation(known.model)
        ]
        models = [_published(published, other, at) for other in newer]
        found[name] = [model for model in models if model is not None]
    return found


def family(model: str) -> str:
    """A published name without numbers and dates: "claude-sonnet-4-5" is "claude-sonnet"."""
    words = re.split(r"[-.:_/]+", _NUMBERS.sub("", _DATE.sub("", model.lower())))
    return "-".join(word for word in words if word and word != "latest")


def generation(model: str) -> tuple[int, ...]:
    """The numbers in a published name, without a date: "claude-sonnet-4-5" is (4, 5)."""
    return tuple(int(number) for number in _NUMBER.findall(_DATE.sub("", model)))


def undated(model: str) -> str:
    """A provider's name of a model without the date of a snapshot."""
    return _DATE.sub("", model)


def _published(published: Published, model: PublishedModel, at: datetime) -> Model | None:
    try:
        dated = [price for price in published.prices(model) if price.holds(at)]
    except NoPublishedPrice:
        return None
    if not dated:
        return None
    price: ModelPrice = dated[-1].price
    fact = fact_about(model.model)
    return Model(
        name=model.model,
        rates=price.rates,
        provider=model.provider,
        configured=False,
        capabilities=None if fact is None else frozenset(fact.capabilities),
        window_tokens=model.context_window_tokens,
        generation=generation(model.model),
    )


def _batch_percent(provider: str) -> int | None:
    try:
        tier = tier_price(provider, "batch")
    except UnpricedTier:
        return None
    return tier.numerator * 100 // tier.denominator
