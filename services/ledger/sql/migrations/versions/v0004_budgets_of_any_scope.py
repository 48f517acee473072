"""Budgets of any scope, unit and mode; corrections; keys with limits.

What was there becomes a hard budget in nano-USD with one limit for all. CHECKs and primary keys
are written out: the comparison that makes revisions does not see them.
"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

_READ = (
    "input_tokens + cached_input_tokens + cache_write_tokens + cache_write_1h_tokens"
    " + audio_input_tokens"
)
_WRITTEN = "output_tokens + reasoning_tokens + audio_output_tokens"
_ENTRY_CHECKS = {
    "ck_entry_read_adds_up": f"told_input_tokens = 0 OR {_READ} = told_input_tokens",
    "ck_entry_written_adds_up": f"told_output_tokens = 0 OR {_WRITTEN} = told_output_tokens",
}
_SAVINGS = (
    "cost_nanos + saved_cache_nanos + saved_routing_nanos + saved_compression_nanos"
    " = counterfactual_nanos"
)


def upgrade() -> None:
    """Forward."""
    _budget_event()
    _api_key()
    _balance()
    _budget()
    _scope_keys()
    _budget_line()
    _entry()
    _hold()


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _words(table: str, *names: str) -> None:
    for name in names:
        op.add_column(table, sa.Column(name, sa.Text(), server_default="", nullable=False))


def _numbers(table: str, *names: str) -> None:
    for name in names:
        zero = sa.text("0")
        op.add_column(table, sa.Column(name, sa.BigInteger(), server_default=zero, nullable=False))


def _lists(table: str, *names: str) -> None:
    for name in names:
        empty = sa.text("'[]'")
        op.add_column(table, sa.Column(name, sa.JSON(), server_default=empty, nullable=False))


def _ones(table: str, *names: str) -> None:
    for name in names:
        one = sa.text("1")
        op.add_column(table, sa.Column(name, sa.SmallInteger(), server_default=one, nullable=False))


def _rename(table: str, old: str, new: str) -> None:
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def _budget_event() -> None:
    op.create_table(
        "budget_event",
        sa.Column("event_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("budget_number", sa.BigInteger(), nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("limit_amount", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("event_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_no", name=op.f("pk_budget_event")),
    )
    op.create_index(
        "ix_budget_event_budget_number_window_start_us",
        "budget_event",
        ["budget_number", "window_start_us"],
    )


def _api_key() -> None:
    _lists("api_key", "allowed_models", "tags")
    _numbers("api_key", "requests_per_minute", "tokens_per_minute", "parallel_calls_max")
    op.add_column("api_key", sa.Column("previous_until_us", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("api_key") as table:
        table.add_column(sa.Column("previous_hash", sa.Text(), nullable=True))
        table.create_unique_constraint(op.f("uq_api_key_previous_hash"), ["previous_hash"])


def _balance() -> None:
    _rename("balance", "settled_nanos", "settled_amount")
    _rename("balance", "reserved_nanos", "reserved_amount")
    _words("balance", "subject")
    checks = [
        sa.CheckConstraint(f"{name}_amount >= 0", name=op.f(f"ck_balance_{name}_not_negative"))
        for name in ("settled", "reserved")
    ]
    numbers = ["window_start_us", "settled_amount", "reserved_amount", "revision"]
    columns = [_column(name, sa.BigInteger()) for name in ("budget_number", *numbers)]
    _rekey(
        "balance",
        ["budget_number", "window_start_us", "subject"],
        [*columns, _column("subject", sa.Text(), ""), *checks],
    )


def _budget_line() -> None:
    _rename("budget_line", "held_nanos", "held_amount")
    _words("budget_line", "subject", "model", "provider")
    _ones("budget_line", "unit")
    numbers = ("budget_number", "window_start_us", "held_amount")
    _rekey(
        "budget_line",
        ["owner_id", "budget_number", "subject"],
        [
            _column("owner_id", sa.Text()),
            *(_column(name, sa.BigInteger()) for name in numbers),
            _column("unit", sa.SmallInteger(), "1"),
            *(_column(name, sa.Text(), "") for name in ("subject", "model", "provider")),
        ],
    )


def _column(name: str, kind: sa.types.TypeEngine[Any], default: str | None = None) -> Any:
    return sa.Column(name, kind, nullable=False, server_default=default, autoincrement=False)


def _rekey(name: str, key: list[str], parts: list[Any]) -> None:
    """Another primary key. SQLite can only make the table anew, of `parts`."""
    if not _on_sqlite():
        op.drop_constraint(f"pk_{name}", name, type_="primary")
        op.create_primary_key(op.f(f"pk_{name}"), name, key)
        return
    op.rename_table(name, f"{name}_before")
    primary = sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}"))
    made = op.create_table(name, *parts, primary, sqlite_with_rowid=False)
    columns = ", ".join(column.name for column in made.columns)
    op.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_before")  # noqa: S608  # our own
    op.drop_table(f"{name}_before")


def _budget() -> None:
    _rename("budget", "limit_nanos", "limit_amount")
    _words("budget", "model", "provider", "time_zone")
    _lists("budget", "tags", "each")
    _numbers("budget", "rolling_us")
    # Nano-USD; hard.
    _ones("budget", "unit", "mode")


def _scope_keys() -> None:
    """A budget stands under its most telling field from now on."""
    connection = op.get_bind()
    budgets = connection.execute(
        sa.text("SELECT number, tenant, user_id, key_id, feature, project FROM budget")
    ).all()
    for number, tenant, *values in budgets:
        named = zip(("user", "key_id", "feature", "project"), values, strict=True)
        field, value = next(((f, v) for f, v in named if v), ("", ""))
        wanted = json.dumps([tenant, field, value], ensure_ascii=True)
        key = hashlib.blake2b(wanted.encode(), digest_size=16).hexdigest()
        connection.execute(
            sa.text("UPDATE budget SET scope_key = :key WHERE number = :number"),
            {"key": key, "number": number},
        )


def _entry() -> None:
    _words("entry", "corrects_id")
    _numbers("entry", "price_us", "told_input_tokens", "told_output_tokens")
    # Prices are those of the reservation's moment; of the booking's where there was none.
    op.execute(
        "UPDATE entry SET price_us = coalesce("
        "(SELECT create_us FROM hold WHERE hold.hold_id = entry.owner_id), book_us)"
    )
    if _on_sqlite():
        rules = {"ck_entry_savings_add_up": _SAVINGS, **_ENTRY_CHECKS}
        checks = [sa.CheckConstraint(rule, name=op.f(name)) for name, rule in rules.items()]
        with op.batch_alter_table("entry", recreate="always", table_args=tuple(checks)):
            pass
    else:
        for name, rule in _ENTRY_CHECKS.items():
            op.create_check_constraint(op.f(name), "entry", rule)
    correcting = sa.text("corrects_id <> ''")
    op.create_index(
        "ix_entry_corrects_id",
        "entry",
        ["corrects_id"],
        sqlite_where=correcting,
        postgresql_where=correcting,
    )


def _hold() -> None:
    array = "json_array" if _on_sqlite() else "json_build_array"
    _lists("hold", "notices")
    for verb in ("reserve", "resolve"):
        op.add_column("hold", sa.Column(f"{verb}_left", sa.JSON(), nullable=True))
        old = [f"{verb}_{part}" for part in ("budget_id", "left_nanos", "limit_nanos")]
        op.execute(
            f"UPDATE hold SET {verb}_left = {array}({', '.join(old)}, 1)"  # noqa: S608  # our own
            f" WHERE {old[0]} IS NOT NULL"
        )
        for name in old:
            op.drop_column("hold", name)
