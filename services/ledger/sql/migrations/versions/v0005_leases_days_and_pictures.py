"""Leases; sums by the day; tokens of pictures.

What was there was under no lease and had no pictures. CHECKs are written out: the comparison that
makes revisions does not see them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"

_DAY_US = 86_400_000_000
_NANOS_MAX = 2**63 - 1
_SUMS = (
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
_WORDS = ("project", "user_id", "feature", "model", "provider")
_READ = (
    "input_tokens + cached_input_tokens + cache_write_tokens + cache_write_1h_tokens"
    " + audio_input_tokens + image_input_tokens"
)
_WRITTEN = "output_tokens + reasoning_tokens + audio_output_tokens + image_output_tokens"
_SAVINGS = (
    "cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos"
    " = counterfactual_nanos"
)
_ENTRY_CHECKS = {
    "ck_entry_read_adds_up": f"told_input_tokens = 0 OR {_READ} = told_input_tokens",
    "ck_entry_written_adds_up": f"told_output_tokens = 0 OR {_WRITTEN} = told_output_tokens",
}


def upgrade() -> None:
    """Forward."""
    op.add_column("hold", sa.Column("lease_id", sa.Text(), server_default="", nullable=False))
    _number("hold", "lease_epoch")
    _budget_line()
    _entry()
    _rollup_day()


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _number(table: str, name: str) -> None:
    zero = sa.text("0")
    op.add_column(table, sa.Column(name, sa.BigInteger(), server_default=zero, nullable=False))


def _budget_line() -> None:
    name, rule = "ck_budget_line_freed_was_held", "freed_amount BETWEEN 0 AND held_amount"
    if _on_sqlite():
        # SQLite takes the rule with the column and tries it on every row there is.
        op.execute(
            "ALTER TABLE budget_line ADD COLUMN freed_amount BIGINT DEFAULT 0 NOT NULL"
            f" CONSTRAINT {name} CHECK ({rule})"
        )
        return
    _number("budget_line", "freed_amount")
    op.create_check_constraint(op.f(name), "budget_line", rule)


def _entry() -> None:
    for name in ("image_input_tokens", "image_output_tokens"):
        _number("entry", name)
    if _on_sqlite():
        rules = {"ck_entry_savings_add_up": _SAVINGS, **_ENTRY_CHECKS}
        checks = [sa.CheckConstraint(rule, name=op.f(name)) for name, rule in rules.items()]
        with op.batch_alter_table("entry", recreate="always", table_args=tuple(checks)):
            pass
        return
    for name, rule in _ENTRY_CHECKS.items():
        op.drop_constraint(op.f(name), "entry", type_="check")
        op.create_check_constraint(op.f(name), "entry", rule)


def _rollup_day() -> None:
    op.create_table(
        "rollup_day",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("day_us", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _WORDS),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        *(
            sa.CheckConstraint(
                f"{name} BETWEEN -{_NANOS_MAX} AND {_NANOS_MAX}",
                name=op.f(f"ck_rollup_day_{name}_range"),
            )
            for name in _SUMS
        ),
        sa.PrimaryKeyConstraint("tenant", "day_us", *_WORDS, "kind", name=op.f("pk_rollup_day")),
        sqlite_with_rowid=False,
    )
    key = ", ".join((*_WORDS, "kind"))
    day = f"hour_us - hour_us % {_DAY_US}"
    sums = ", ".join(f"sum({name})" for name in _SUMS)
    op.execute(
        f"INSERT INTO rollup_day (tenant, day_us, {key}, {', '.join(_SUMS)})"  # noqa: S608  # our own
        f" SELECT tenant, {day}, {key}, {sums} FROM rollup_hour GROUP BY tenant, {day}, {key}"
    )
