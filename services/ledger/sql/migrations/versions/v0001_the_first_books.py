"""The first books."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Forward."""
    dialect = op.get_bind().dialect.name
    _api_key()
    _balance()
    _budget()
    _budget_line()
    if dialect == "sqlite":
        _entry_on_sqlite()
    if dialect == "postgresql":
        _entry_on_postgresql()
    _hold()
    _rollup_hour()
    if dialect == "postgresql":
        _entry_key_on_postgresql()
    if dialect == "postgresql":
        _request_key_on_postgresql()


def _api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.Column("expire_us", sa.BigInteger(), nullable=True),
        sa.Column("disable_us", sa.BigInteger(), nullable=True),
        sa.Column("create_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key_id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_key_secret_hash")),
    )


def _balance() -> None:
    op.create_table(
        "balance",
        sa.Column("budget_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("settled_nanos", sa.BigInteger(), nullable=False),
        sa.Column("reserved_nanos", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reserved_nanos >= 0", name=op.f("ck_balance_reserved_not_negative")),
        sa.CheckConstraint("settled_nanos >= 0", name=op.f("ck_balance_settled_not_negative")),
        sa.PrimaryKeyConstraint("budget_number", "window_start_us", name=op.f("pk_balance")),
        sqlite_with_rowid=False,
    )


def _budget() -> None:
    op.create_table(
        "budget",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("scope_key", sa.Text(), nullable=False),
        sa.Column("window_kind", sa.SmallInteger(), nullable=False),
        sa.Column("limit_nanos", sa.BigInteger(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.Column("delete_us", sa.BigInteger(), nullable=True),
        sa.Column("create_hash", sa.Text(), nullable=False),
        sa.CheckConstraint("limit_nanos >= 0", name=op.f("ck_budget_limit_not_negative")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_budget")),
    )
    with op.batch_alter_table("budget", schema=None) as batch_op:
        batch_op.create_index(
            "ix_budget_living_scope",
            ["scope_key"],
            unique=False,
            sqlite_where=sa.text("delete_us IS NULL"),
            postgresql_where=sa.text("delete_us IS NULL"),
        )
        batch_op.create_index(
            "uq_budget_living_id",
            ["tenant", "budget_id"],
            unique=True,
            sqlite_where=sa.text("delete_us IS NULL"),
            postgresql_where=sa.text("delete_us IS NULL"),
        )


def _budget_line() -> None:
    op.create_table(
        "budget_line",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("budget_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), nullable=False),
        sa.Column("held_nanos", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "budget_number", name=op.f("pk_budget_line")),
        sqlite_with_rowid=False,
    )


def _entry_on_sqlite() -> None:
    op.create_table(
        "entry",
        sa.Column("entry_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("model_asked", sa.Text(), nullable=False),
        sa.Column("model_used", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("audio_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("audio_output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("usage_source", sa.SmallInteger(), nullable=False),
        sa.Column("counterfactuals", sa.JSON(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.Column("counterfactual_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_cache_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_routing_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_compression_nanos", sa.BigInteger(), nullable=False),
        sa.Column("overage_nanos", sa.BigInteger(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_token_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_reason", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("book_us", sa.BigInteger(), nullable=False),
        sa.Column("counts_request", sa.Boolean(), nullable=False),
        sa.Column("record_hash", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos = counterfactual_nanos",
            name=op.f("ck_entry_savings_add_up"),
        ),
        sa.PrimaryKeyConstraint("entry_no", name=op.f("pk_entry")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_entry_entry_id")),
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("ix_entry_tenant_entry_no", ["tenant", "entry_no"], unique=False)
        batch_op.create_index("ix_entry_tenant_request_id", ["tenant", "request_id"], unique=False)


def _entry_on_postgresql() -> None:
    op.create_table(
        "entry",
        sa.Column(
            "entry_no",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("model_asked", sa.Text(), nullable=False),
        sa.Column("model_used", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("audio_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("audio_output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("usage_source", sa.SmallInteger(), nullable=False),
        sa.Column("counterfactuals", sa.JSON(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.Column("counterfactual_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_cache_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_routing_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_compression_nanos", sa.BigInteger(), nullable=False),
        sa.Column("overage_nanos", sa.BigInteger(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_token_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_reason", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("book_us", sa.BigInteger(), nullable=False),
        sa.Column("counts_request", sa.Boolean(), nullable=False),
        sa.Column("record_hash", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos = counterfactual_nanos",
            name=op.f("ck_entry_savings_add_up"),
        ),
        sa.PrimaryKeyConstraint("entry_no", "book_us", name=op.f("pk_entry")),
        sa.UniqueConstraint("entry_id", "book_us", name=op.f("uq_entry_entry_id_book_us")),
        postgresql_partition_by="RANGE (book_us)",
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("ix_entry_tenant_entry_no", ["tenant", "entry_no"], unique=False)
        batch_op.create_index("ix_entry_tenant_request_id", ["tenant", "request_id"], unique=False)


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("hold_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("held_nanos", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.Column("expire_us", sa.BigInteger(), nullable=False),
        sa.Column("reserve_hash", sa.Text(), nullable=False),
        sa.Column("reserve_budget_id", sa.Text(), nullable=True),
        sa.Column("reserve_left_nanos", sa.BigInteger(), nullable=True),
        sa.Column("reserve_limit_nanos", sa.BigInteger(), nullable=True),
        sa.Column("resolve_hash", sa.Text(), nullable=False),
        sa.Column("resolve_budget_id", sa.Text(), nullable=True),
        sa.Column("resolve_left_nanos", sa.BigInteger(), nullable=True),
        sa.Column("resolve_limit_nanos", sa.BigInteger(), nullable=True),
        sa.Column("resolve_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_hold")),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index(
            "ix_hold_pending_expiry",
            ["expire_us"],
            unique=False,
            sqlite_where=sa.text("state = 1"),
            postgresql_where=sa.text("state = 1"),
        )


def _rollup_hour() -> None:
    names = (
        "request_count",
        "hit_count",
        "error_count",
        "attempt_count",
        "input_tokens",
        "output_tokens",
        "cost_nanos",
        "counterfactual_nanos",
        "saved_cache_nanos",
        "saved_routing_nanos",
        "saved_compression_nanos",
        "latency_ms",
    )
    sums = [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]
    checks = [
        sa.CheckConstraint(
            f"{name} BETWEEN -9223372036854775807 AND 9223372036854775807",
            name=op.f(f"ck_rollup_hour_{name}_range"),
        )
        for name in names
    ]
    op.create_table(
        "rollup_hour",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("hour_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        *sums,
        *checks,
        sa.PrimaryKeyConstraint(
            "tenant",
            "hour_us",
            "project",
            "user_id",
            "feature",
            "model",
            "provider",
            "kind",
            name=op.f("pk_rollup_hour"),
        ),
        sqlite_with_rowid=False,
    )


def _entry_key_on_postgresql() -> None:
    op.create_table(
        "entry_key",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("book_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_entry_key")),
    )


def _request_key_on_postgresql() -> None:
    op.create_table(
        "request_key",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("book_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "request_id", name=op.f("pk_request_key")),
    )
