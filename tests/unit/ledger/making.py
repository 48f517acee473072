"""Short ways to the values and commands of the books, for tests of them."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from catalog.config import parse_config
from catalog.prices import PriceBook
from services.ledger.rules.applying import BudgetIndex
from services.ledger.rules.books import Books
from services.ledger.rules.commands import Record, Release, Reserve, Settle, WorstCase
from services.ledger.rules.pricing import CatalogPrices
from services.ledger.rules.values import (
    Attempt,
    AttemptOutcome,
    Attribution,
    Budget,
    BudgetWindow,
    Counterfactual,
    EntryKind,
    SavingCause,
    Scope,
    Tokens,
    UsageSource,
)

SECOND = 1_000_000
# 2026-03-10 12:30:00 UTC, a Tuesday.
NOW = 1_773_145_800 * SECOND

# One input token of "cheap" costs 1,000 nano-USD, one output token 2,000; "strong" ten times as
# much. Nobody knows what "unpriced" costs.
FLEET = """
providers:
  somewhere: {base_url: "http://127.0.0.1:1/v1"}
  batching: {base_url: "http://127.0.0.1:2/v1", tier_percent: {batch: "50"}}
models:
  halved: {provider: batching, price: {input_usd_per_million: "1", output_usd_per_million: "2"}}
  cheap: {provider: somewhere, price: {input_usd_per_million: "1", output_usd_per_million: "2"}}
  strong: {provider: somewhere, price: {input_usd_per_million: "10", output_usd_per_million: "20"}}
  free: {provider: somewhere, price: {input_usd_per_million: "0", output_usd_per_million: "0"}}
  dear:
    {provider: somewhere, price: {input_usd_per_million: "1000", output_usd_per_million: "1000"}}
  unpriced: {provider: somewhere}
"""
PRICES = CatalogPrices(PriceBook(parse_config(FLEET)))
CHEAP_INPUT_NANOS = 1_000

_SCOPE = ("tenant", "project", "user", "key_id", "feature", "model", "provider", "tags", "each")
WHO = Attribution("acme", project="web", user="ann", feature="chat")


def new_id() -> str:
    return str(uuid.uuid4())


def budget(number: int, limit_amount: int, **more: Any) -> Budget:
    """A budget `b<number>` for the whole tenant, for a lifetime, unless told otherwise."""
    scope = {name: more.pop(name) for name in _SCOPE if name in more}
    given: dict[str, Any] = {
        "budget_id": f"b{number}",
        "scope": Scope(**{"tenant": "acme", **scope}),
        "window": BudgetWindow.LIFETIME,
        "create_us": NOW,
    }
    return Budget(number=number, limit_amount=limit_amount, **{**given, **more})


def attempt(tokens: int = 0, model: str = "cheap", **more: Any) -> Attempt:
    """A call of `model` that read `tokens`; without tokens one that failed."""
    given: dict[str, Any] = {
        "entry_id": new_id(),
        "kind": EntryKind.CALL,
        "outcome": AttemptOutcome.OK if tokens else AttemptOutcome.FAILED,
        "attempt_number": 1,
        "model_asked": "auto",
        "provider": "somewhere",
        "usage": Tokens(input_tokens=tokens),
        "usage_source": UsageSource.REPORTED if tokens else UsageSource.NONE,
        "counterfactuals": (),
        "latency_ms": 100,
        "first_token_ms": 0,
        "error_reason": "" if tokens else "PROVIDER_FAILED",
        "trace_id": "",
    }
    return Attempt(model_used=model, **{**given, **more})


def step(cause: SavingCause, model: str, tokens: int) -> Counterfactual:
    return Counterfactual(cause, model, Tokens(input_tokens=tokens))


def reserve(tokens: int, model: str = "cheap", hold_id: str | None = None, **more: Any) -> Reserve:
    """A hold of what `model` costs for reading `tokens`."""
    given: dict[str, Any] = {
        "hold_id": hold_id or new_id(),
        "request_id": new_id(),
        "attribution": WHO,
        "worst_cases": (WorstCase(model, Tokens(input_tokens=tokens), "somewhere"),),
        "hold_us": 120 * SECOND,
        "request_hash": "reserve",
    }
    return Reserve(**{**given, **more})


def settle(
    hold_id: str, *attempts: Attempt, request_hash: str = "settle", tenant: str = ""
) -> Settle:
    return Settle(hold_id, attempts, request_hash, tenant)


def release(
    hold_id: str, *attempts: Attempt, request_hash: str = "release", tenant: str = ""
) -> Release:
    return Release(hold_id, attempts, request_hash, tenant)


def record(attempt: Attempt, request_id: str | None = None, **more: Any) -> Record:
    given: dict[str, Any] = {"attribution": WHO, "request_hash": "record"}
    return Record(request_id or new_id(), attempt=attempt, **{**given, **more})


def books(*budgets: Budget, now_us: int = NOW) -> Books:
    """Empty books with these budgets."""
    return Books(PRICES, now_us, budgets=BudgetIndex(budgets))


def left_of(kept: Books, budgets: Iterable[Budget]) -> Sequence[int]:
    """What each budget has left, in its window of now."""
    found = kept.applying(WHO, [("cheap", "somewhere")])
    keys = {each.budget.number: each.key for each in found}
    return [kept.left(b, keys[b.number]) for b in budgets]
