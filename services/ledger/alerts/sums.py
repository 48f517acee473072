"""The sums that alerts are decided by."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, desc, func, select

from services.ledger.insight.alert import Standing
from services.ledger.insight.anomaly import Hour, Parts
from services.ledger.rules.values import BudgetWindow
from services.ledger.rules.windows import window_at
from services.ledger.sql import schema

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
    """Where living budgets of money stand in their windows; None for all tenants."""
    budget, balance = schema.budget, schema.balance
    query = select(budget).where(budget.c.delete_us.is_(None))
    if tenants is not None:
        query = query.where(budget.c.tenant.in_(sorted(tenants)))
    rows = conn.execute(query).mappings().all()
    spans = {row["number"]: window_at(BudgetWindow(row["window_kind"]), now_us) for row in rows}
    settled: dict[tuple[int, int], int] = {}
    if spans:
        settled = {
            (number, start): nanos
            for number, start, nanos in conn.execute(
                select(
                    balance.c.budget_number, balance.c.window_start_us, balance.c.settled_nanos
                ).where(
                    balance.c.budget_number.in_(sorted(spans)),
                    balance.c.window_start_us.in_(sorted({s.start_us for s in spans.values()})),
                )
            )
        }
    return [_standing(row, spans[row["number"]], settled) for row in rows]


def _standing(row: Any, span: Any, settled: dict[tuple[int, int], int]) -> Standing:
    return Standing(
        tenant=row["tenant"],
        budget_id=row["budget_id"],
        number=row["number"],
        limit_nanos=row["limit_nanos"],
        settled_nanos=settled.get((row["number"], span.start_us), 0),
        span=span,
    )


def _here(tenant: str, start_us: int, end_us: int) -> tuple[Any, ...]:
    return (
        _rollup.c.tenant == tenant,
        _rollup.c.hour_us >= start_us,
        _rollup.c.hour_us < end_us,
    )
