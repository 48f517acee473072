"""Budgets and keys as they are asked for and as they are shown."""

from dataclasses import dataclass

from services.ledger.rules.values import (
    Balance,
    Budget,
    BudgetMode,
    BudgetUnit,
    BudgetWindow,
    KeyRole,
    Scope,
)
from services.ledger.rules.windows import Span


@dataclass(frozen=True, slots=True)
class NewBudget:
    """A budget to make. `request_hash` as in commands.py."""

    budget_id: str
    scope: Scope
    window: BudgetWindow
    limit_amount: int
    request_hash: str
    unit: BudgetUnit = BudgetUnit.NANO_USD
    mode: BudgetMode = BudgetMode.HARD
    time_zone: str = ""
    rolling_us: int = 0


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """What to change of a budget; None stays."""

    limit_amount: int | None = None
    mode: BudgetMode | None = None
    # The unit the caller takes the limit to be in; None: whatever it is.
    unit: BudgetUnit | None = None


@dataclass(frozen=True, slots=True)
class ValueView:
    """Where the limit of one value stands, of a budget with one for each."""

    each: tuple[tuple[str, str], ...]
    balance: Balance


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget and where it stands in its current window. `broken_count`: requests that went on
    although they would have broken it."""

    budget: Budget
    balance: Balance
    span: Span
    broken_count: int = 0
    values: tuple[ValueView, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a key may call; 0: no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    parallel_calls_max: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make; "" pins nothing. `lifetime_us` None: for ever."""

    tenant: str
    key_id: str
    project: str
    user: str
    feature: str
    role: KeyRole
    lifetime_us: int | None
    request_hash: str
    allowed_models: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What to change of a key; None stays. `expires` (set, microseconds or None for never)."""

    allowed_models: tuple[str, ...] | None = None
    limits: Limits | None = None
    tags: tuple[tuple[str, str], ...] | None = None
    expires: tuple[int | None] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A virtual key without its secret."""

    tenant: str
    key_id: str
    project: str
    user: str
    feature: str
    role: KeyRole
    hint: str
    create_us: int
    expire_us: int | None
    disable_us: int | None
    allowed_models: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    tags: tuple[tuple[str, str], ...] = ()
    previous_until_us: int | None = None
