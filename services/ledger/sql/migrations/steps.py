"""Brings the tables of a database to the newest revision, in one transaction.

Alembic is loaded only when there is something to do, so that a restart is not slower for it.
"""

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text

from services.ledger.sql import schema
from services.ledger.sql.database import BooksNotOpened
from services.ledger.sql.shape import POSTGRESQL

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

VERSIONS = Path(__file__).parent / "versions"
FIRST = "0001"
# Any number, as long as it stays the same: only one ledger changes the tables at a time.
_LOCK = 7_302_114
# Partitions are made by the sweep, not by revisions: partitions.py.
_PARTITION = re.compile(rf"{schema.entry.name}_(default|\d{{4}}_\d{{2}})")

# Revisions run through a proxy that is one for the process.
_one_at_a_time = threading.Lock()


def known() -> list[str]:
    """The revisions that this ledger knows, the oldest first: v<revision>_<title>.py each."""
    return sorted(path.name[1:].split("_")[0] for path in VERSIONS.glob("v*.py"))


def newest() -> str:
    """The revision that this ledger needs."""
    return known()[-1]


def current(connection: Connection) -> str | None:
    """The revision a database is at; None for an empty one.

    Tables from before there were revisions are those of the first one.
    """
    if _has_revisions(connection):
        at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if at is None else str(at)
    return FIRST if inspect(connection).has_table(schema.entry.name) else None


def upgrade(connection: Connection) -> None:
    """Brings the tables to the newest revision. Raises: BooksNotOpened for newer ones."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    at = current(connection)
    _refuse_newer(at)
    if at != newest() or not _has_revisions(connection):
        with _one_at_a_time:
            _run(connection, at)


def require_newest(connection: Connection) -> None:
    """Raises: BooksNotOpened, saying what to run, when the tables are not the newest."""
    at = current(connection)
    _refuse_newer(at)
    if at != newest():
        raise BooksNotOpened(
            f"the tables there are {'not made yet' if at is None else f'at revision {at}'}, this"
            f" ledger needs revision {newest()}; run: spendgate ledger migrate"
        )


def configured(connection: Connection) -> "MigrationContext":
    """What compares a database with the tables of schema.py."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"include_name": _is_ours})


def _is_ours(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or not _PARTITION.fullmatch(name or "")


def _has_revisions(connection: Connection) -> bool:
    return inspect(connection).has_table("alembic_version")


def _refuse_newer(at: str | None) -> None:
    if at is not None and at not in known():
        raise BooksNotOpened(
            f"the tables there are at revision {at}, which this ledger does not know: a newer one"
            " made them, so run that"
        )


def _run(connection: Connection, at: str | None) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(VERSIONS.parent), version_locations=[str(VERSIONS)])
    if at is not None and not _has_revisions(connection):
        # From before there were revisions: what is there is the first one's work.
        MigrationContext.configure(connection).stamp(directory, at)

    def steps(revision: Any, _: Any) -> Any:
        return directory._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), directory, fn=steps) as environment:
        environment.configure(connection=connection, transaction_per_migration=False)
        environment.run_migrations()
