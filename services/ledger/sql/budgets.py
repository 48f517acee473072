"""Budgets: made, shown, changed, ended."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, literal_column, select
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.configuring import BudgetView, NewBudget
from services.ledger.rules.refusals import BudgetUnknown, IdReused
from services.ledger.rules.scopes import scope_key
from services.ledger.rules.values import Balance, BalanceKey, Budget, HoldState
from services.ledger.rules.windows import window_at
from services.ledger.sql import schema
from services.ledger.sql.database import Database
from services.ledger.sql.load import load_balances
from services.ledger.sql.rows import from_budget_row

_table = schema.budget


class BudgetStore:
    """The budgets of all tenants. Every method raises BooksUnavailable."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    async def create(self, new: NewBudget) -> BudgetView:
        """A budget that counts from now on; as it stands when it was made already.

        Raises: IdReused.
        """
        try:
            return await self._database.write(lambda conn: self._create(conn, new))
        except IntegrityError:
            # Another ledger made one of this id in the same moment: it is there now.
            return await self._database.write(lambda conn: self._create(conn, new))

    async def get(self, tenant: str, budget_id: str) -> BudgetView:
        """A budget as it stands. Raises: BudgetUnknown."""
        return await self._database.read(
            lambda conn: self._view(conn, [_find(conn, tenant, budget_id)])[0]
        )

    async def page(self, tenant: str, after_id: str, rows_max: int) -> Sequence[BudgetView]:
        """A tenant's budgets with ids after `after_id`, by id."""

        def work(conn: Connection) -> Sequence[BudgetView]:
            rows = conn.execute(
                select(_table)
                .where(
                    _table.c.tenant == tenant,
                    _table.c.delete_us.is_(None),
                    _table.c.budget_id > after_id,
                )
                .order_by(_table.c.budget_id)
                .limit(rows_max)
            ).mappings()
            return self._view(conn, [from_budget_row(row) for row in rows])

        return await self._database.read(work)

    async def set_limit(self, tenant: str, budget_id: str, limit_nanos: int) -> BudgetView:
        """The budget with its new limit, which holds at once. Raises: BudgetUnknown."""

        def work(conn: Connection) -> BudgetView:
            found = _find(conn, tenant, budget_id)
            conn.execute(
                _table.update()
                .where(_table.c.number == found.number)
                .values(limit_nanos=limit_nanos)
            )
            return self._view(conn, [_find(conn, tenant, budget_id)])[0]

        return await self._database.write(work)

    async def delete(self, tenant: str, budget_id: str) -> None:
        """Ends a budget; its rows stay, so that the books can be checked. Raises: BudgetUnknown."""

        def work(conn: Connection) -> None:
            found = _find(conn, tenant, budget_id)
            conn.execute(
                _table.update()
                .where(_table.c.number == found.number)
                .values(delete_us=self._clock())
            )

        await self._database.write(work)

    def _create(self, conn: Connection, new: NewBudget) -> BudgetView:
        known = conn.execute(_living(new.tenant, new.budget_id)).mappings().one_or_none()
        if known is None:
            conn.execute(
                _table.insert().values(
                    tenant=new.tenant,
                    budget_id=new.budget_id,
                    project=new.project,
                    user_id=new.user,
                    key_id=new.key_id,
                    feature=new.feature,
                    scope_key=scope_key(new.tenant, new.project, new.user, new.key_id, new.feature),
                    window_kind=int(new.window),
                    limit_nanos=new.limit_nanos,
                    create_us=self._clock(),
                    create_hash=new.request_hash,
                )
            )
        elif known["create_hash"] != new.request_hash:
            raise IdReused(new.budget_id)
        return self._view(conn, [_find(conn, new.tenant, new.budget_id)])[0]

    def _view(self, conn: Connection, budgets: Sequence[Budget]) -> list[BudgetView]:
        now_us = self._clock()
        spans = {b.number: window_at(b.window, now_us) for b in budgets}
        lapsed = _lapsed(conn, list(spans), now_us)
        balances = load_balances(
            conn, {BalanceKey(number, span.start_us) for number, span in spans.items()}
        )
        views = []
        for budget in budgets:
            span = spans[budget.number]
            key = BalanceKey(budget.number, span.start_us)
            balance = balances.get(key, Balance())
            reserved = balance.reserved_nanos - lapsed.get(key, 0)
            views.append(BudgetView(budget, Balance(balance.settled_nanos, reserved), span))
        return views


def _living(tenant: str, budget_id: str) -> Select[Any]:
    return select(_table).where(
        _table.c.tenant == tenant,
        _table.c.budget_id == budget_id,
        _table.c.delete_us.is_(None),
    )


def _find(conn: Connection, tenant: str, budget_id: str) -> Budget:
    row = conn.execute(_living(tenant, budget_id)).mappings().one_or_none()
    if row is None:
        raise BudgetUnknown(budget_id)
    return from_budget_row(row)


def _lapsed(conn: Connection, numbers: list[int], now_us: int) -> dict[BalanceKey, int]:
    """What lapsed holds still have set aside: it is as good as returned."""
    line, hold = schema.budget_line, schema.hold
    rows = conn.execute(
        select(line.c.budget_number, line.c.window_start_us, func.sum(line.c.held_nanos))
        .join(hold, hold.c.hold_id == line.c.owner_id)
        .where(
            hold.c.state == literal_column(str(int(HoldState.PENDING))),
            hold.c.expire_us <= now_us,
            line.c.budget_number.in_(numbers),
        )
        .group_by(line.c.budget_number, line.c.window_start_us)
    )
    return {BalanceKey(number, start): int(held) for number, start, held in rows}
