"""`make ledger-revision MESSAGE="..."` writes the next revision of the ledger's tables.

It holds what is between the newest revision and schema.py on SQLite and on PostgreSQL, both made
for the purpose. Read it before you commit it: a renamed column looks like one dropped and one
added, a changed CHECK is not seen, and what moves data is yours to write.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import ops
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DefaultClause,
    MetaData,
    Text,
    create_engine,
    text,
)
from sqlalchemy.sql.naming import conv

from services.ledger.sql.migrations.steps import VERSIONS, configured, known, newest, upgrade
from services.ledger.sql.shape import POSTGRESQL, shape
from tests.postgres import PostgresServer

_HEAD = '''"""{message}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision: str | None = {down}

'''


def bodies(connection: Connection, to: MetaData) -> dict[str, str]:
    """Table -> the code that changes it from what it is to what it is in `to`."""
    found = produce_migrations(configured(connection), to).upgrade_ops
    if found is None:
        return {}
    by_table: dict[str, list[Any]] = {}
    for each in found.ops:
        by_table.setdefault(str(each.table_name), []).append(_filled(each))  # type: ignore[attr-defined]  # all are of a table
    return {
        table: "\n".join(
            line
            for line in render_python_code(
                ops.UpgradeOps(ops=each), render_as_batch=True
            ).splitlines()
            if not line.strip().startswith("# ###")
        )
        for table, each in by_table.items()
    }


def write(message: str, sqlite: dict[str, str], postgresql: dict[str, str]) -> Path | None:
    """The new revision's file; None when nothing changed."""
    if not sqlite and not postgresql:
        return None
    down = newest() if known() else None
    revision = f"{int(down or 0) + 1:04}"
    text_of_it = _HEAD.format(
        message=message[:1].upper() + message[1:].rstrip("."),
        revision=revision,
        down=repr(down),
    )
    calls: list[tuple[str, str]] = []
    for table in [*sqlite, *(name for name in postgresql if name not in sqlite)]:
        here, there = sqlite.get(table), postgresql.get(table)
        if here == there:
            calls.append(("", _function(table, here or "")))
            continue
        for dialect, body in (("sqlite", here), (POSTGRESQL, there)):
            if body is not None:
                calls.append((dialect, _function(f"{table}_on_{dialect}", body)))
    text_of_it += _upgrade(calls) + "".join(code for _, code in calls)
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    path = VERSIONS / f"v{revision}_{slug}.py"
    path.write_text(text_of_it)
    return path


def _upgrade(calls: Sequence[tuple[str, str]]) -> str:
    lines = ["def upgrade() -> None:", '    """Forward."""']
    if any(dialect for dialect, _ in calls):
        lines.append("    dialect = op.get_bind().dialect.name")
    for dialect, code in calls:
        name = code.split("(", 1)[0].removeprefix("\n\ndef ")
        only = f'    if dialect == "{dialect}":\n    ' if dialect else ""
        lines.append(f"{only}    {name}()")
    return "\n" + "\n".join(lines) + "\n"


def _function(name: str, body: str) -> str:
    return f"\n\ndef _{name}() -> None:\n    {body.strip()}\n"


def _filled(each: Any) -> Any:
    """With what the renderer leaves out: checks of a column, and values for rows that exist.

    A new column that may not be empty gets "nothing was said": "", 0, false or {}.
    """
    if isinstance(each, ops.CreateTableOp):
        columns = [part for part in each.columns if isinstance(part, Column)]
        for check in [check for column in columns for check in column.constraints]:
            if isinstance(check, CheckConstraint):
                rule = text(str(check.sqltext))
                each.columns.append(CheckConstraint(rule, name=conv(str(check.name))))
    for part in getattr(each, "ops", [each]):
        if isinstance(part, ops.AddColumnOp):
            column = part.column
            if not column.nullable and column.server_default is None:
                column.server_default = _nothing(column.type)
    return each


def _nothing(kind: Any) -> Any:
    if isinstance(kind, JSON):
        return DefaultClause(text("'{}'"))
    if isinstance(kind, Text):
        return DefaultClause("")
    return DefaultClause(text("false" if isinstance(kind, Boolean) else "0"))


def main(arguments: Sequence[str]) -> None:
    """Compares both databases, which it makes for the purpose, with schema.py."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    with PostgresServer() as server:
        urls = {
            "sqlite": "sqlite://",
            POSTGRESQL: server.new_database().replace("://", "+psycopg://"),
        }
        found = {}
        for dialect, url in urls.items():
            engine = create_engine(url)
            with engine.begin() as connection:
                if known():
                    upgrade(connection)
                found[dialect] = bodies(connection, shape(dialect))
            engine.dispose()
    path = write(arguments[0], found["sqlite"], found[POSTGRESQL])
    print(f"wrote {path}" if path else "nothing changed")  # noqa: T201  # for people


if __name__ == "__main__":
    main(sys.argv[1:])
