"""A booked row in FOCUS 1.2, the FinOps Open Cost and Usage Specification.

All columns that 1.2 makes mandatory, those that its conditions call for here, and our own with the
prefix x_. Costs are list prices without a negotiated discount, so billed, effective, contracted
and list cost are the same; the provider's invoice is the provider's (see docs/reports.md).
https://focus.finops.org/focus-specification/v1-2/
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.export_rows import TOKENS, cause_of, kind_of, outcome_of, rfc3339

VERSION = "1.2"
MANDATORY = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)
NUMBERS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
_CORRECTION = "correction"


def record(entry: Any) -> dict[str, Any]:
    """A row. None stands for FOCUS's null."""
    from catalog.money import usd_text

    attempt, who = entry.attempt, entry.attribution
    booked = entry.book_time.ToDatetime(UTC)
    hour = booked.replace(minute=0, second=0, microsecond=0)
    month = hour.replace(day=1, hour=0)
    cost = usd_text(entry.cost_nanos).replace(",", "")
    tokens = sum(getattr(attempt.usage, name) for name in TOKENS)
    provider = attempt.provider or "unknown"
    correction = kind_of(attempt.kind) == _CORRECTION
    used = bool(tokens) and not correction
    return {
        "BilledCost": cost,
        "BillingAccountId": who.tenant,
        "BillingAccountName": who.tenant,
        "BillingAccountType": "Tenant",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _time((month + timedelta(days=32)).replace(day=1)),
        "BillingPeriodStart": _time(month),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if correction else None,
        "ChargeDescription": f"{attempt.model_used}, {kind_of(attempt.kind)}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _time(hour + timedelta(hours=1)),
        "ChargePeriodStart": _time(hour),
        "ConsumedQuantity": str(tokens) if used else None,
        "ConsumedUnit": "Tokens" if used else None,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "PricingCategory": "Standard" if used else None,
        "PricingQuantity": str(tokens) if used else None,
        "PricingUnit": "Tokens" if used else None,
        "ProviderName": provider,
        "PublisherName": provider,
        "ResourceId": attempt.model_used,
        "ResourceName": attempt.model_used,
        "ResourceType": "Model",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} {attempt.model_used}",
        "ServiceSubcategory": "Generative AI",
        "SkuId": f"{provider}/{attempt.model_used}",
        "SkuPriceId": entry.price_version or None if used else None,
        "SubAccountId": who.project or None,
        "SubAccountName": who.project or None,
        "SubAccountType": "Project" if who.project else None,
        "Tags": json.dumps(dict(sorted(who.tags.items())), ensure_ascii=False),
        "x_EntryId": entry.entry_id,
        "x_RequestId": entry.request_id,
        "x_BookTime": rfc3339(entry.book_time),
        "x_User": who.user or None,
        "x_KeyId": who.key_id or None,
        "x_Feature": who.feature or None,
        "x_Session": who.session or None,
        "x_Kind": kind_of(attempt.kind),
        "x_Outcome": outcome_of(attempt.outcome),
        **{f"x_{_camel(name)}": str(getattr(attempt.usage, name)) for name in TOKENS},
        "x_CounterfactualCost": usd_text(entry.counterfactual_nanos).replace(",", ""),
        "x_SavedBy": json.dumps(
            {
                cause_of(saving.cause): usd_text(saving.saved_nanos).replace(",", "")
                for saving in entry.savings
            }
        ),
    }


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
