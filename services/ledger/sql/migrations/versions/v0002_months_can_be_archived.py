"""Months can be archived."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Forward."""
    _archived_charge()
    _archived_month()


def _archived_charge() -> None:
    op.create_table(
        "archived_charge",
        sa.Column("balance_key", sa.Text(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("balance_key", name=op.f("pk_archived_charge")),
    )


def _archived_month() -> None:
    op.create_table(
        "archived_month",
        sa.Column("month_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("request_count", sa.BigInteger(), nullable=False),
        sa.Column("cost_digits", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month_us", name=op.f("pk_archived_month")),
    )
