"""The tables fit both databases that the books are meant for."""

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from services.ledger.rules.rollup import RollupKey, Sums
from services.ledger.rules.values import Tokens
from services.ledger.sql import schema


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_every_table_can_be_made(dialect: Dialect) -> None:
    """With its indexes, partial ones included."""
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))
    living = CreateIndex(next(index for index in schema.budget.indexes if index.unique)).compile(
        dialect=dialect
    )
    assert "WHERE delete_us IS NULL" in str(living)


def test_no_column_has_a_name_that_needs_quotes() -> None:
    """`SELECT user FROM entry` would mean something else on PostgreSQL."""
    reserved = postgresql.dialect().identifier_preparer.reserved_words
    names = {column.name for table in schema.metadata.sorted_tables for column in table.columns}
    assert not names & (reserved | {"user", "limit", "window"})


def test_no_money_column_is_a_float() -> None:
    """Nor a numeric that SQLite would keep as one."""
    for table in schema.metadata.sorted_tables:
        for column in table.columns:
            if column.name.endswith(("_nanos", "_tokens", "_us", "_count")):
                assert column.type.python_type is int


def test_columns_are_those_of_the_rules() -> None:
    """Names and order are written once on each side."""
    assert Tokens._fields == schema.TOKEN_COLUMNS
    assert tuple(Sums.__slots__) == schema.SUM_COLUMNS
    assert len(schema.ROLLUP_KEY_COLUMNS) == len(RollupKey._fields)
