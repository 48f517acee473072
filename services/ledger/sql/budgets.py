"""Budgets: made, shown, changed, ended."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, literal_column, select
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.configuring import BudgetChange, BudgetView, NewBudget, ValueView
from services.ledger.rules.refusals import BudgetUnitOther, BudgetUnknown, IdReused
from services.ledger.rules.scopes import scope_key, values_of
from services.ledger.rules.values import Balance, Budget, EventKind, HoldState
from services.ledger.rules.windows import span_of, starts_of
from services.ledger.sql import schema, statements
from services.ledger.sql.database import Database
from services.ledger.sql.rows import from_budget_row

# Values shown of a budget with one limit for each.
VALUES_MAX = 50
_WENT_ON = [int(EventKind.SOFT), int(EventKind.DOWNGRADED), int(EventKind.SHADOW)]

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

    async def change(self, tenant: str, budget_id: str, change: BudgetChange) -> BudgetView:
        """The budget with its new limit or mode, which holds at once.

        Raises: BudgetUnknown; BudgetUnitOther when its unit is not the one the change is in.
        """

        def work(conn: Connection) -> BudgetView:
            found = _find(conn, tenant, budget_id)
            if change.unit not in (None, found.unit):
                raise BudgetUnitOther(budget_id, found.unit)
            values: dict[str, int] = {}
            if change.limit_amount is not None:
                values["limit_amount"] = change.limit_amount
            if change.mode is not None:
                values["mode"] = int(change.mode)
            conn.execute(_table.update().where(_table.c.number == found.number).values(values))
            # Whoever holds its balances has read what held before: their holds come first.
            conn.execute(statements.lock_balances(), {"number": found.number}).all()
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
        scope = new.scope
        known = conn.execute(_living(scope.tenant, new.budget_id)).mappings().one_or_none()
        if known is None:
            conn.execute(
                _table.insert().values(
                    tenant=scope.tenant,
                    budget_id=new.budget_id,
                    project=scope.project,
                    user_id=scope.user,
                    key_id=scope.key_id,
                    feature=scope.feature,
                    model=scope.model,
                    provider=scope.provider,
                    tags=[list(tag) for tag in scope.tags],
                    each=list(scope.each),
                    scope_key=scope_key(scope),
                    window_kind=int(new.window),
                    time_zone=new.time_zone,
                    rolling_us=new.rolling_us,
                    unit=int(new.unit),
                    mode=int(new.mode),
                    limit_amount=new.limit_amount,
                    create_us=self._clock(),
                    create_hash=new.request_hash,
                )
            )
        elif known["create_hash"] != new.request_hash:
            raise IdReused(new.budget_id)
        return self._view(conn, [_find(conn, scope.tenant, new.budget_id)])[0]

    def _view(self, conn: Connection, budgets: Sequence[Budget]) -> list[BudgetView]:
        now_us = self._clock()
        starts = {b.number: starts_of(b, now_us) for b in budgets}
        standing = standing_of(conn, starts)
        _forget_lapsed(conn, standing, now_us)
        broken = _broken(conn, starts)
        views = []
        for budget in budgets:
            values = [
                ValueView(values_of(budget.scope, subject), balance)
                for subject, balance in standing.get(budget.number, {}).items()
            ]
            whole = Balance(
                sum(value.balance.settled_amount for value in values),
                sum(value.balance.reserved_amount for value in values),
            )
            values.sort(key=lambda value: (-_used(value.balance), value.each))
            shown = tuple(values[:VALUES_MAX]) if budget.scope.each else ()
            span = span_of(budget, now_us)
            count = broken.get(budget.number, 0)
            views.append(BudgetView(budget, whole, span, count, shown))
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


def _used(balance: Balance) -> int:
    return balance.settled_amount + balance.reserved_amount


def standing_of(conn: Connection, starts: Mapping[int, list[int]]) -> dict[int, dict[str, Balance]]:
    """What is used in the windows of now, by budget and by value."""
    table = schema.balance
    every = sorted({start for each in starts.values() for start in each})
    rows = conn.execute(
        select(
            table.c.budget_number,
            table.c.subject,
            table.c.window_start_us,
            table.c.settled_amount,
            table.c.reserved_amount,
        ).where(table.c.budget_number.in_(list(starts)), table.c.window_start_us.in_(every))
    )
    found: dict[int, dict[str, Balance]] = {}
    for number, subject, start, settled, reserved in rows:
        if start in starts[number]:
            of_budget = found.setdefault(number, {})
            old = of_budget.get(subject, Balance())
            of_budget[subject] = Balance(
                old.settled_amount + settled, old.reserved_amount + reserved
            )
    return found


def _forget_lapsed(conn: Connection, standing: dict[int, dict[str, Balance]], now_us: int) -> None:
    """Takes away what lapsed holds still have set aside: it is as good as returned."""
    if not standing:
        return
    line, hold = schema.budget_line, schema.hold
    key = (line.c.budget_number, line.c.subject)
    lapsed = select(hold.c.hold_id).where(
        hold.c.state == literal_column(str(int(HoldState.PENDING))), hold.c.expire_us <= now_us
    )
    rows = conn.execute(
        select(*key, func.sum(line.c.held_amount - line.c.freed_amount))
        .where(line.c.owner_id.in_(lapsed), line.c.budget_number.in_(list(standing)))
        .group_by(*key)
    )
    for number, subject, held in rows:
        old = standing[number].get(subject)
        if old is not None:
            left = max(0, old.reserved_amount - int(held))
            standing[number][subject] = Balance(old.settled_amount, left)


def _broken(conn: Connection, starts: Mapping[int, list[int]]) -> dict[int, int]:
    """How many requests went on although they would have broken a budget, in its window of now."""
    table = schema.budget_event
    rows = conn.execute(
        select(table.c.budget_number, table.c.window_start_us, func.count())
        .where(table.c.budget_number.in_(list(starts)), table.c.kind.in_(_WENT_ON))
        .group_by(table.c.budget_number, table.c.window_start_us)
    )
    counts: Counter[int] = Counter()
    for number, start, count in rows:
        if start in starts[number]:
            counts[number] += count
    return counts
