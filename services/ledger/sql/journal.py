"""One transaction for many commands: read, decide in memory, write."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.apply import Outcome, apply_all
from services.ledger.rules.commands import Command
from services.ledger.rules.pricing import Prices
from services.ledger.sql.database import Database, RevisionConflict
from services.ledger.sql.guards import is_taken
from services.ledger.sql.load import LAPSED_MAX, load_books, load_lapsed, load_named, touched_by
from services.ledger.sql.save import save


class Journal:
    """The books' only way to change. `clock` gives microseconds since 1970."""

    def __init__(self, database: Database, prices: Prices, clock: Callable[[], int]) -> None:
        self._database = database
        self._prices = prices
        self._clock = clock

    async def transact(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Does `commands` in order, in one transaction; the outcomes once it is on disk.

        Holds whose time is up are let go first, so no command meets their money. Without
        commands that is all.
        Raises: BooksUnavailable, RevisionConflict; anything else is the fault of a command, and
        nothing of the batch was done.
        """
        while True:
            try:
                outcomes = await self._database.write(lambda conn: self._once(conn, commands))
            except IntegrityError as error:
                if is_taken(error):
                    raise RevisionConflict from None
                raise
            if outcomes is not None:
                return outcomes

    def _once(
        self, connection: Connection, commands: Sequence[Command]
    ) -> Sequence[Outcome] | None:
        """None: only lapsed holds were let go, for there are more of them."""
        now_us = self._clock()
        named = load_named(connection, touched_by(commands, now_us))
        lapsed = load_lapsed(connection, now_us, named)
        more = len(lapsed) > LAPSED_MAX
        todo = () if more else commands
        touched = touched_by(todo, now_us)
        books = load_books(connection, touched, [*named, *lapsed], self._prices, now_us)
        outcomes = apply_all(books, todo)
        save(connection, books.changes)
        return None if more else outcomes
