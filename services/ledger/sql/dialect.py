"""What SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what to do about a row that exists."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
