"""Reads into memory all that a batch of commands touches, in a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sqlalchemy import Connection

from services.ledger.rules.applying import BudgetIndex, called_by
from services.ledger.rules.books import Books
from services.ledger.rules.commands import (
    AcquireLease,
    Command,
    Correct,
    ImportUsage,
    Record,
    Release,
    Reserve,
    ReturnLease,
    Settle,
)
from services.ledger.rules.pricing import Prices
from services.ledger.rules.scopes import Called, scope_keys
from services.ledger.rules.values import (
    Attribution,
    Balance,
    BalanceKey,
    Entry,
    Hold,
    HoldState,
    Line,
)
from services.ledger.rules.windows import starts_of
from services.ledger.sql import guards, statements
from services.ledger.sql.rows import (
    from_budget_row,
    from_entry_row,
    from_hold_row,
    from_line_row,
)

# Holds let go in one transaction. More are let go in transactions of their own first, so that
# none is still in the way when a command is decided.
LAPSED_MAX = 1024


class Call(NamedTuple):
    """What the budgets of a command are found by."""

    who: Attribution
    called: tuple[Called, ...]
    at_us: int


@dataclass(slots=True)
class Touched:
    """What commands name."""

    hold_ids: set[str] = field(default_factory=set)
    settled_ids: set[str] = field(default_factory=set)
    entry_ids: set[str] = field(default_factory=set)
    requests: set[tuple[str, str]] = field(default_factory=set)
    # What was called, by whom, at which moment: the budgets that count it are needed.
    calls: set[Call] = field(default_factory=set)
    settled_calls: dict[str, tuple[Called, ...]] = field(default_factory=dict)
    corrected_ids: set[str] = field(default_factory=set)
    # Leases, and what was called under them by whom.
    lease_ids: set[str] = field(default_factory=set)
    drawn_calls: dict[str, set[tuple[Attribution, tuple[Called, ...]]]] = field(
        default_factory=dict
    )


def touched_by(commands: Iterable[Command], now_us: int) -> Touched:
    """The ids and calls that `commands` name."""
    touched = Touched()
    for command in commands:
        match command:
            case Reserve():
                touched.hold_ids.add(command.hold_id)
                called = tuple(dict.fromkeys(case.called for case in command.worst_cases))
                touched.calls.add(Call(command.attribution, called, now_us))
            case Settle() | Release():
                touched.hold_ids.add(command.hold_id)
                touched.settled_ids.add(command.hold_id)
                touched.entry_ids.update(attempt.entry_id for attempt in command.attempts)
                if isinstance(command, Settle):
                    touched.settled_calls[command.hold_id] = called_by(command.attempts)
                _touch_draw(touched, command, now_us)
            case Record() | ImportUsage():
                touched.entry_ids.add(command.attempt.entry_id)
                called = called_by([command.attempt])
                touched.calls.add(Call(command.attribution, called, now_us))
                touched.requests.add((command.attribution.tenant, command.request_id))
            case Correct():
                touched.corrected_ids.add(command.entry_id)
            case AcquireLease():
                touched.lease_ids.add(command.lease.hold_id)
                touched.calls.add(Call(command.attribution, command.called, now_us))
            case ReturnLease():
                touched.lease_ids.add(command.lease.hold_id)
    return touched


def _touch_draw(touched: Touched, command: Settle | Release, now_us: int) -> None:
    draw = command.draw
    if draw is None:
        return
    lease_id, who = draw.lease.hold_id, draw.attribution
    called = called_by(command.attempts)
    touched.lease_ids.add(lease_id)
    touched.requests.add((who.tenant, draw.request_id))
    touched.drawn_calls.setdefault(lease_id, set()).add((who, called))
    # For a lease that is not there.
    touched.calls.add(Call(who, called, now_us))


def load_lapsed(connection: Connection, now_us: int, known: Sequence[Hold] = ()) -> list[Hold]:
    """Pending holds whose time is up, but for the `known`; one more than LAPSED_MAX at most."""
    rows = connection.execute(
        statements.lapsed_holds(), {"now_us": now_us, "rows_max": LAPSED_MAX + 1 + len(known)}
    ).mappings()
    skip = {hold.hold_id for hold in known}
    found = [from_hold_row(row, ()) for row in rows if row["hold_id"] not in skip]
    return found[: LAPSED_MAX + 1]


def load_named(connection: Connection, touched: Touched) -> list[Hold]:
    """The holds and leases that commands name. Leases first: whoever waited for one sees the holds
    that were made under it meanwhile."""
    leases = load_holds(connection, touched.lease_ids)
    return leases + load_holds(connection, touched.hold_ids)


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
    repeated = {h.hold_id for h in holds if h.state is HoldState.SETTLED} & touched.settled_ids
    entries = _entries(connection, touched, repeated)
    corrected = {e.owner_id for e in entries if e.attempt.entry_id in touched.corrected_ids}
    owned = load_lines(connection, {hold.hold_id for hold in holds} | corrected)
    holds = [replace(hold, lines=tuple(owned.get(hold.hold_id, ()))) for hold in holds]
    for hold in holds:
        if called := touched.settled_calls.get(hold.hold_id):
            touched.calls.add(Call(hold.attribution, called, hold.create_us))
        for who, drawn in touched.drawn_calls.get(hold.hold_id, ()):
            touched.calls.add(Call(who, drawn, hold.create_us))
    lines = [line for each in owned.values() for line in each]
    index = _budgets(connection, touched.calls, lines)
    keys = _balance_keys(index, touched.calls, lines, now_us)
    lock_rolling(connection, index, keys)
    requests = touched.requests | {
        (hold.attribution.tenant, hold.request_id)
        for hold in holds
        if hold.hold_id in touched.settled_ids
    }
    balances = load_balances(connection, keys)
    if guards.guarded(connection):
        # Again, now that nobody else can charge them: a limit that was lowered meanwhile holds.
        index = _budgets(connection, touched.calls, lines)
    return Books(
        prices,
        now_us,
        budgets=index,
        balances=balances,
        holds=holds,
        entries=entries,
        counted=_counted(connection, requests),
        owned=owned,
    )


def load_lines(connection: Connection, owner_ids: set[str]) -> dict[str, list[Line]]:
    """The lines of holds and records."""
    lines: dict[str, list[Line]] = {}
    if owner_ids:
        rows = connection.execute(statements.lines_by_owner(), {"ids": sorted(owner_ids)})
        for row in rows.mappings():
            lines.setdefault(row["owner_id"], []).append(from_line_row(row))
    return lines


def _budgets(connection: Connection, calls: set[Call], lines: Iterable[Line]) -> BudgetIndex:
    """The budgets that can count the calls, and those of the lines whether they live or not."""
    scopes = {key for call in calls for key in scope_keys(call.who, call.called)}
    numbers = {line.key.budget_number for line in lines}
    if not scopes and not numbers:
        return BudgetIndex(())
    rows = connection.execute(
        statements.budgets(), {"scopes": sorted(scopes), "numbers": sorted(numbers)}
    ).mappings()
    return BudgetIndex(from_budget_row(row) for row in rows)


def _balance_keys(
    index: BudgetIndex, calls: Iterable[Call], lines: Iterable[Line], now_us: int
) -> set[BalanceKey]:
    """Every balance that is looked at or moved."""
    keys = {line.key for line in lines}
    for call in calls:
        keys.update(each.key for each in index.applying(*call))
    for key in list(keys):
        budget = index.by_number.get(key.budget_number)
        if budget is not None and budget.rolling_us:
            keys.update(key._replace(window_start_us=us) for us in starts_of(budget, now_us))
    return keys


def lock_rolling(connection: Connection, index: BudgetIndex, keys: Iterable[BalanceKey]) -> None:
    """Makes sure that no other ledger makes a slice that is not there yet while we look."""
    numbers = {
        key.budget_number
        for key in keys
        if (budget := index.by_number.get(key.budget_number)) is not None and budget.rolling_us
    }
    if numbers:
        connection.execute(statements.lock_budgets(), {"numbers": sorted(numbers)}).all()


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
            "subjects": sorted({key.subject for key in keys}),
        },
    )
    return {
        BalanceKey(number, start, subject): Balance(settled, reserved, revision)
        for number, start, subject, settled, reserved, revision in rows
    }


def _entries(connection: Connection, touched: Touched, owner_ids: set[str]) -> list[Entry]:
    ids = touched.entry_ids
    if ids and guards.guarded(connection):
        ids = guards.known_entries(connection, ids)
    ids = ids | touched.corrected_ids
    if not ids and not owner_ids:
        return []
    rows = connection.execute(
        statements.entries(), {"ids": sorted(ids), "owners": sorted(owner_ids)}
    ).mappings()
    # What corrects a row is none of its owner's own.
    found = [from_entry_row(row) for row in rows if not row["corrects_id"]]
    if touched.corrected_ids:
        rows = connection.execute(
            statements.corrections(), {"ids": sorted(touched.corrected_ids)}
        ).mappings()
        found += [from_entry_row(row) for row in rows]
    return found


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
