"""What SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from typing import Any

from sqlalchemy import ARRAY, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what to do about a row that exists."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """True where `column` is one of the list bound to `name`.

    On PostgreSQL that is one parameter however long the list, so that the statement stays the
    same and is planned once. SQLite has no lists to bind: there it is spelled out.
    """
    return _AnyOf(column, bindparam(name, type_=ARRAY(column.type)))


class _AnyOf(FunctionElement[Any]):
    name = "any_of"
    # Not Boolean: for SQLite that would become "... = 1", which no index can answer.
    type = NullType()
    inherit_cache = True


@compiles(_AnyOf)
def _spelled_out(element: _AnyOf, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return compiler.process(column.in_(bindparam(values.key, expanding=True)), **kw)


@compiles(_AnyOf, "postgresql")
def _on_postgresql(element: _AnyOf, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} = ANY ({values})"
