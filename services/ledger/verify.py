"""Proves that the books agree with themselves: what is kept equals what the rows add up to.

Written as questions to the database, apart from the rules that keep the books, so that a fault
in those cannot hide itself here.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from services.ledger.rules.values import AttemptOutcome, BudgetUnit, EntryKind, HoldState
from services.ledger.rules.windows import DAY_US, HOUR_US
from services.ledger.sql import schema
from services.ledger.sql.database import Database

_FROM_CACHE = "cached_input_tokens"
# Written down here once more on purpose: see rules/kinds.py.
_CALLS = [1, 4, 5, 6, 7, 8, 10]
_STANDING = [1, 2, 3, 5, 6, 10]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something the books do not agree on. `where` names rows by ids and numbers only."""

    what: str
    where: tuple[Any, ...]
    kept: int
    replayed: int


async def verify(database: Database) -> Sequence[Difference]:
    """Every difference, none when the books are right. All at one moment of the books.

    Raises: BooksUnavailable.
    """

    def work(conn: Connection) -> Sequence[Difference]:
        return [
            *_balances(conn, "settled_amount", _with_archived(conn, settled(conn))),
            *_balances(conn, "reserved_amount", _reserved(conn)),
            *_rollups(conn),
            *_days(conn),
            *_holds(conn),
            *_lines(conn),
            *_leases(conn),
            *_requests(conn),
            *_corrections(conn),
            *_archived(conn),
        ]

    return await database.read(work)


def settled(
    conn: Connection, only: ColumnElement[bool] | None = None
) -> dict[tuple[Any, ...], int]:
    """What the rows of settled holds and records come to on each balance, in its unit; `only`
    limits the rows."""
    line, entry, hold = schema.budget_line, schema.entry, schema.hold
    key = (line.c.budget_number, line.c.window_start_us, line.c.subject)
    rows = conn.execute(
        select(*key, func.sum(_amount(line, entry)))
        .join(entry, entry.c.owner_id == line.c.owner_id)
        .join(hold, hold.c.hold_id == line.c.owner_id, isouter=True)
        .where(
            or_(hold.c.state.is_(None), hold.c.state != int(HoldState.RELEASED)),
            *_of_line(line, entry),
            true() if only is None else only,
        )
        .group_by(*key)
    )
    return {tuple(where): int(total) for *where, total in rows}


def _with_archived(
    conn: Connection, replayed: dict[tuple[Any, ...], int]
) -> dict[tuple[Any, ...], int]:
    """With what rows charged that are in files now."""
    table = schema.archived_charge
    total = Counter(replayed)
    for key, amount in conn.execute(select(table.c.balance_key, table.c.settled)):
        total[tuple(json.loads(key))] += amount
    return dict(total)


def _reserved(conn: Connection) -> dict[tuple[Any, ...], int]:
    line, hold = schema.budget_line, schema.hold
    key = (line.c.budget_number, line.c.window_start_us, line.c.subject)
    rows = conn.execute(
        select(*key, func.sum(line.c.held_amount - line.c.freed_amount))
        .join(hold, hold.c.hold_id == line.c.owner_id)
        .where(hold.c.state == int(HoldState.PENDING))
        .group_by(*key)
    )
    return {tuple(where): int(total) for *where, total in rows}


def _balances(
    conn: Connection, column: str, replayed: Mapping[tuple[Any, ...], int]
) -> Iterator[Difference]:
    table = schema.balance
    key = (table.c.budget_number, table.c.window_start_us, table.c.subject)
    rows = conn.execute(select(*key, table.c[column]))
    kept = {tuple(where): value for *where, value in rows}
    yield from _compare(f"balance.{column}", kept, replayed)


def _rollups(conn: Connection) -> Iterator[Difference]:
    entry, rollup = schema.entry, schema.rollup_hour
    counts = entry.c.counts_request
    hit = entry.c.kind.in_([int(EntryKind.CACHE_HIT), int(EntryKind.SHARED_CALL)])
    sums = {
        "request_count": case((counts, 1), else_=0),
        "hit_count": case((and_(counts, hit), 1), else_=0),
        "error_count": case((and_(counts, entry.c.outcome != int(AttemptOutcome.OK)), 1), else_=0),
        "attempt_count": case((entry.c.kind.in_(_CALLS), 1), else_=0),
        "input_tokens": _sum(entry, schema.READ_COLUMNS),
        "output_tokens": _sum(entry, schema.WRITTEN_COLUMNS),
        "latency_ms": case((counts, entry.c.latency_ms), else_=0),
        **{
            name: entry.c[name]
            for name in ("cost_nanos", "counterfactual_nanos", *schema.SAVED_COLUMNS)
        },
    }
    key = [
        (entry.c.book_us - entry.c.book_us % HOUR_US).label("hour"),
        *(entry.c[name] for name in ("tenant", "project", "user_id", "feature", "model_used")),
        entry.c.provider,
        entry.c.kind,
    ]
    order = list(sums)
    width = len(key)
    replayed = {
        tuple(row[:width]): row[width:]
        for row in conn.execute(
            select(*key, *(func.sum(sums[name]) for name in order)).group_by(*key)
        )
    }
    gone = _archived_spans(conn)
    kept = {
        tuple(row[:width]): row[width:]
        for row in conn.execute(
            select(
                *(rollup.c[name] for name in schema.ROLLUP_KEY_COLUMNS),
                *(rollup.c[name] for name in order),
            )
        )
        if not any(start <= row[0] < end for start, end in gone)
    }
    for place, name in enumerate(order):
        yield from _compare(
            f"rollup_hour.{name}",
            {where: int(row[place]) for where, row in kept.items()},
            {where: int(row[place]) for where, row in replayed.items()},
        )


def _days(conn: Connection) -> Iterator[Difference]:
    """The sums of a day are those of its hours."""
    hour, day = schema.rollup_hour, schema.rollup_day
    rest = schema.ROLLUP_KEY_COLUMNS[1:]
    start = (hour.c.hour_us - hour.c.hour_us % DAY_US).label("day_us")
    key = [start, *(hour.c[name] for name in rest)]
    width = len(key)
    # In halves: a sum may leave an int64 where the books are wrong.
    halves = [func.sum(hour.c[n] // 10**9) for n in schema.SUM_COLUMNS]
    halves += [func.sum(hour.c[n] % 10**9) for n in schema.SUM_COLUMNS]
    count = len(schema.SUM_COLUMNS)
    hours = {
        tuple(row[:width]): [
            int(whole) * 10**9 + int(part)
            for whole, part in zip(row[width : width + count], row[width + count :], strict=True)
        ]
        for row in conn.execute(select(*key, *halves).group_by(*key))
    }
    columns = ("day_us", *rest, *schema.SUM_COLUMNS)
    days = {
        tuple(row[:width]): row[width:]
        for row in conn.execute(select(*(day.c[name] for name in columns)))
    }
    for place, name in enumerate(schema.SUM_COLUMNS):
        yield from _compare(
            f"rollup_day.{name}",
            {where: int(row[place]) for where, row in days.items()},
            {where: row[place] for where, row in hours.items()},
        )


def _holds(conn: Connection) -> Iterator[Difference]:
    """A settled hold has rows, a pending or lapsed one has none, a released one cost nothing."""
    hold, entry = schema.hold, schema.entry
    count = func.count(entry.c.entry_no)
    cost = func.coalesce(func.sum(entry.c.cost_nanos), 0)
    open_states = [int(HoldState.PENDING), int(HoldState.EXPIRED)]
    rows = conn.execute(
        select(hold.c.hold_id, hold.c.state, count)
        .join(entry, entry.c.owner_id == hold.c.hold_id, isouter=True)
        .group_by(hold.c.hold_id, hold.c.state)
        .having(
            or_(
                and_(hold.c.state == int(HoldState.SETTLED), count == 0),
                and_(hold.c.state.in_(open_states), count > 0),
                and_(hold.c.state == int(HoldState.RELEASED), cost > 0),
            )
        )
    )
    for hold_id, state, found in rows:
        yield Difference("hold.state", (hold_id,), state, found)


def _lines(conn: Connection) -> Iterator[Difference]:
    """No budget of a hold has more money set aside than the hold, and one that counts all of the
    hold's money has as much; but for lines that a settlement added, which hold nothing."""
    hold, line = schema.hold, schema.budget_line
    whole = and_(line.c.model == "", line.c.provider == "")
    rows = conn.execute(
        select(line.c.owner_id, line.c.budget_number, line.c.held_amount, hold.c.held_nanos)
        .join(hold, hold.c.hold_id == line.c.owner_id)
        .where(
            line.c.unit == int(BudgetUnit.NANO_USD),
            or_(
                line.c.held_amount > hold.c.held_nanos,
                and_(whole, line.c.held_amount != hold.c.held_nanos),
            ),
        )
    )
    for owner_id, number, kept, held in rows:
        yield Difference("budget_line.held_amount", (owner_id, number), kept, held)


def _leases(conn: Connection) -> Iterator[Difference]:
    """What was charged under a lease in time came out of it, as far as it reached."""
    line, entry, hold = schema.budget_line, schema.entry, schema.hold
    under = and_(hold.c.lease_id != "", hold.c.request_id != "")
    name = hold.c.lease_id.concat("/").concat(cast(hold.c.lease_epoch, Text)).label("lease")
    key = (name, line.c.budget_number, line.c.subject)
    drawn = conn.execute(
        select(*key, func.sum(_amount(line, entry)))
        .join(line, line.c.owner_id == hold.c.hold_id)
        .join(entry, entry.c.owner_id == hold.c.hold_id)
        .where(
            under,
            hold.c.state == int(HoldState.SETTLED),
            entry.c.late.is_(False),
            entry.c.corrects_id == "",
            *_of_line(line, entry),
        )
        .group_by(*key)
    )
    sums = {tuple(where): int(total) for *where, total in drawn}
    leased = conn.execute(
        select(
            line.c.owner_id,
            line.c.budget_number,
            line.c.subject,
            line.c.held_amount,
            line.c.freed_amount,
        )
        .join(hold, hold.c.hold_id == line.c.owner_id)
        .where(hold.c.lease_id != "", hold.c.request_id == "")
    )
    for owner_id, number, subject, held, freed in leased:
        wanted = min(held, sums.get((owner_id, number, subject), 0))
        if freed < wanted:
            yield Difference("budget_line.freed_amount", (owner_id, number, subject), freed, wanted)


def _amount(line: Any, entry: Any) -> ColumnElement[int]:
    """What a row takes of a line's budget, in its unit."""
    tokens = _sum(entry, [name for name in schema.TOKEN_COLUMNS if name != _FROM_CACHE])
    return case(
        (line.c.unit == int(BudgetUnit.TOKENS), tokens),
        (line.c.unit == int(BudgetUnit.REQUESTS), case((entry.c.counts_request, 1), else_=0)),
        else_=entry.c.cost_nanos,
    )


def _of_line(line: Any, entry: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a row counts on a line."""
    return (
        or_(line.c.model == "", line.c.model == entry.c.model_used),
        or_(line.c.provider == "", line.c.provider == entry.c.provider),
    )


def _requests(conn: Connection) -> Iterator[Difference]:
    """Every request with a row that can stand for it counts exactly once.

    One whose other rows may lie in an archived month may have been counted there.
    """
    entry = schema.entry
    counted = func.sum(case((entry.c.counts_request, 1), else_=0))
    after_us = max((end for _, end in _archived_spans(conn)), default=0) + DAY_US
    rows = conn.execute(
        select(entry.c.tenant, entry.c.request_id, counted)
        .where(entry.c.kind.in_(_STANDING))
        .group_by(entry.c.tenant, entry.c.request_id)
        .having(
            or_(
                counted > 1,
                and_(counted < 1, func.min(entry.c.book_us) > after_us),
            )
        )
    )
    for tenant, request_id, found in rows:
        yield Difference("entry.counts_request", (tenant, request_id), found, 1)


def _archived_spans(conn: Connection) -> list[tuple[int, int]]:
    table = schema.archived_month
    return [(start, end) for start, end in conn.execute(select(table.c.month_us, table.c.end_us))]


def _archived(conn: Connection) -> Iterator[Difference]:
    """The rollups of an archived month still say what its rows came to, and no row is left."""
    month, rollup, entry = schema.archived_month, schema.rollup_hour, schema.entry
    found = conn.execute(
        select(month.c.month_us, month.c.end_us, month.c.request_count, month.c.cost_digits)
    ).all()
    for start, end, requests, cost in found:
        within = and_(rollup.c.hour_us >= start, rollup.c.hour_us < end)
        # In two halves: a sum may leave an int64.
        sums = [
            func.sum(rollup.c.request_count),
            func.sum(rollup.c.cost_nanos // 10**9),
            func.sum(rollup.c.cost_nanos % 10**9),
        ]
        counted, whole, rest = (
            int(n or 0) for n in conn.execute(select(*sums).where(within)).one()
        )
        yield from _compare(
            "archived_month.request_count", {(start,): requests}, {(start,): counted}
        )
        kept = {(start,): int(cost)}
        yield from _compare("archived_month.cost_nanos", kept, {(start,): whole * 10**9 + rest})
        left = select(func.count()).where(entry.c.book_us >= start, entry.c.book_us < end)
        rows = {(start,): int(conn.execute(left).scalar_one())}
        yield from _compare("archived_month.entries_left", {(start,): 0}, rows)


def _corrections(conn: Connection) -> Iterator[Difference]:
    """Every correction corrects a row of the same owner."""
    entry = schema.entry
    whole = entry.alias()
    rows = conn.execute(
        select(entry.c.entry_id)
        .join(
            whole,
            and_(whole.c.entry_id == entry.c.corrects_id, whole.c.owner_id == entry.c.owner_id),
            isouter=True,
        )
        .where(entry.c.corrects_id != "", whole.c.entry_id.is_(None))
    )
    for (entry_id,) in rows:
        yield Difference("entry.corrects_id", (entry_id,), 1, 0)


def _sum(entry: Any, columns: Sequence[str]) -> Any:
    return sum((entry.c[name] for name in columns[1:]), entry.c[columns[0]])


def _compare(
    what: str, kept: Mapping[tuple[Any, ...], int], replayed: Mapping[tuple[Any, ...], int]
) -> Iterator[Difference]:
    for where in sorted(kept.keys() | replayed.keys()):
        here, there = kept.get(where, 0), replayed.get(where, 0)
        if here != there:
            yield Difference(what, where, here, there)
