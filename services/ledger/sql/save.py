"""Writes what a transaction changed, in a fixed number of statements."""

from sqlalchemy import Connection

from services.ledger.rules.books import Changes
from services.ledger.rules.rollup import by_day
from services.ledger.sql import guards, schema, statements
from services.ledger.sql.database import RevisionConflict
from services.ledger.sql.rows import (
    to_day_row,
    to_entry_row,
    to_event_row,
    to_freed,
    to_hold_row,
    to_line_row,
    to_resolution,
    to_rollup_row,
)


def save(connection: Connection, changes: Changes) -> None:
    """Everything in `changes`. Raises: RevisionConflict when a balance moved meanwhile."""
    if changes.new_holds:
        connection.execute(
            schema.hold.insert(), [to_hold_row(hold) for hold in changes.new_holds.values()]
        )
    if changes.changed_holds:
        connection.execute(
            statements.resolve_hold(),
            [
                {"the_hold": hold.hold_id, **to_resolution(hold)}
                for hold in changes.changed_holds.values()
            ],
        )
    if changes.lines:
        connection.execute(
            schema.budget_line.insert(), [to_line_row(line) for line in changes.lines]
        )
    if changes.freed:
        connection.execute(
            statements.free_line(),
            [to_freed(line) for lines in changes.freed.values() for line in lines],
        )
    if changes.entries:
        connection.execute(
            schema.entry.insert(), [to_entry_row(entry) for entry in changes.entries]
        )
        if guards.guarded(connection):
            guards.keep(connection, changes.entries)
    if changes.events:
        connection.execute(
            schema.budget_event.insert(), [to_event_row(event) for event in changes.events]
        )
    _save_rollups(connection, changes)
    _save_balances(connection, changes)


def _save_rollups(connection: Connection, changes: Changes) -> None:
    if not changes.rollups:
        return
    dialect = connection.dialect.name
    hours = [to_rollup_row(key, sums) for key, sums in sorted(changes.rollups.items())]
    connection.execute(statements.add_to_rollup(dialect, schema.rollup_hour), hours)
    days = [to_day_row(key, sums) for key, sums in sorted(by_day(changes.rollups).items())]
    connection.execute(statements.add_to_rollup(dialect, schema.rollup_day), days)


def _save_balances(connection: Connection, changes: Changes) -> None:
    """The second guard beside the lock: a row is written over the revision that was read only."""
    if not changes.balances:
        return
    rows = [
        {
            "budget_number": key.budget_number,
            "window_start_us": key.window_start_us,
            "subject": key.subject,
            "settled_amount": balance.settled_amount,
            "reserved_amount": balance.reserved_amount,
            "revision": balance.revision + 1,
        }
        for key, balance in sorted(changes.balances.items())
    ]
    written = connection.execute(statements.write_balance(connection.dialect.name), rows).all()
    if len(written) != len(rows):
        raise RevisionConflict
