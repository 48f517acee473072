"""The sums that alerts are decided by."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, desc, func, select

from services.ledger.insight.alert import Standing
from services.ledger.insight.anomaly import Hour, Parts
from services.ledger.rules.scopes import values_of
from services.ledger.rules.values import Budget, BudgetUnit
from services.ledger.rules.windows import Span, span_of, starts_of
from services.ledger.sql import schema
from services.ledger.sql.budgets import standing_of
from services.ledger.sql.rows import from_budget_row

_rollup = schema.rollup_hour


def period(conn: Connection, tenant: str, start_us: int, end_us: int) -> tuple[int, int, int]:
    """(cost in nano-USD, requests, failed requests) of a tenant's hours."""
    row = conn.execute(
        select(
            func.sum(_rollup.c.cost_nanos),
            func.sum(_rollup.c.request_count),
            func.sum(_rollup.c.error_count),
        ).where(*_here(tenant, start_us, end_us))
    ).one()
    return int(row[0] or 0), int(row[1] or 0), int(row[2] or 0)


def dearest_feature(conn: Connection, tenant: str, start_us: int, end_us: int) -> tuple[str, int]:
    """The feature of a tenant's hours that cost most, and its cost."""
    cost = func.sum(_rollup.c.cost_nanos)
    row = conn.execute(
        select(_rollup.c.feature, cost)
        .where(*_here(tenant, start_us, end_us))
        .group_by(_rollup.c.feature)
        .order_by(desc(cost))
        .limit(1)
    ).one_or_none()
    return ("", 0) if row is None else (row[0], int(row[1]))


def past_costs(conn: Connection, tenant: str, start_us: int, end_us: int) -> dict[int, int]:
    """Cost by hour."""
    rows = conn.execute(
        select(_rollup.c.hour_us, func.sum(_rollup.c.cost_nanos))
        .where(*_here(tenant, start_us, end_us))
        .group_by(_rollup.c.hour_us)
    )
    return {hour: int(cost) for hour, cost in rows}


def tenants_of(conn: Connection, hour_us: int) -> Sequence[str]:
    """Who booked in an hour."""
    rows = conn.execute(
        select(_rollup.c.tenant).where(_rollup.c.hour_us == hour_us).distinct().order_by("tenant")
    )
    return [tenant for (tenant,) in rows]


def hour_with_past(conn: Connection, tenant: str, hour_us: int, past: Sequence[int]) -> Hour:
    """An hour and the same hours of past weeks, in parts."""
    rows = conn.execute(
        select(
            _rollup.c.hour_us,
            _rollup.c.feature,
            _rollup.c.model,
            _rollup.c.user_id,
            func.sum(_rollup.c.cost_nanos),
        )
        .where(_rollup.c.tenant == tenant, _rollup.c.hour_us.in_([hour_us, *past]))
        .group_by(_rollup.c.hour_us, _rollup.c.feature, _rollup.c.model, _rollup.c.user_id)
    )
    found: dict[int, dict[tuple[str, str, str], int]] = {}
    for at_us, feature, model, user, cost in rows:
        found.setdefault(at_us, {})[(feature, model, user)] = int(cost)
    none: Parts = {}
    return Hour(tenant, hour_us, found.get(hour_us, none), [found.get(at, none) for at in past])


def standings(conn: Connection, now_us: int, tenants: Iterable[str] | None) -> list[Standing]:
    """Where living budgets of money stand in their windows, value by value of those with a limit
    for each; None for all tenants."""
    table = schema.budget
    query = select(table).where(
        table.c.delete_us.is_(None), table.c.unit == int(BudgetUnit.NANO_USD)
    )
    if tenants is not None:
        query = query.where(table.c.tenant.in_(sorted(tenants)))
    budgets = [from_budget_row(row) for row in conn.execute(query).mappings()]
    found = standing_of(conn, {each.number: starts_of(each, now_us) for each in budgets})
    return [
        Standing(
            tenant=each.scope.tenant,
            budget_id=each.budget_id,
            number=each.number,
            limit_nanos=each.limit_amount,
            settled_nanos=balance.settled_amount,
            span=_span(each, now_us),
            subject=", ".join(f"{n} {v}" for n, v in values_of(each.scope, subject)),
            rolling=bool(each.rolling_us),
        )
        for each in budgets
        for subject, balance in found.get(each.number, {}).items()
    ]


def _span(budget: Budget, now_us: int) -> Span:
    """The window that marks are told once in; for a rolling one, a time of its length."""
    if not budget.rolling_us:
        return span_of(budget, now_us)
    start = now_us - now_us % budget.rolling_us
    return Span(start, start + budget.rolling_us)


def _here(tenant: str, start_us: int, end_us: int) -> tuple[Any, ...]:
    return (
        _rollup.c.tenant == tenant,
        _rollup.c.hour_us >= start_us,
        _rollup.c.hour_us < end_us,
    )
