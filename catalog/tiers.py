"""Service tiers: the same tokens for less when they may wait, for more when they may not.

The catalogue's own list of a model's tier goes first (Published.tier_price). Where it has none, a
tier is a factor on the whole price. Only what a provider publishes for all its models is here, as
far as the research of the day given says; nobody has checked it against a bill. Any other tier is
unpriced until the operator sets it, never taken for the standard price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

STANDARD = "standard"
BATCH = "batch"
TIERS = (STANDARD, BATCH, "flex", "priority")


class UnpricedTier(Exception):
    """Nothing is published about this tier. `known` are the provider's priced tiers."""

    def __init__(self, provider: str, tier: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"the price of tier {tier} at {provider} is unknown; known: {', '.join(known)}"
        )
        self.known = known


@dataclass(frozen=True, slots=True)
class TierPrice:
    """`numerator` / `denominator` of the standard price; as told at `source` on `checked`."""

    numerator: int
    denominator: int
    checked: date
    source: str


_CHECKED = date(2026, 11, 23)
_HALF: Mapping[str, Mapping[str, str]] = {
    "openai": {
        "batch": "https://developers.openai.com/api/docs/guides/batch",
        "flex": "https://developers.openai.com/api/docs/guides/flex-processing",
    },
    "anthropic": {
        "batch": "https://platform.claude.com/docs/en/build-with-claude/batch-processing"
    },
    "google": {"batch": "https://ai.google.dev/gemini-api/docs/batch-api"},
    "mistral": {"batch": "https://docs.mistral.ai/capabilities/batch"},
}


def tier_price(
    provider: str, tier: str, own_percent: Mapping[str, Decimal] = MappingProxyType({})
) -> TierPrice:
    """The factor of a tier at a provider of the catalogue. Raises UnpricedTier.

    `own_percent`: the operator's own, in percent of the standard price; it goes before what is
    published.
    """
    if tier == STANDARD:
        return TierPrice(1, 1, _CHECKED, "")
    if tier in own_percent:
        factor = Fraction(own_percent[tier]) * Fraction(1, 100)
        return TierPrice(factor.numerator, factor.denominator, _CHECKED, "operator")
    known = _HALF.get(provider, {})
    if tier not in known:
        raise UnpricedTier(provider, tier, (STANDARD, *known, *own_percent))
    return TierPrice(1, 2, _CHECKED, known[tier])
