"""Tables that are made from the entries after they are booked: they can be thrown away and made
again. And the alerts, which cannot."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.ledger.sql.schema import SUM_COLUMNS, RowNumber, metadata


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


# How far each reader of the entries has come.
follower = Table(
    "follower",
    metadata,
    Column("name", Text, primary_key=True),
    *_numbers("place"),
)

# Which rows an hour's bookings lie between, so that a period is found without an index of times.
entry_mark = Table(
    "entry_mark",
    metadata,
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    *_numbers("first_no", "last_no"),
)

# Sums like rollup_hour's, by what that has no column for: "key_id", "tag:<name>".
rollup_side = Table(
    "rollup_side",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("axis", Text, primary_key=True),
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True),
    *_numbers(*SUM_COLUMNS),
    sqlite_with_rowid=False,
)

# How many requests took how long: insight/histogram.py says what a bucket is.
rollup_latency = Table(
    "rollup_latency",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    Column("feature", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    *_numbers("request_count"),
    sqlite_with_rowid=False,
)

# An event is told once: its key is what makes it the same event.
alert = Table(
    "alert",
    metadata,
    Column("alert_no", RowNumber, primary_key=True),
    *_words("tenant", "event_key"),
    Column("kind", SmallInteger, nullable=False),
    *_words("title", "reason"),
    *_numbers("observed", "threshold"),
    Column("subject", JSON, nullable=False),
    *_numbers("event_us", "create_us"),
    UniqueConstraint("tenant", "event_key"),
)
Index("ix_alert_tenant_alert_no", alert.c.tenant, alert.c.alert_no)

# An alert on its way to one webhook. Written with the alert, in one transaction.
alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("alert_no", BigInteger, primary_key=True, autoincrement=False),
    Column("webhook", Text, primary_key=True),
    Column("state", SmallInteger, nullable=False),
    *_numbers("try_count", "next_us"),
    *_words("last_problem"),
)
_pending = text("state = 1")
Index(
    "ix_alert_delivery_pending",
    alert_delivery.c.next_us,
    sqlite_where=_pending,
    postgresql_where=_pending,
)

# What a database has: the books' own tables, and these.
ALL_TABLES = metadata
