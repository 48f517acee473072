"""Budgets and keys: between the contract's messages and the books' values."""

from spendgate.ledger.v1 import budget_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger.convert import copy_of, from_duration, from_pb_time, meaning_hash
from services.ledger.convert_notice import to_time
from services.ledger.rules.commands import Repriced
from services.ledger.rules.configuring import (
    BudgetChange,
    BudgetView,
    Key,
    KeyChange,
    Limits,
    NewBudget,
    NewKey,
)
from services.ledger.rules.values import (
    MICROS_PER_SECOND,
    BudgetMode,
    BudgetUnit,
    BudgetWindow,
    KeyRole,
    Scope,
)
from services.ledger.verify import Difference


def from_pb_new_budget(request: pb.CreateBudgetRequest) -> NewBudget:
    """A budget to make."""
    amount = request.limit_amount if request.HasField("limit_amount") else request.limit_nanos
    return NewBudget(
        budget_id=request.budget_id,
        scope=from_pb_scope(request.scope),
        window=BudgetWindow(request.window),
        limit_amount=amount,
        request_hash=meaning_hash(request),
        unit=BudgetUnit(request.unit or BudgetUnit.NANO_USD),
        mode=BudgetMode(request.mode or BudgetMode.HARD),
        time_zone=request.time_zone,
        rolling_us=from_duration(request.rolling) if request.HasField("rolling") else 0,
    )


def from_pb_scope(scope: budget_pb2.BudgetScope) -> Scope:
    """What a budget applies to; equal scopes are equal values."""
    return Scope(
        tenant=scope.tenant,
        project=scope.project,
        user=scope.user,
        key_id=scope.key_id,
        feature=scope.feature,
        model=scope.model,
        provider=scope.provider,
        tags=tuple(sorted(scope.tags.items())),
        each=tuple(sorted(set(scope.each))),
    )


def from_pb_budget_change(request: pb.UpdateBudgetRequest) -> BudgetChange:
    """What to change of a budget."""
    budget, paths = request.budget, set(request.update_mask.paths)
    amount, unit = None, None
    if "limit_nanos" in paths:
        amount, unit = budget.limit_nanos, BudgetUnit.NANO_USD
    if "limit_amount" in paths:
        amount = budget.limit_amount
        unit = BudgetUnit(budget.unit) if budget.unit else None
    mode = BudgetMode(budget.mode) if "mode" in paths else None
    return BudgetChange(amount, mode, unit)


def from_pb_new_key(request: pb.CreateKeyRequest) -> NewKey:
    """A key to make."""
    if request.role == key_pb2.KEY_ROLE_UNSPECIFIED:
        request = copy_of(request)
        request.role = key_pb2.KEY_ROLE_CALLER
    return NewKey(
        tenant=request.tenant,
        key_id=request.key_id,
        project=request.project,
        user=request.user,
        feature=request.feature,
        role=KeyRole(request.role),
        lifetime_us=from_duration(request.lifetime) if request.HasField("lifetime") else None,
        request_hash=meaning_hash(request),
        allowed_models=tuple(request.allowed_models),
        limits=_from_limits(request.limits),
        tags=tuple(sorted(request.tags.items())),
    )


def from_pb_key_change(request: pb.UpdateKeyRequest) -> KeyChange:
    """What to change of a key."""
    key, paths = request.key, set(request.update_mask.paths)
    expires = from_pb_time(key.expire_time) if key.HasField("expire_time") else None
    return KeyChange(
        allowed_models=tuple(key.allowed_models) if "allowed_models" in paths else None,
        limits=_from_limits(key.limits) if "limits" in paths else None,
        tags=tuple(sorted(key.tags.items())) if "tags" in paths else None,
        expires=(expires,) if "expire_time" in paths else None,
    )


def to_pb_budget(view: BudgetView) -> budget_pb2.Budget:
    """A budget as it stands."""
    budget, span, scope = view.budget, view.span, view.budget.scope
    made = budget_pb2.Budget(
        budget_id=budget.budget_id,
        scope=budget_pb2.BudgetScope(
            tenant=scope.tenant,
            project=scope.project,
            user=scope.user,
            key_id=scope.key_id,
            feature=scope.feature,
            model=scope.model,
            provider=scope.provider,
            tags=dict(scope.tags),
            each=scope.each,
        ),
        window=f"BUDGET_WINDOW_{budget.window.name}",
        create_time=to_time(budget.create_us),
        unit=f"BUDGET_UNIT_{budget.unit.name}",
        mode=f"BUDGET_MODE_{budget.mode.name}",
        time_zone=budget.time_zone,
        limit_amount=budget.limit_amount,
        settled_amount=view.balance.settled_amount,
        reserved_amount=view.balance.reserved_amount,
        broken_count=view.broken_count,
        values=[
            budget_pb2.BudgetValue(
                each=dict(value.each),
                settled_amount=value.balance.settled_amount,
                reserved_amount=value.balance.reserved_amount,
            )
            for value in view.values
        ],
    )
    if budget.unit is BudgetUnit.NANO_USD:
        made.limit_nanos = made.limit_amount
        made.settled_nanos = made.settled_amount
        made.reserved_nanos = made.reserved_amount
    if budget.rolling_us:
        made.rolling.seconds = budget.rolling_us // MICROS_PER_SECOND
    if span.end_us is not None:
        made.window_start_time.CopyFrom(to_time(span.start_us))
        made.window_end_time.CopyFrom(to_time(span.end_us))
    return made


def to_pb_key(key: Key) -> key_pb2.Key:
    """A key without its secret."""
    made = key_pb2.Key(
        key_id=key.key_id,
        tenant=key.tenant,
        project=key.project,
        user=key.user,
        feature=key.feature,
        role=f"KEY_ROLE_{key.role.name}",
        hint=key.hint,
        create_time=to_time(key.create_us),
        allowed_models=key.allowed_models,
        tags=dict(key.tags),
    )
    limits = key.limits
    if limits != Limits():
        made.limits.requests_per_minute = limits.requests_per_minute
        made.limits.tokens_per_minute = limits.tokens_per_minute
        made.limits.parallel_calls_max = limits.parallel_calls_max
    for field, us in (
        ("expire_time", key.expire_us),
        ("disable_time", key.disable_us),
        ("previous_expire_time", key.previous_until_us),
    ):
        if us is not None:
            getattr(made, field).CopyFrom(to_time(us))
    return made


def to_pb_repriced(told: Repriced) -> pb.Repriced:
    """A row that costs something else now."""
    return pb.Repriced(
        entry_id=told.entry_id,
        model=told.model,
        old_nanos=told.old_nanos,
        new_nanos=told.new_nanos,
        old_price_version=told.old_version,
        new_price_version=told.new_version,
    )


def to_pb_difference(difference: Difference) -> pb.BooksDifference:
    """Something the books do not agree on."""
    return pb.BooksDifference(
        what=difference.what,
        where=[str(part) for part in difference.where],
        kept=str(difference.kept),
        replayed=str(difference.replayed),
    )


def _from_limits(limits: key_pb2.RateLimits) -> Limits:
    return Limits(limits.requests_per_minute, limits.tokens_per_minute, limits.parallel_calls_max)
