"""Budgets and keys as they are asked for and as they are shown."""

from dataclasses import dataclass

from services.ledger.rules.values import Balance, Budget, BudgetWindow, KeyRole
from services.ledger.rules.windows import Span


@dataclass(frozen=True, slots=True)
class NewBudget:
    """A budget to make; "" in a scope field means any. `request_hash` as in commands.py."""

    tenant: str
    budget_id: str
    project: str
    user: str
    key_id: str
    feature: str
    window: BudgetWindow
    limit_nanos: int
    request_hash: str


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget and where it stands in its current window."""

    budget: Budget
    balance: Balance
    span: Span


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
