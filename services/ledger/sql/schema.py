"""The tables of the books.

Money is whole nano-USD, times are microseconds since 1970 UTC, "" is "nothing was said". Only
types that SQLite and PostgreSQL share; no foreign keys, so that tables can be partitioned and
spread by tenant: verify.py proves what they would.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from services.ledger.rules.values import NANOS_MAX, HoldState

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
RowNumber = BigInteger().with_variant(Integer, "sqlite")

TOKEN_COLUMNS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
# What adds up to the tokens that a provider told it read, and wrote.
READ_COLUMNS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
WRITTEN_COLUMNS = (
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "image_output_tokens",
)
# NULL where nothing is known of the prompt.
FACT_HASH_COLUMNS = ("prompt_hash", "system_hash", "near_hash")
FACT_NUMBER_COLUMNS = (
    "system_tokens",
    "tools_tokens",
    "history_tokens",
    "new_tokens",
    "output_tokens_max",
)
SAVED_COLUMNS = ("saved_cache_nanos", "saved_routing_nanos", "saved_compression_nanos")
SUM_COLUMNS = (
    "request_count",
    "hit_count",
    "error_count",
    "attempt_count",
    "input_tokens",
    "output_tokens",
    "cost_nanos",
    "counterfactual_nanos",
    *SAVED_COLUMNS,
    "latency_ms",
)
ROLLUP_KEY_COLUMNS = (
    "hour_us",
    "tenant",
    "project",
    "user_id",
    "feature",
    "model",
    "provider",
    "kind",
)


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _attribution() -> list[Column[str]]:
    return _words("tenant", "project", "user_id", "key_id", "feature", "session")


budget = Table(
    "budget",
    metadata,
    Column("number", RowNumber, primary_key=True),
    *_words("tenant", "budget_id", "project", "user_id", "key_id", "feature", "model", "provider"),
    # A list of pairs of name and value; a list of dimensions.
    Column("tags", JSON, nullable=False),
    Column("each", JSON, nullable=False),
    # rules/scopes.py: how the budgets of a call are found.
    *_words("scope_key"),
    Column("window_kind", SmallInteger, nullable=False),
    *_words("time_zone"),
    *_numbers("rolling_us"),
    Column("unit", SmallInteger, nullable=False),
    Column("mode", SmallInteger, nullable=False),
    Column(
        "limit_amount",
        BigInteger,
        CheckConstraint("limit_amount >= 0", name="limit_not_negative"),
        nullable=False,
    ),
    *_numbers("create_us"),
    Column("delete_us", BigInteger),
    *_words("create_hash"),
)
_living = text("delete_us IS NULL")
Index(
    "uq_budget_living_id",
    budget.c.tenant,
    budget.c.budget_id,
    unique=True,
    sqlite_where=_living,
    postgresql_where=_living,
)
Index("ix_budget_living_scope", budget.c.scope_key, sqlite_where=_living, postgresql_where=_living)

# A check that settled + reserved <= limit cannot be: a limit may be lowered, a late settlement
# still counts. Reserve keeps it; what goes beyond is marked on the entries.
balance = Table(
    "balance",
    metadata,
    Column("budget_number", BigInteger, primary_key=True, autoincrement=False),
    Column("window_start_us", BigInteger, primary_key=True, autoincrement=False),
    # Whose limit it is, of a budget with one for each value: the values as JSON. "": all.
    Column("subject", Text, primary_key=True),
    Column(
        "settled_amount",
        BigInteger,
        CheckConstraint("settled_amount >= 0", name="settled_not_negative"),
        nullable=False,
    ),
    Column(
        "reserved_amount",
        BigInteger,
        CheckConstraint("reserved_amount >= 0", name="reserved_not_negative"),
        nullable=False,
    ),
    *_numbers("revision"),
    # The key is the table: one tree instead of two.
    sqlite_with_rowid=False,
)

hold = Table(
    "hold",
    metadata,
    Column("hold_id", Text, primary_key=True),
    *_words("request_id"),
    *_attribution(),
    Column("tags", JSON, nullable=False),
    *_numbers("held_nanos"),
    Column("state", SmallInteger, nullable=False),
    *_numbers("create_us", "expire_us"),
    # The first answers, as rows.py writes them: what was left of the tightest budget (NULL: no
    # budget applied), and which budgets let the request go on although it broke them.
    *_words("reserve_hash"),
    Column("reserve_left", JSON(none_as_null=True)),
    Column("notices", JSON, nullable=False),
    *_words("resolve_hash"),
    Column("resolve_left", JSON(none_as_null=True)),
    *_numbers("resolve_us"),
    # Of a lease and of what was admitted under it; "" and 0 for other holds.
    *_words("lease_id"),
    *_numbers("lease_epoch"),
)
_pending = text(f"state = {int(HoldState.PENDING)}")
Index("ix_hold_pending_expiry", hold.c.expire_us, sqlite_where=_pending, postgresql_where=_pending)

# Which budgets a hold or a record counts against, and what it set aside there. Never changed but
# for what of a lease's is free again; a settlement may add some.
budget_line = Table(
    "budget_line",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("budget_number", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, primary_key=True),
    *_numbers("window_start_us", "held_amount"),
    Column("unit", SmallInteger, nullable=False),
    # Only rows of this model and provider count; "": all.
    *_words("model", "provider"),
    Column(
        "freed_amount",
        BigInteger,
        CheckConstraint("freed_amount BETWEEN 0 AND held_amount", name="freed_was_held"),
        nullable=False,
    ),
    # The key is the table: one tree instead of two.
    sqlite_with_rowid=False,
)

# Append-only: no statement of this service updates or deletes a row.
entry = Table(
    "entry",
    metadata,
    Column("entry_no", RowNumber, primary_key=True),
    Column("entry_id", Text, nullable=False, unique=True),
    Column("owner_id", Text, nullable=False, index=True),
    *_words("request_id"),
    *_attribution(),
    Column("tags", JSON, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("attempt_number", Integer, nullable=False),
    *_words("model_asked", "model_used", "provider"),
    *_numbers(*TOKEN_COLUMNS),
    Column("usage_source", SmallInteger, nullable=False),
    # [[cause, model, [tokens by bucket]], ...]
    Column("counterfactuals", JSON, nullable=False),
    *_numbers("cost_nanos", "counterfactual_nanos", *SAVED_COLUMNS, "overage_nanos"),
    *_words("price_version"),
    Column("late", Boolean, nullable=False),
    *_numbers("latency_ms", "first_token_ms"),
    *_words("error_reason", "trace_id"),
    *_numbers("book_us"),
    Column("counts_request", Boolean, nullable=False),
    *_words("record_hash"),
    # Of a correction: the entry_id of the row it corrects.
    *_words("corrects_id"),
    # The moment whose prices it was booked at.
    *_numbers("price_us"),
    # What the provider told in all, 0 where it did not; the buckets add up to it.
    *_numbers("told_input_tokens", "told_output_tokens"),
    CheckConstraint(
        f"told_input_tokens = 0 OR {' + '.join(READ_COLUMNS)} = told_input_tokens",
        name="read_adds_up",
    ),
    CheckConstraint(
        f"told_output_tokens = 0 OR {' + '.join(WRITTEN_COLUMNS)} = told_output_tokens",
        name="written_adds_up",
    ),
    *[Column(name, Text) for name in FACT_HASH_COLUMNS],
    *[Column(name, BigInteger) for name in FACT_NUMBER_COLUMNS],
    CheckConstraint(
        "cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos"
        " = counterfactual_nanos",
        name="savings_add_up",
    ),
)
Index("ix_entry_tenant_request_id", entry.c.tenant, entry.c.request_id)
Index("ix_entry_tenant_entry_no", entry.c.tenant, entry.c.entry_no)
_correcting = text("corrects_id <> ''")
Index(
    "ix_entry_corrects_id",
    entry.c.corrects_id,
    sqlite_where=_correcting,
    postgresql_where=_correcting,
)

# What happened to a budget that somebody should know of. Append-only, in order: alerts read on
# from the last number they have seen.
budget_event = Table(
    "budget_event",
    metadata,
    Column("event_no", RowNumber, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    *_words("tenant", "budget_id"),
    *_numbers("budget_number", "window_start_us"),
    *_words("subject"),
    *_numbers("amount", "limit_amount"),
    *_words("request_id"),
    *_numbers("event_us"),
)
Index(
    "ix_budget_event_budget_number_window_start_us",
    budget_event.c.budget_number,
    budget_event.c.window_start_us,
)


def _rollup(name: str, start: str) -> Table:
    return Table(
        name,
        metadata,
        # The tenant first: a report reads one tenant's time in a row.
        Column("tenant", Text, primary_key=True),
        Column(start, BigInteger, primary_key=True, autoincrement=False),
        *[
            Column(word, Text, primary_key=True)
            for word in ("project", "user_id", "feature", "model", "provider")
        ],
        Column("kind", SmallInteger, primary_key=True, autoincrement=False),
        *_numbers(*SUM_COLUMNS),
        # SQLite would go on in floating point where an int64 ends.
        *[
            CheckConstraint(
                f"{column} BETWEEN -{NANOS_MAX} AND {NANOS_MAX}", name=f"{column}_range"
            )
            for column in SUM_COLUMNS
        ],
        # The key is the table: one tree instead of two.
        sqlite_with_rowid=False,
    )


rollup_hour = _rollup("rollup_hour", "hour_us")
# The same sums by the day, UTC.
rollup_day = _rollup("rollup_day", "day_us")

api_key = Table(
    "api_key",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    *_words("project", "user_id", "feature"),
    Column("role", SmallInteger, nullable=False),
    # HMAC-SHA256 of the secret under the pepper, in hex. The secret itself is nowhere.
    Column("secret_hash", Text, nullable=False, unique=True),
    *_words("hint"),
    *_numbers("create_us"),
    Column("expire_us", BigInteger),
    Column("disable_us", BigInteger),
    Column("allowed_models", JSON, nullable=False),
    *_numbers("requests_per_minute", "tokens_per_minute", "parallel_calls_max"),
    # A list of pairs of name and value.
    Column("tags", JSON, nullable=False),
    # The secret before the last rotation, and until when it works too. NULL: there is none.
    Column("previous_hash", Text, unique=True),
    Column("previous_until_us", BigInteger),
    *_words("create_hash"),
)

# A month whose rows were moved to a file, and what they added up to: retention.py.
archived_month = Table(
    "archived_month",
    metadata,
    Column("month_us", BigInteger, primary_key=True, autoincrement=False),
    *_numbers("end_us", "entry_count", "request_count"),
    # Decimal digits of nano-USD: more than an int64 holds, maybe.
    *_words("cost_digits", "file_name", "file_sha256"),
    *_numbers("create_us"),
)

# What archived rows charged to a budget's window, so that its balance can still be replayed.
archived_charge = Table(
    "archived_charge",
    metadata,
    # The balance's key as a JSON list, as verify.py has it.
    Column("balance_key", Text, primary_key=True),
    *_numbers("settled"),
)
