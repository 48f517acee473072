"""Reading beside the rollups, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Forward."""
    _alert()
    _alert_delivery()
    _entry_mark()
    _follower()
    _rollup_latency()
    _rollup_side()
    _entry()


def _alert() -> None:
    op.create_table(
        "alert",
        sa.Column("alert_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("observed", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("event_us", sa.BigInteger(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alert_no", name=op.f("pk_alert")),
        sa.UniqueConstraint("tenant", "event_key", name=op.f("uq_alert_tenant_event_key")),
    )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index("ix_alert_tenant_alert_no", ["tenant", "alert_no"], unique=False)


def _alert_delivery() -> None:
    op.create_table(
        "alert_delivery",
        sa.Column("alert_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("try_count", sa.BigInteger(), nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False),
        sa.Column("last_problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alert_no", "webhook", name=op.f("pk_alert_delivery")),
    )
    with op.batch_alter_table("alert_delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alert_delivery_pending",
            ["next_us"],
            unique=False,
            sqlite_where=sa.text("state = 1"),
            postgresql_where=sa.text("state = 1"),
        )


def _entry_mark() -> None:
    op.create_table(
        "entry_mark",
        sa.Column("hour_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_no", sa.BigInteger(), nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour_us", name=op.f("pk_entry_mark")),
    )


def _follower() -> None:
    op.create_table(
        "follower",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_follower")),
    )


def _rollup_latency() -> None:
    op.create_table(
        "rollup_latency",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("hour_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("request_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "hour_us", "feature", "model", "bucket", name=op.f("pk_rollup_latency")
        ),
        sqlite_with_rowid=False,
    )


def _rollup_side() -> None:
    op.create_table(
        "rollup_side",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("hour_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("request_count", sa.BigInteger(), nullable=False),
        sa.Column("hit_count", sa.BigInteger(), nullable=False),
        sa.Column("error_count", sa.BigInteger(), nullable=False),
        sa.Column("attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.Column("counterfactual_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_cache_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_routing_nanos", sa.BigInteger(), nullable=False),
        sa.Column("saved_compression_nanos", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "axis", "hour_us", "value", name=op.f("pk_rollup_side")),
        sqlite_with_rowid=False,
    )


def _entry() -> None:
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("prompt_hash", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("system_hash", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("near_hash", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("system_tokens", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("tools_tokens", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("history_tokens", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("new_tokens", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("output_tokens_max", sa.BigInteger(), nullable=True))
