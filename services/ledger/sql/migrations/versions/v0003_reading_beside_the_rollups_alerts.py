"""Reading beside the rollups, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Forward."""
    _entry()


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
