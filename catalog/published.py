"""What is published about models: prices, context windows. Read from the `genai-prices` package.

The only module that knows that package. Its data is loaded when a Published is made, never at
import, and never fetched over a network.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING

from catalog.nearest import nearest
from catalog.picos import InexactPrice, picos_per_token
from catalog.price import ModelPrice, Rates, Tier

if TYPE_CHECKING:
    from genai_prices import types as genai

# Our buckets' rates, each with the published prices that set it, best first. A price that is not
# published is that of the next wider bucket, as providers bill it.
_SOURCES = {
    "input_picos": ("input_mtok",),
    "cached_input_picos": ("cache_read_mtok", "input_mtok"),
    "cache_write_picos": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h_picos": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output_picos": ("output_mtok",),
    "audio_input_picos": ("input_audio_mtok", "input_mtok"),
    "audio_output_picos": ("output_audio_mtok", "output_mtok"),
    "image_input_picos": ("input_image_mtok", "input_mtok"),
    "image_output_picos": ("output_image_mtok", "output_mtok"),
}
_TOKEN_PRICES = frozenset(name for names in _SOURCES.values() for name in names)

# Fees that come on top of tokens, only when a provider's own tool runs. Usage does not tell them.
# Cached sound and pictures have no buckets of their own in a usage; they count as cached text.
_BESIDE_TOKENS = frozenset(
    {
        "web_searches_kcount",
        "social_searches_kcount",
        "storage_searches_kcount",
        "code_executions_kcount",
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
    }
)


class NoPublishedPrice(Exception):
    """Nothing usable is published. `reason` says what is missing, as half a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """A part of every day, in UTC: from `start` to before `end`, over midnight when end < start."""

    start: time
    end: time

    def holds(self, at: datetime) -> bool:
        """Whether the moment is in the window."""
        now = at.astimezone(UTC).time()
        if self.end < self.start:
            return now >= self.start or now < self.end
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """A price and when it holds: from its start on, within its window when it has one."""

    price: ModelPrice
    window: DailyWindow | None = None

    def holds(self, at: datetime) -> bool:
        """Whether this is the price at that moment, were it the only one."""
        if self.price.start is not None and at < self.price.start:
            return False
        return self.window is None or self.window.holds(at)


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model as published. `provider` and `model` are the catalogue's names."""

    provider: str
    model: str
    context_window_tokens: int | None
    info: "genai.ModelInfo"


class Published:
    """The published catalogue. Making one takes a fifth of a second, once."""

    def __init__(self) -> None:
        from genai_prices.data import providers

        self._providers = {provider.id: provider for provider in providers}
        self._list = providers
        self.version = f"genai-prices {version('genai-prices')}"

    def provider_at(self, base_url: str) -> str | None:
        """The catalogue's name of the provider at this address, None when it knows none."""
        import re

        for provider in self._list:
            if re.match(provider.api_pattern, base_url):
                return provider.id
        return None

    def find(self, provider_id: str, model: str) -> PublishedModel | None:
        """The model as this provider serves it, None when it is not published."""
        provider = self._providers.get(provider_id)
        info = provider.find_model(model, all_providers=self._list) if provider else None
        if info is None:
            return None
        return PublishedModel(provider_id, info.id, info.context_window, info)

    def models_of(self, provider_id: str) -> "tuple[PublishedModel, ...]":
        """Every model that a provider is listed with and has not withdrawn."""
        provider = self._providers.get(provider_id)
        return tuple(
            PublishedModel(provider_id, info.id, info.context_window, info)
            for info in (provider.models if provider else ())
            if not info.deprecated
        )

    def nearest(self, provider_id: str, model: str) -> str | None:
        """A published provider/model whose name is close to this one."""
        provider = self._providers.get(provider_id)
        if provider is None:
            meant = nearest(provider_id, self._providers)
            return f"{meant}/{model}" if meant else None
        found = nearest(model, (info.id for info in provider.models))
        return f"{provider_id}/{found}" if found else None

    def prices(self, found: PublishedModel) -> tuple[DatedPrice, ...]:
        """All prices of a model; of those that hold at a moment the last counts.

        Raises NoPublishedPrice when there is none, or one that tokens alone cannot be billed by.
        """
        from genai_prices.types import ModelPrice as GenaiPrice

        listed = found.info.prices
        if isinstance(listed, GenaiPrice):
            return (DatedPrice(self._compiled(found, listed, None, None)),)
        return tuple(self._dated(found, listed))

    def tier_price(self, found: PublishedModel, tier: str, at: datetime) -> ModelPrice | None:
        """What is published about a service tier of this model at a moment; None: nothing.

        What a tier's list leaves out costs as in the standard tier. Raises NoPublishedPrice like
        prices().
        """
        context = {"processing": tier} if tier == "batch" else {"service_tier": tier}
        told = [
            variant
            for variant in found.info.price_variants or ()
            if variant.when == context
            and (variant.constraint is None or variant.constraint.active(at))
            and any(price is not None for price in vars(variant.prices).values())
        ]
        if not told:
            return None
        listed = found.info.get_prices(at, context)
        price = self._compiled(found, listed, None, None)
        return replace(price, version=f"{price.version} / {tier}")

    def _dated(
        self, found: PublishedModel, listed: "list[genai.ConditionalPrice]"
    ) -> Iterator[DatedPrice]:
        from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

        for item in listed:
            match item.constraint:
                case None:
                    yield DatedPrice(self._compiled(found, item.prices, None, None))
                case StartDateConstraint(start_date=day):
                    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
                    yield DatedPrice(self._compiled(found, item.prices, start, None))
                case TimeOfDateConstraint(start_time=begin, end_time=end):
                    window = DailyWindow(_utc(begin), _utc(end))
                    yield DatedPrice(self._compiled(found, item.prices, None, window), window)

    def _compiled(
        self,
        found: PublishedModel,
        listed: "genai.ModelPrice",
        start: datetime | None,
        window: DailyWindow | None,
    ) -> ModelPrice:
        prices = {name: value for name, value in vars(listed).items() if value is not None}
        if "embed" in found.model and "input_mtok" in prices:
            # It writes nothing: where no price is listed for that, none is missing.
            prices.setdefault("output_mtok", prices["input_mtok"])
        missing = [name for name in ("input_mtok", "output_mtok") if name not in prices]
        if missing:
            raise NoPublishedPrice(f"no {' and no '.join(missing)} is published")
        beyond = sorted(prices.keys() - _TOKEN_PRICES - _BESIDE_TOKENS)
        if beyond:
            raise NoPublishedPrice(f"it is also billed by {', '.join(beyond)}")
        steps = sorted({step for value in prices.values() for step in _steps(value)})
        name = [self.version, found.provider, found.model]
        if start is not None:
            name.append(start.date().isoformat())
        if window is not None:
            name.append(f"{window.start:%H:%M}-{window.end:%H:%M} UTC")
        return ModelPrice(
            rates=_rates(prices, 0),
            tiers=tuple(Tier(step, _rates(prices, step + 1)) for step in steps),
            start=start,
            version=" / ".join(name),
        )


def _utc(moment: time) -> time:
    if moment.tzinfo is None:
        return moment
    day = datetime(2000, 1, 1, tzinfo=UTC).date()
    return datetime.combine(day, moment).astimezone(UTC).time()


def _steps(value: "Decimal | genai.TieredPrices") -> tuple[int, ...]:
    return () if isinstance(value, Decimal) else tuple(tier.start for tier in value.tiers)


def _at(value: "Decimal | genai.TieredPrices", read_tokens: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in value.tiers if read_tokens > tier.start]
    return reached[-1] if reached else value.base


def _rates(prices: "dict[str, Decimal | genai.TieredPrices]", read_tokens: int) -> Rates:
    picos = {}
    for rate, names in _SOURCES.items():
        name = next(name for name in names if name in prices)
        try:
            picos[rate] = picos_per_token(_at(prices[name], read_tokens), noise=True)
        except InexactPrice as error:
            raise NoPublishedPrice(f"{name}: {error}") from error
    return Rates(**picos)
