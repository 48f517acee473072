"""Where the books are that a chore is about, and how it reaches them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.problems import Problem

if TYPE_CHECKING:
    from services.ledger.sql.database import Database

# A chore may wait longer than a booking for who has the books locked.
WAIT_SECONDS = 30.0

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="SPENDGATE_DATABASE_URL",
        help="Where the books are, as the ledger is told. Default: those of the fleet in --dir.",
        show_envvar=True,
    ),
]


@asynccontextmanager
async def books_at(url: str | None, directory: Path) -> "AsyncIterator[Database]":
    """The database, closed at the end. Raises Problem when it cannot be used."""
    from cli.embedded.folder import Folder
    from services.ledger.rules.refusals import BooksUnavailable
    from services.ledger.sql.database import BooksNotOpened
    from services.ledger.wiring import open_database

    try:
        database = open_database(url or Folder(directory).database_url, wait_seconds=WAIT_SECONDS)
        try:
            yield database
        finally:
            await database.close()
    except BooksNotOpened as error:
        raise Problem(error.problems[0], reason="BOOKS_NOT_OPENED") from None
    except BooksUnavailable as error:
        raise Problem(
            f"the database does not answer: {error}",
            "start it, or wait until nobody has the books locked",
            reason="BOOKS_UNAVAILABLE",
        ) from None
