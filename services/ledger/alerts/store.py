"""Alerts as they are kept: raised once, delivered until they arrive."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, desc, select

from catalog.alerts import AlertKind as KindName
from catalog.alerts import WebhookConfig
from services.ledger.insight.alert import AlertKind, Raised
from services.ledger.sql import reading_schema
from services.ledger.sql.database import Database
from services.ledger.sql.dialect import upsert

_alert, _delivery = reading_schema.alert, reading_schema.alert_delivery


class DeliveryState(IntEnum):
    """How an alert is on its way. The numbers of the contract."""

    PENDING = 1
    SENT = 2
    GIVEN_UP = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert on its way to one webhook."""

    webhook: str
    state: DeliveryState
    try_count: int
    last_problem: str


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An alert as it is kept."""

    number: int
    raised: Raised
    create_us: int
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """An alert to deliver now. Nobody else delivers it before the lease is over."""

    alert: KeptAlert
    webhook: str
    try_count: int
    lease_us: int


class AlertStore:
    """The alerts of all tenants. Every method but `write` raises BooksUnavailable."""

    def __init__(
        self,
        database: Database,
        webhooks: Mapping[str, WebhookConfig],
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._clock = clock

    def write(self, conn: Connection, raised: Sequence[Raised]) -> int:
        """Keeps alerts in the transaction of `conn`, each with its deliveries, but for events that
        were told before; how many were new."""
        now_us, count = self._clock(), 0
        for each in raised:
            number = _insert(conn, each, now_us)
            if number is None:
                continue
            count += 1
            kind = KindName(each.kind.name.lower())
            rows = [
                {
                    "alert_no": number,
                    "webhook": name,
                    "state": int(DeliveryState.PENDING),
                    "try_count": 0,
                    "next_us": now_us,
                    "last_problem": "",
                }
                for name, hook in self._webhooks.items()
                if hook.wants(each.tenant, kind)
            ]
            if rows:
                conn.execute(_delivery.insert(), rows)
        return count

    async def page(
        self, tenant: str, *, before_no: int | None, rows_max: int
    ) -> Sequence[KeptAlert]:
        """A tenant's alerts, newest first."""
        query = select(_alert).where(_alert.c.tenant == tenant)
        if before_no is not None:
            query = query.where(_alert.c.alert_no < before_no)
        query = query.order_by(desc(_alert.c.alert_no)).limit(rows_max)
        return await self._database.read(lambda conn: _with_deliveries(conn, query))

    async def after(self, tenant: str, number: int, rows_max: int) -> Sequence[KeptAlert]:
        """A tenant's alerts after one, oldest first."""
        query = (
            select(_alert)
            .where(_alert.c.tenant == tenant, _alert.c.alert_no > number)
            .order_by(_alert.c.alert_no)
            .limit(rows_max)
        )
        return await self._database.read(lambda conn: _with_deliveries(conn, query))

    async def last_number(self, tenant: str) -> int:
        """The newest alert's number, 0 when there is none."""
        found = await self.page(tenant, before_no=None, rows_max=1)
        return found[0].number if found else 0

    async def claim(self, webhook: str, *, lease_us: int) -> Claim | None:
        """The oldest alert that is due, for as long as the lease."""
        now_us = self._clock()
        due = await self._database.read(lambda conn: _due(conn, webhook, now_us))
        if due is None:
            return None
        number, next_us, tries = due
        until = now_us + lease_us

        def work(conn: Connection) -> KeptAlert | None:
            taken = conn.execute(
                _delivery.update()
                .where(
                    _delivery.c.alert_no == number,
                    _delivery.c.webhook == webhook,
                    _delivery.c.state == int(DeliveryState.PENDING),
                    # Whoever else saw it due has moved this on.
                    _delivery.c.next_us == next_us,
                )
                .values(next_us=until, try_count=tries + 1)
            )
            if taken.rowcount != 1:
                return None
            row = conn.execute(select(_alert).where(_alert.c.alert_no == number)).mappings().one()
            return _from_row(row, ())

        alert = await self._database.write(work)
        return None if alert is None else Claim(alert, webhook, tries + 1, until)

    async def resolve(
        self, claim: Claim, state: DeliveryState, *, next_us: int = 0, problem: str = ""
    ) -> None:
        """How a try went. Nothing when the lease is over and another has taken it."""
        await self._database.write(
            lambda conn: conn.execute(
                _delivery.update()
                .where(
                    _delivery.c.alert_no == claim.alert.number,
                    _delivery.c.webhook == claim.webhook,
                    _delivery.c.state == int(DeliveryState.PENDING),
                    _delivery.c.next_us == claim.lease_us,
                )
                .values(state=int(state), next_us=next_us, last_problem=problem)
            )
        )


def _insert(conn: Connection, raised: Raised, now_us: int) -> int | None:
    insert = upsert(conn.dialect.name, _alert).values(
        tenant=raised.tenant,
        event_key=raised.event_key,
        kind=int(raised.kind),
        title=raised.title,
        reason=raised.reason,
        observed=raised.observed,
        threshold=raised.threshold,
        subject=dict(raised.subject),
        event_us=raised.event_us,
        create_us=now_us,
    )
    once = insert.on_conflict_do_nothing(index_elements=["tenant", "event_key"])
    number = conn.execute(once.returning(_alert.c.alert_no)).scalar()
    return None if number is None else int(number)


def _due(conn: Connection, webhook: str, now_us: int) -> tuple[int, int, int] | None:
    row = conn.execute(
        select(_delivery.c.alert_no, _delivery.c.next_us, _delivery.c.try_count)
        .where(
            _delivery.c.webhook == webhook,
            _delivery.c.state == int(DeliveryState.PENDING),
            _delivery.c.next_us <= now_us,
        )
        .order_by(_delivery.c.next_us, _delivery.c.alert_no)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def _with_deliveries(conn: Connection, query: Any) -> list[KeptAlert]:
    rows = conn.execute(query).mappings().all()
    numbers = [row["alert_no"] for row in rows]
    found: dict[int, list[Delivery]] = {}
    for row in conn.execute(
        select(_delivery)
        .where(_delivery.c.alert_no.in_(numbers))
        .order_by(_delivery.c.alert_no, _delivery.c.webhook)
    ).mappings():
        found.setdefault(row["alert_no"], []).append(
            Delivery(
                row["webhook"], DeliveryState(row["state"]), row["try_count"], row["last_problem"]
            )
        )
    return [_from_row(row, tuple(found.get(row["alert_no"], ()))) for row in rows]


def _from_row(row: Any, deliveries: tuple[Delivery, ...]) -> KeptAlert:
    raised = Raised(
        tenant=row["tenant"],
        kind=AlertKind(row["kind"]),
        event_key=row["event_key"],
        title=row["title"],
        reason=row["reason"],
        observed=row["observed"],
        threshold=row["threshold"],
        event_us=row["event_us"],
        subject=row["subject"],
    )
    return KeptAlert(row["alert_no"], raised, row["create_us"], deliveries)
