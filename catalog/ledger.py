"""How gateways work with the ledger: the fleet file's part."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.shapes import Seconds, Section


class WhenAway(StrEnum):
    """What becomes of calls under a lease while the ledger does not answer."""

    REFUSE = "refuse"
    ADMIT = "admit"


class LeasesConfig(Section):
    """Gateways admit calls of busy callers out of slices of their budgets, without asking the
    ledger each time."""

    enabled: bool = False
    """Default: every call reserves."""
    seconds: Annotated[Seconds, Field(ge=5, le=3600)] = 60
    """How long a slice may be admitted from. So long a new or lowered limit may go unnoticed."""
    calls: Annotated[int, Field(ge=2, le=10_000)] = 64
    """How many calls at their worst a slice is asked to hold; a budget gives a quarter of what is
    left at most."""
    calls_before: Annotated[int, Field(ge=1, le=10_000)] = 3
    """So many calls of a caller reserve one by one within `seconds` before a slice is asked for."""
    hard_when_away: WhenAway = WhenAway.REFUSE
    """Callers with a hard budget while the ledger is away: "refuse" them, as without leases, or
    "admit" them as long as their slice lasts. Others go on in their slices either way."""


class LedgerConfig(Section):
    """How gateways work with the ledger."""

    leases: LeasesConfig = LeasesConfig()
    """Slices of budgets."""
