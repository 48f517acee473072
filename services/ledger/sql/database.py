"""The port between the books' statements and the database they run on."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class BooksNotOpened(Exception):
    """The books cannot be used as they are set up. `problems` are for the operator; they never
    repeat the URL, which may hold a secret."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problems = [f"SPENDGATE_DATABASE_URL: {problem}"]


class RevisionConflict(Exception):
    """A balance changed between being read and being written. Trying again can help."""


class Database(Protocol):
    """Runs units of work, each in a transaction of its own."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, committed on stable storage.

        Must commit all of it or nothing, must go on to its end when the caller is cancelled, and
        no other write may come between its reads and its writes. Raises: BooksUnavailable when
        the database is away or locked; what `work` raises, rolled back.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, all of whose statements see the same moment.

        Raises: BooksUnavailable; what `work` raises.
        """
        ...

    async def close(self) -> None:
        """Ends what is under way, then lets go of the database."""
        ...
