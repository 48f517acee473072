"""The months of the entries on PostgreSQL: a partition each, made before it is needed.

Where SQLite has one table nothing of this is needed, and nothing is done.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from services.ledger.rules.values import BudgetWindow
from services.ledger.rules.windows import Span, to_datetime, window_at
from services.ledger.sql import schema
from services.ledger.sql.shape import POSTGRESQL

# The month that is on, and those after it. A sweep that fails for weeks still finds them made.
MONTHS_AHEAD = 2
_TABLE = schema.entry.name
# Takes what belongs to no month that was made, so that no booking ever fails for it.
DEFAULT = f"{_TABLE}_default"
# Any number, as long as it stays the same: one ledger makes partitions at a time.
_LOCK = 7_302_115


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC and its partition."""

    span: Span

    @property
    def name(self) -> str:
        """For instance entry_2026_11."""
        return f"{_TABLE}_{to_datetime(self.span.start_us):%Y_%m}"


def month_of(us: int) -> Month:
    """The month that a moment lies in."""
    return Month(window_at(BudgetWindow.MONTH, us))


def months_from(us: int, ahead: int = MONTHS_AHEAD) -> list[Month]:
    """The month of `us` and the `ahead` after it."""
    months = [month_of(us)]
    for _ in range(ahead):
        months.append(month_of(months[-1].span.end_us or 0))
    return months


def make_months(connection: Connection, now_us: int) -> list[str]:
    """Makes the partitions of now and of the months ahead; the names of those that were missing.

    Rows of such a month that the default partition took meanwhile move where they belong. All in
    the caller's transaction: when a booking comes between, it fails and can be tried again.
    """
    if connection.dialect.name != POSTGRESQL:
        return []
    there = partitions(connection)
    wanted = months_from(now_us) + (stray_months(connection) if DEFAULT in there else [])
    missing = [month for month in wanted if month.name not in there]
    if not missing and DEFAULT in there:
        return []
    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    there = partitions(connection)
    made = []
    if DEFAULT not in there:
        connection.execute(text(f"CREATE TABLE {DEFAULT} PARTITION OF {_TABLE} DEFAULT"))
        made.append(DEFAULT)
    for month in missing:
        if month.name not in [*there, *made]:
            _make(connection, month)
            made.append(month.name)
    return made


def stray_months(connection: Connection) -> list[Month]:
    """Months with rows in the default partition: normally none."""
    rows = connection.execute(text(f"SELECT DISTINCT book_us FROM {DEFAULT} LIMIT 1000"))  # noqa: S608  # our own name
    return sorted({month_of(us) for (us,) in rows}, key=lambda month: month.span.start_us)


def partitions(connection: Connection) -> set[str]:
    """The names of the partitions that are there."""
    rows = connection.execute(
        text(
            "SELECT child.relname FROM pg_inherits"
            " JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass(:parent)"
        ),
        {"parent": _TABLE},
    )
    return {name for (name,) in rows}


def _make(connection: Connection, month: Month) -> None:
    """Attaching locks less than making it in place: bookings into other months go on."""
    start, end = month.span
    within = f"book_us >= {start} AND book_us < {end}"
    for statement in (
        f"CREATE TABLE {month.name} (LIKE {_TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        # Proves to ATTACH what the rows are, so that it need not read them.
        f"ALTER TABLE {month.name} ADD CONSTRAINT of_the_month CHECK ({within})",
        f"WITH moved AS (DELETE FROM {DEFAULT} WHERE {within} RETURNING *)"  # noqa: S608  # numbers
        f" INSERT INTO {month.name} SELECT * FROM moved",
        f"ALTER TABLE {_TABLE} ATTACH PARTITION {month.name} FOR VALUES FROM ({start}) TO ({end})",
        f"ALTER TABLE {month.name} DROP CONSTRAINT of_the_month",
    ):
        connection.execute(text(statement))
