"""PostgreSQL as the books' database: one, with any number of ledgers on it.

Transactions run whole on threads, as on SQLite (docs/decisions/0027-postgresql-adapter.md). They
are READ COMMITTED: every row that is read to be written is locked first, in one order that all
ledgers keep, so nothing rests on the finer isolation levels, whose aborts a hot budget multiplies.
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from chassis.deadline import Deadline
from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.sql.database import BooksNotOpened

T = TypeVar("T")

WRITERS = 4
READERS = 4
_DRIVERS = frozenset({"postgresql", "postgresql+psycopg"})
# A command that breaks one of these is at fault itself; everything else is the database's.
_OF_THE_COMMAND = (exc.IntegrityError, exc.DataError, exc.ProgrammingError)
# serialization_failure, deadlock_detected, lock_not_available: PostgreSQL chose us to give way.
_GIVE_WAY = frozenset({"40001", "40P01", "55P03"})
_PAUSE_SECONDS = 0.005
_PAUSE_SECONDS_MAX = 0.2
# A ledger that hangs in the middle of a transaction must not keep its locks from the others.
_IDLE_IN_TRANSACTION_SECONDS = 5
# Set in every session. Never below "on": what is acknowledged is on stable storage.
_SESSION = """
SELECT set_config('lock_timeout', %(wait_ms)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle_ms)s, false),
       CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN set_config('synchronous_commit', 'on', false) END
"""
# A host that vanished is noticed within about 10 seconds.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class PostgresDatabase:
    """Books in one PostgreSQL database."""

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        """`wait_seconds`: how long to wait for locks and for a server that is away, and to try
        again what had to give way.

        Raises: BooksNotOpened when the URL is none of PostgreSQL. Nothing is opened yet.
        """
        parsed = make_url(url)
        if parsed.drivername not in _DRIVERS:
            raise BooksNotOpened("it must begin with postgresql://")
        self._wait_seconds = wait_seconds
        self._writer = _engine(parsed, wait_seconds, isolation="READ COMMITTED", size=WRITERS)
        self._reader = _engine(parsed, wait_seconds, isolation="REPEATABLE READ", size=READERS)
        self._writer_threads = ThreadPoolExecutor(WRITERS, "ledger-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, "ledger-reader")

    async def prepare(self, make_ready: Callable[[Connection], None]) -> None:
        """See Database.prepare."""
        try:
            await self.write(make_ready)
        except BooksUnavailable as error:
            raise BooksNotOpened(
                f"PostgreSQL does not answer there within {self._wait_seconds:g} s, or does not"
                f" let the ledger in ({error})"
            ) from None

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See Database.write."""
        return await self._on(self._writer_threads, self._writer, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See Database.read."""
        return await self._on(self._reader_threads, self._reader, work)

    async def close(self) -> None:
        """Ends what is under way, then closes the connections."""
        await asyncio.to_thread(self._close)

    async def _on(
        self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], T]
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, _run, engine, work, self._wait_seconds)

    def _close(self) -> None:
        self._writer_threads.shutdown()
        self._reader_threads.shutdown()
        self._reader.dispose()
        self._writer.dispose()


class _InDoubt(Exception):
    """The connection broke while a commit was under way: only asking again can tell."""


def _engine(url: URL, wait_seconds: float, *, isolation: Any, size: int) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        # Every transaction is ended by its own block; rolling back again is a wasted trip.
        pool_reset_on_return=None,
        isolation_level=isolation,
        connect_args={
            "connect_timeout": max(2, round(wait_seconds)),
            "application_name": "spendgate-ledger",
            **_KEEPALIVE,
        },
    )
    session = {
        "wait_ms": str(round(wait_seconds * 1000)),
        "idle_ms": str(_IDLE_IN_TRANSACTION_SECONDS * 1000),
    }

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.execute(_SESSION, session)
        connection.commit()

    return engine


def _run(engine: Engine, work: Callable[[Connection], T], wait_seconds: float) -> T:
    """The result of `work`, tried again while that can help and there is time."""
    give_up = Deadline.after(wait_seconds)
    pause = _PAUSE_SECONDS
    while True:
        try:
            return _once(engine, work)
        except _InDoubt:
            raise BooksUnavailable("the connection broke during a commit") from None
        except _OF_THE_COMMAND:
            raise
        except exc.SQLAlchemyError as error:
            if give_up.left_seconds() < pause or not _can_help(error):
                raise BooksUnavailable(_name(error)) from None
        # Not in step with the one we gave way to.
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        pause = min(2 * pause, _PAUSE_SECONDS_MAX)


def _once(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        transaction = connection.begin()
        try:
            result = work(connection)
        except BaseException:
            if not connection.invalidated:
                transaction.rollback()
            raise
        try:
            transaction.commit()
        except exc.DBAPIError as error:
            raise (_InDoubt if _is_away(error) else error) from None
        return result


def _can_help(error: exc.SQLAlchemyError) -> bool:
    """True when nothing was done and another try may end well."""
    return isinstance(error, exc.DBAPIError) and (_state(error) in _GIVE_WAY or _is_away(error))


def _is_away(error: exc.DBAPIError) -> bool:
    """True when the server could not be reached, is starting, or went away."""
    state = _state(error)
    broken = error.connection_invalidated or state.startswith(("08", "57P"))
    return broken or (isinstance(error, exc.OperationalError) and not state)


def _state(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _name(error: exc.SQLAlchemyError) -> str:
    """What went wrong without the statement or its values."""
    state = _state(error) if isinstance(error, exc.DBAPIError) else ""
    return f"{type(error).__name__} {state}".strip()
