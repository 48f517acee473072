"""Reads into memory all that a batch of commands touches, in a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from services.ledger.rules.books import Books
from services.ledger.rules.commands import Command, ImportUsage, Record, Release, Reserve, Settle
from services.ledger.rules.pricing import Prices
from services.ledger.rules.scopes import scope_keys
from services.ledger.rules.values import (
    Balance,
    BalanceKey,
    Budget,
    Entry,
    Hold,
    HoldState,
    Line,
)
from services.ledger.rules.windows import window_at
from services.ledger.sql import guards, statements
from services.ledger.sql.rows import from_budget_row, from_entry_row, from_hold_row

# Holds let go in one transaction. More are let go in transactions of their own first, so that
# none is still in the way when a command is decided.
LAPSED_MAX = 1024


@dataclass(slots=True)
class Touched:
    """What commands name."""

    hold_ids: set[str] = field(default_factory=set)
    settled_ids: set[str] = field(default_factory=set)
    entry_ids: set[str] = field(default_factory=set)
    requests: set[tuple[str, str]] = field(default_factory=set)
    scope_keys: set[str] = field(default_factory=set)


def touched_by(commands: Iterable[Command]) -> Touched:
    """The ids and scopes that `commands` name."""
    touched = Touched()
    for command in commands:
        match command:
            case Reserve():
                touched.hold_ids.add(command.hold_id)
                touched.scope_keys.update(scope_keys(command.attribution))
            case Settle() | Release():
                touched.hold_ids.add(command.hold_id)
                touched.settled_ids.add(command.hold_id)
                touched.entry_ids.update(attempt.entry_id for attempt in command.attempts)
            case Record() | ImportUsage():
                touched.entry_ids.add(command.attempt.entry_id)
                touched.scope_keys.update(scope_keys(command.attribution))
                touched.requests.add((command.attribution.tenant, command.request_id))
    return touched


def load_lapsed(connection: Connection, now_us: int, known: Sequence[Hold] = ()) -> list[Hold]:
    """Pending holds whose time is up, but for the `known`; one more than LAPSED_MAX at most."""
    rows = connection.execute(
        statements.lapsed_holds(), {"now_us": now_us, "rows_max": LAPSED_MAX + 1 + len(known)}
    ).mappings()
    skip = {hold.hold_id for hold in known}
    found = [from_hold_row(row, ()) for row in rows if row["hold_id"] not in skip]
    return found[: LAPSED_MAX + 1]


def load_holds(connection: Connection, hold_ids: set[str]) -> list[Hold]:
    """Holds by id, locked, without their lines."""
    if not hold_ids:
        return []
    found = connection.execute(statements.holds_by_id(), {"ids": sorted(hold_ids)})
    rows = found.mappings()
    return [from_hold_row(row, ()) for row in rows]


def load_books(
    connection: Connection,
    touched: Touched,
    holds: Sequence[Hold],
    prices: Prices,
    now_us: int,
) -> Books:
    """The books that the commands need; `holds` are those that they name and those that lapsed."""
    holds = with_lines(connection, holds)
    lines = [line for hold in holds for line in hold.lines]
    requests = touched.requests | {
        (hold.attribution.tenant, hold.request_id)
        for hold in holds
        if hold.hold_id in touched.settled_ids
    }
    repeated = {h.hold_id for h in holds if h.state is HoldState.SETTLED} & touched.settled_ids
    budgets = _budgets(connection, touched.scope_keys, {line.key.budget_number for line in lines})
    keys = {line.key for line in lines}
    keys.update(
        BalanceKey(budget.number, window_at(budget.window, now_us).start_us)
        for budget in budgets
        if not budget.deleted
    )
    balances = load_balances(connection, keys)
    if guards.guarded(connection):
        # Again, now that nobody else can charge them: a limit that was lowered meanwhile holds.
        budgets = _budgets(connection, touched.scope_keys, {b.number for b in budgets})
    return Books(
        prices,
        now_us,
        budgets=budgets,
        balances=balances,
        holds=holds,
        entries=_entries(connection, touched.entry_ids, repeated),
        counted=_counted(connection, requests),
    )


def with_lines(connection: Connection, holds: Sequence[Hold]) -> list[Hold]:
    """The holds with their lines."""
    if not holds:
        return []
    ids = [hold.hold_id for hold in holds]
    rows = connection.execute(statements.lines_by_owner(), {"ids": ids})
    lines: dict[str, list[Line]] = {}
    for owner_id, budget_number, window_start_us, held_nanos in rows:
        key = BalanceKey(budget_number, window_start_us)
        lines.setdefault(owner_id, []).append(Line(owner_id, key, held_nanos))
    return [replace(hold, lines=tuple(lines.get(hold.hold_id, ()))) for hold in holds]


def _budgets(connection: Connection, scopes: set[str], numbers: set[int]) -> list[Budget]:
    if not scopes and not numbers:
        return []
    rows = connection.execute(
        statements.budgets(), {"scopes": sorted(scopes), "numbers": sorted(numbers)}
    ).mappings()
    return [from_budget_row(row) for row in rows]


def load_balances(connection: Connection, keys: set[BalanceKey]) -> dict[BalanceKey, Balance]:
    """Balances that exist, locked in the order of their keys and after the holds.

    That is the one order everybody keeps.
    """
    if not keys:
        return {}
    rows = connection.execute(
        statements.balances(),
        {
            "numbers": sorted({key.budget_number for key in keys}),
            "starts_us": sorted({key.window_start_us for key in keys}),
        },
    )
    return {
        BalanceKey(number, start): Balance(settled, reserved, revision)
        for number, start, settled, reserved, revision in rows
    }


def _entries(connection: Connection, entry_ids: set[str], owner_ids: set[str]) -> list[Entry]:
    if entry_ids and guards.guarded(connection):
        entry_ids = guards.known_entries(connection, entry_ids)
    if not entry_ids and not owner_ids:
        return []
    rows = connection.execute(
        statements.entries(), {"ids": sorted(entry_ids), "owners": sorted(owner_ids)}
    ).mappings()
    return [from_entry_row(row) for row in rows]


def _counted(connection: Connection, requests: set[tuple[str, str]]) -> list[tuple[str, str]]:
    if not requests:
        return []
    if guards.guarded(connection):
        return guards.counted(connection, requests)
    rows = connection.execute(
        statements.counted_requests(),
        {
            "tenants": sorted({tenant for tenant, _ in requests}),
            "requests": sorted({request_id for _, request_id in requests}),
        },
    )
    return [(tenant, request_id) for tenant, request_id in rows]
