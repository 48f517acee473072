"""The configured models with every default filled in."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from catalog.facts import fact_about
from catalog.prices import PriceBook
from catalog.schema import Capability, FleetConfig, ModelConfig


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a configured model. None stands for unknown.

    `output_tokens_default` is asked for when the caller sets no limit; never above
    `output_tokens_max`. From `retire_time` on (UTC) the provider has switched the model off.
    """

    name: str
    provider: str
    upstream_model: str
    capabilities: frozenset[Capability] | None
    context_window_tokens: int | None
    output_tokens_max: int | None
    output_tokens_default: int
    aliases: tuple[str, ...]
    routable: bool
    fallbacks: tuple[str, ...]
    retire_time: datetime | None
    region: str | None = None
    strength_percent: int | None = None
    deprecate_time: datetime | None = None
    # Makes vectors of texts, one by one: its window is for each, and "auto" never takes it.
    embeds: bool = False

    def retired(self, at: datetime) -> bool:
        """Whether the provider has switched it off by then."""
        return self.retire_time is not None and at >= self.retire_time

    def deprecated(self, at: datetime) -> bool:
        """Whether the provider advises against it by then."""
        return self.deprecate_time is not None and at >= self.deprecate_time


class Models:
    """All configured models, by name or alias."""

    def __init__(self, config: FleetConfig, book: PriceBook) -> None:
        self._book = book
        self._cards = {
            name: _card(config, name, config.models[name], book) for name in sorted(config.models)
        }

    def card(self, model: str) -> ModelCard:
        """The card of a model, by name or alias. Raises UnknownModel."""
        return self._cards[self._book.name_of(model)]

    def all(self) -> tuple[ModelCard, ...]:
        """Every card, in the order of the names."""
        return tuple(self._cards.values())


def _card(config: FleetConfig, name: str, model: ModelConfig, book: PriceBook) -> ModelCard:
    upstream = model.upstream_model or name
    published = book.facts[name]
    fact = fact_about(published.model if published else upstream)
    window = model.context_window_tokens
    if window is None and published is not None:
        window = published.context_window_tokens
    if window is None and fact is not None:
        window = fact.context_window_tokens
    output_max = model.output_tokens_max or (fact.output_tokens_max if fact else None)
    default = model.output_tokens_default or config.routing.output_tokens_default
    capabilities = None
    if model.capabilities is not None:
        capabilities = frozenset(model.capabilities)
    elif fact is not None:
        capabilities = fact.capabilities
    return ModelCard(
        name=name,
        provider=model.provider,
        upstream_model=upstream,
        capabilities=capabilities,
        context_window_tokens=window,
        output_tokens_max=output_max,
        output_tokens_default=min(default, output_max or default),
        aliases=tuple(model.aliases),
        routable=model.routable and not model.embeds(name),
        fallbacks=tuple(model.fallbacks),
        retire_time=_midnight(model.retire_date),
        region=model.region,
        strength_percent=model.strength_percent,
        deprecate_time=_midnight(model.deprecate_date),
        embeds=model.embeds(name),
    )


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
