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
    """Another ledger changed a balance, or made a row of the same key, between our reading and
    our writing. Trying again can help."""


class Database(Protocol):
    """Runs units of work, each in a transaction of its own."""

    async def prepare(self, make_ready: Callable[[Connection], None]) -> None:
        """Makes the place of the books where it can, then runs `make_ready` as a write.

        Raises: BooksNotOpened, when the place cannot be made or reached or by `make_ready`.
        """
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, committed on stable storage.

        Must commit all of it or nothing, must go on to its end when the caller is cancelled, and
        no other write may come between reading a row FOR UPDATE and the end. May run `work` again
        from its beginning when nothing of it was done. Raises: BooksUnavailable when the database
        is away or locked, or went away during the commit, so that only asking again can tell;
        what `work` raises, rolled back.
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
