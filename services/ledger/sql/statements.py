"""The statements of a transaction, each built once.

Building an expression and its cache key costs SQLAlchemy more than SQLite needs to run it; a
transaction has ten of them.
"""

from functools import cache
from typing import Any

from sqlalchemy import Select, Table, Update, and_, bindparam, literal_column, or_, select

from services.ledger.rules.values import HoldState
from services.ledger.sql import schema
from services.ledger.sql.dialect import any_of, upsert


@cache
def lapsed_holds() -> Select[Any]:
    """Pending holds whose time is up at `now_us`, the oldest first, at most `rows_max`."""
    # Written out, not bound: only so can every planner see the condition of the partial index.
    pending = schema.hold.c.state == literal_column(str(int(HoldState.PENDING)))
    return (
        select(schema.hold)
        .where(pending, schema.hold.c.expire_us <= bindparam("now_us"))
        .order_by(schema.hold.c.expire_us)
        .limit(bindparam("rows_max"))
        # Who holds the lock resolves it now and will have given its money back: see load_balances.
        .with_for_update(skip_locked=True)
    )


@cache
def holds_by_id() -> Select[Any]:
    """Holds of `ids`, locked in their order."""
    return (
        select(schema.hold)
        .where(any_of(schema.hold.c.hold_id, "ids"))
        .order_by(schema.hold.c.hold_id)
        .with_for_update()
    )


@cache
def lines_by_owner() -> Select[Any]:
    """Lines of the owners `ids`."""
    return (
        select(schema.budget_line)
        .where(any_of(schema.budget_line.c.owner_id, "ids"))
        .order_by(schema.budget_line.c.budget_number)
    )


@cache
def budgets() -> Select[Any]:
    """Live budgets of `scopes`, and those of `numbers` whether live or not."""
    table = schema.budget
    live = and_(any_of(table.c.scope_key, "scopes"), table.c.delete_us.is_(None))
    return select(table).where(or_(live, any_of(table.c.number, "numbers")))


@cache
def balances() -> Select[Any]:
    """Balances of `numbers` in the windows `starts_us`, locked in the order of their keys."""
    table = schema.balance
    return (
        select(table)
        .where(
            # A little more than asked for when budgets differ in their windows; never less.
            any_of(table.c.budget_number, "numbers"),
            any_of(table.c.window_start_us, "starts_us"),
            any_of(table.c.subject, "subjects"),
        )
        .order_by(table.c.budget_number, table.c.window_start_us, table.c.subject)
        .with_for_update()
    )


@cache
def lock_balances() -> Select[Any]:
    """Locks all balances of the budget `number`, in the order that everybody keeps."""
    table = schema.balance
    return (
        select(table.c.budget_number)
        .where(table.c.budget_number == bindparam("number"))
        .order_by(table.c.budget_number, table.c.window_start_us, table.c.subject)
        .with_for_update()
    )


@cache
def lock_budgets() -> Select[Any]:
    """Locks the budgets `numbers`, in their order: before the slices of a rolling one are read,
    some of which another ledger may be about to make."""
    table = schema.budget
    return (
        select(table.c.number)
        .where(any_of(table.c.number, "numbers"))
        .order_by(table.c.number)
        .with_for_update()
    )


@cache
def entries() -> Select[Any]:
    """Rows of `ids`, and all rows of the holds `owners`."""
    table = schema.entry
    named = any_of(table.c.entry_id, "ids")
    return (
        select(table)
        .where(or_(named, any_of(table.c.owner_id, "owners")))
        .order_by(table.c.entry_no)
    )


@cache
def corrections() -> Select[Any]:
    """Rows that correct the rows `ids`, oldest first."""
    table = schema.entry
    correcting = table.c.corrects_id != literal_column("''")
    return (
        select(table)
        .where(correcting, any_of(table.c.corrects_id, "ids"))
        .order_by(table.c.entry_no)
    )


@cache
def counted_requests() -> Select[Any]:
    """Which of `requests` of `tenants` are counted already."""
    table = schema.entry
    return (
        select(table.c.tenant, table.c.request_id)
        .distinct()
        .where(
            any_of(table.c.tenant, "tenants"),
            any_of(table.c.request_id, "requests"),
            table.c.counts_request,
        )
    )


@cache
def resolve_hold() -> Update:
    """Writes the resolution of `the_hold`."""
    return schema.hold.update().where(schema.hold.c.hold_id == bindparam("the_hold"))


@cache
def free_line() -> Update:
    """Writes how much of a lease's line is free again."""
    table = schema.budget_line
    return (
        table.update()
        .where(
            table.c.owner_id == bindparam("the_owner"),
            table.c.budget_number == bindparam("the_budget"),
            table.c.subject == bindparam("the_subject"),
        )
        .values(freed_amount=bindparam("now_freed"))
    )


@cache
def add_to_rollup(dialect: str, table: Table) -> Any:
    """Adds sums to the row of their hour or day."""
    insert = upsert(dialect, table)
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: table.c[name] + insert.excluded[name] for name in schema.SUM_COLUMNS},
    )


@cache
def write_balance(dialect: str) -> Any:
    """Writes a balance over the revision that was read, and over no other."""
    table = schema.balance
    insert = upsert(dialect, table)
    columns = ("settled_amount", "reserved_amount", "revision")
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: insert.excluded[name] for name in columns},
        where=table.c.revision == insert.excluded.revision - 1,
    ).returning(table.c.budget_number)
