"""An opportunity, and how one is written down."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from services.ledger.insight.facts import Facts, month

REQUEST_IDS_MAX = 5


class OpportunityKind(IntEnum):
    """What kind of saving. The numbers of the contract."""

    REPEATS = 1
    NEAR_REPEATS = 2
    STRONG_MODEL = 3
    PROMPT_CACHE = 4
    GROWING_CONTEXT = 5
    RETRIES = 6
    OUTPUT_LIMIT = 7
    BATCH = 8
    SYSTEM_PROMPT = 9
    USERS = 10
    NEWER_MODEL = 11
    DEDICATED = 12


@dataclass(frozen=True, slots=True)
class Opportunity:
    """Money that could be saved in a month of 30 days, in nano-USD: low <= expected <= high."""

    kind: OpportunityKind
    subject: str
    feature: str
    month_nanos: int
    low_nanos: int
    high_nanos: int
    evidence: str
    setting: str
    method: str
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Saving:
    """Amounts of the period, before they become a month's."""

    expected: int
    low: int
    high: int


def opportunity(
    facts: Facts,
    kind: OpportunityKind,
    feature: str,
    saving: Saving,
    *,
    subject: str,
    evidence: str,
    setting: str,
    method: str,
    request_ids: Sequence[str] = (),
) -> Opportunity:
    """Written down, its amounts in order and none below 0."""
    low, expected, high = sorted(
        max(0, month(nanos, facts.span_us)) for nanos in (saving.low, saving.expected, saving.high)
    )
    return Opportunity(
        kind,
        subject,
        feature,
        expected,
        low,
        high,
        evidence,
        setting,
        method,
        tuple(request_ids[:REQUEST_IDS_MAX]),
    )


def named(feature: str) -> str:
    """A feature as people read it."""
    return f"feature {feature}" if feature else "no feature"
