"""What tests in more than one folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, why_not


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests that do it no harm; each takes a database of its own."""
    if why_not():
        pytest.skip(why_not())
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def books_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where new, empty books are, on each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'books.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()
