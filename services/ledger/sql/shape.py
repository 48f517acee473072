"""The tables as each database has them.

The statements are written against schema.py. What PostgreSQL has otherwise is told here: its
entries are partitioned by month, and a key that holds over all partitions is a table of its own.
"""

from functools import cache

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from services.ledger.sql import schema
from services.ledger.sql.reading_schema import ALL_TABLES

POSTGRESQL = "postgresql"

_guards = MetaData(naming_convention=ALL_TABLES.naming_convention)

# One row an entry id, one row a request that is counted: two ledgers that book the same thing in
# the same moment meet here, and the second tries again. `book_us` finds the entry's partition.
entry_key = Table(
    "entry_key",
    _guards,
    Column("entry_id", Text, primary_key=True),
    Column("book_us", BigInteger, nullable=False),
)
request_key = Table(
    "request_key",
    _guards,
    Column("tenant", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("book_us", BigInteger, nullable=False),
)


@cache
def shape(dialect: str) -> MetaData:
    """The tables of a database of this dialect."""
    if dialect != POSTGRESQL:
        return ALL_TABLES
    made = MetaData(naming_convention=ALL_TABLES.naming_convention)
    for table in ALL_TABLES.sorted_tables:
        table.to_metadata(made)
    for guard in (entry_key, request_key):
        guard.to_metadata(made)
    _partition(made.tables[schema.entry.name])
    return made


def _partition(entry: Table) -> None:
    """By the month that a row was booked in. Every key of a partitioned table has that column."""
    columns = entry.columns
    columns.entry_no.primary_key = False
    columns.entry_no.autoincrement = True
    entry.append_constraint(PrimaryKeyConstraint("entry_no", "book_us", name=f"pk_{entry.name}"))
    for unique in [c for c in entry.constraints if isinstance(c, UniqueConstraint)]:
        entry.constraints.remove(unique)
    columns.entry_id.unique = None
    entry.append_constraint(UniqueConstraint("entry_id", "book_us"))
    entry.dialect_options[POSTGRESQL]["partition_by"] = "RANGE (book_us)"
