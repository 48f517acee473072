"""Follows the entries: side sums and alerts are made from rows once they are booked.

Off the path of a request: a hold or a settlement never waits for it. Each step is one
transaction that also moves the follower's place, so a crash loses nothing and counts nothing
twice, and of several ledgers on one database only one takes a step.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import metrics
from sqlalchemy import Connection, func, select

from services.ledger.insight.gather import Gathered, gather, settled_prefix
from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.rules.values import MICROS_PER_SECOND, Entry
from services.ledger.sql import reading_schema, schema
from services.ledger.sql.database import Database
from services.ledger.sql.dialect import upsert
from services.ledger.sql.rows import from_entry_row

_log = logging.getLogger("ledger.follow")
NAME = "entries"
# Small, so that the writer is never kept from commands for long.
ROWS_MAX = 256
# Longer than any transaction lives.
GAP_SECONDS = 60
# In one go; then others have their turn.
CATCH_UP_SECONDS_MAX = 60.0
_followed = metrics.get_meter("spendgate").create_counter(
    "spendgate.ledger.followed", unit="{row}", description="Booked rows summed up for reading."
)

# What else happens with new rows, in the same transaction.
OnRows = Callable[[Connection, Sequence[Entry]], None]


class Follower:
    """Keeps what is read from entries up to date. `clock` gives microseconds since 1970."""

    def __init__(
        self, database: Database, clock: Callable[[], int], on_rows: OnRows | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_rows = on_rows
        self._stepping = asyncio.Lock()

    async def catch_up(self, seconds_max: float) -> bool:
        """Steps until nothing is left or the time is up; whether nothing is left.

        Raises: BooksUnavailable.
        """
        try:
            async with asyncio.timeout(seconds_max):
                while await self.step():
                    pass
        except TimeoutError:
            return False
        return True

    async def step(self) -> int:
        """Takes in the next rows; how many. Raises: BooksUnavailable."""
        # One at a time: two would only find that the other was faster.
        async with self._stepping:
            return await asyncio.shield(self._step())

    async def _step(self) -> int:
        place, rows = await self._database.read(self._next)
        if not rows:
            return 0
        found = await asyncio.to_thread(gather, rows)
        done = await self._database.write(lambda conn: self._write(conn, place, rows[-1][0], found))
        if done:
            _followed.add(len(rows))
        return len(rows)

    def _next(self, conn: Connection) -> tuple[int, list[tuple[int, Entry]]]:
        place = place_of(conn, NAME)
        entry = schema.entry
        rows = (
            conn.execute(
                select(entry)
                .where(entry.c.entry_no > place)
                .order_by(entry.c.entry_no)
                .limit(ROWS_MAX)
            )
            .mappings()
            .all()
        )
        numbers = [(row["entry_no"], row["book_us"]) for row in rows]
        count = settled_prefix(
            numbers, place, now_us=self._clock(), gap_us=GAP_SECONDS * MICROS_PER_SECOND
        )
        return place, [(row["entry_no"], from_entry_row(row)) for row in rows[:count]]

    def _write(self, conn: Connection, old: int, new: int, found: Gathered) -> bool:
        if not move_place(conn, NAME, old, new):
            return False
        _save_marks(conn, found)
        _save_sides(conn, found)
        _save_latencies(conn, found)
        if self._on_rows is not None:
            self._on_rows(conn, found.entries)
        return True


def place_of(conn: Connection, name: str) -> int:
    """How far a reader has come; 0 at first."""
    table = reading_schema.follower
    place = conn.execute(select(table.c.place).where(table.c.name == name)).scalar()
    return int(place or 0)


def move_place(conn: Connection, name: str, old: int, new: int) -> bool:
    """Moves a reader on, unless it is no longer at `old`: then another one was faster."""
    table = reading_schema.follower
    first = upsert(conn.dialect.name, table).values(name=name, place=0)
    conn.execute(first.on_conflict_do_nothing(index_elements=["name"]))
    moved = conn.execute(
        table.update().where(table.c.name == name, table.c.place == old).values(place=new)
    )
    return moved.rowcount == 1


def _save_marks(conn: Connection, found: Gathered) -> None:
    table = reading_schema.entry_mark
    insert = upsert(conn.dialect.name, table)
    scalar = (func.min, func.max) if conn.dialect.name == "sqlite" else (func.least, func.greatest)
    least, most = scalar
    statement = insert.on_conflict_do_update(
        index_elements=["hour_us"],
        set_={
            "first_no": least(table.c.first_no, insert.excluded.first_no),
            "last_no": most(table.c.last_no, insert.excluded.last_no),
        },
    )
    rows = [
        {"hour_us": hour, "first_no": first, "last_no": last}
        for hour, (first, last) in sorted(found.marks.items())
    ]
    conn.execute(statement, rows)


def _save_sides(conn: Connection, found: Gathered) -> None:
    rows = [
        {**key._asdict(), **{name: getattr(sums, name) for name in schema.SUM_COLUMNS}}
        for key, sums in sorted(found.sides.items(), key=lambda item: item[0])
    ]
    _add(conn, reading_schema.rollup_side, schema.SUM_COLUMNS, rows)


def _save_latencies(conn: Connection, found: Gathered) -> None:
    rows = [
        {**key._asdict(), "request_count": count}
        for key, count in sorted(found.latencies.items(), key=lambda item: item[0])
    ]
    _add(conn, reading_schema.rollup_latency, ("request_count",), rows)


def _add(conn: Connection, table: Any, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    insert = upsert(conn.dialect.name, table)
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: table.c[name] + insert.excluded[name] for name in columns},
    )
    conn.execute(statement, rows)


async def follow_for_ever(follower: Follower, *, seconds: float) -> None:
    """Follows; when nothing is left it looks again after `seconds`."""
    while True:
        try:
            await follower.catch_up(CATCH_UP_SECONDS_MAX)
        except BooksUnavailable:
            _log.warning("the database does not answer; following goes on when it does")
        except Exception as error:
            _log.error("following failed", extra={"error_type": type(error).__name__})
        await asyncio.sleep(seconds)
