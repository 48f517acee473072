"""Keys that hold over all partitions: on PostgreSQL, where a partitioned table has none itself.

On SQLite the entries' own unique key does the first part, and one writer at a time the second.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.values import Entry
from services.ledger.sql.dialect import any_of
from services.ledger.sql.shape import POSTGRESQL, entry_key, request_key

_UNIQUE_VIOLATION = "23505"

_known = select(entry_key.c.entry_id).where(any_of(entry_key.c.entry_id, "ids"))
_counted = (
    select(request_key.c.tenant, request_key.c.request_id)
    .where(
        any_of(request_key.c.tenant, "tenants"),
        any_of(request_key.c.request_id, "requests"),
    )
    .order_by(request_key.c.tenant, request_key.c.request_id)
)


def guarded(connection: Connection) -> bool:
    """True where these keys are tables of their own."""
    return connection.dialect.name == POSTGRESQL


def known_entries(connection: Connection, entry_ids: set[str]) -> set[str]:
    """Those of `entry_ids` that are booked: seldom any, so no partition needs to be asked."""
    return set(connection.execute(_known, {"ids": sorted(entry_ids)}).scalars())


def counted(connection: Connection, requests: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of more than `requests`, those that are counted."""
    rows = connection.execute(
        _counted,
        {
            "tenants": sorted({tenant for tenant, _ in requests}),
            "requests": sorted({request_id for _, request_id in requests}),
        },
    )
    return [(tenant, request_id) for tenant, request_id in rows]


def keep(connection: Connection, entries: Iterable[Entry]) -> None:
    """Takes the keys of new rows. Raises: IntegrityError when another ledger was first."""
    rows = sorted(entries, key=lambda entry: entry.attempt.entry_id)
    if not rows:
        return
    connection.execute(
        entry_key.insert(),
        [{"entry_id": row.attempt.entry_id, "book_us": row.book_us} for row in rows],
    )
    found = {(row.attribution.tenant, row.request_id): row for row in rows if row.counts_request}
    if found:
        connection.execute(
            request_key.insert(),
            [
                {"tenant": tenant, "request_id": request_id, "book_us": row.book_us}
                for (tenant, request_id), row in sorted(found.items(), key=lambda pair: pair[0])
            ],
        )


def is_taken(error: IntegrityError) -> bool:
    """True when a row of that key appeared meanwhile: only another ledger can have done that."""
    return getattr(error.orig, "sqlstate", "") == _UNIQUE_VIOLATION
