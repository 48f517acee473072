"""SQLite as the books' database.

Transactions run whole on a thread of their own: one writer, a few readers. (Over an async driver
every statement is several trips between threads; that measured five times slower.)
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.sql.database import BooksNotOpened

T = TypeVar("T")

READERS = 2
# How often a file that somebody else has locked is tried.
LOCKED_SECONDS = 0.01
_DRIVERS = frozenset({"sqlite", "sqlite+pysqlite"})
# A command that breaks one of these is at fault itself; everything else is the database's.
_OF_THE_COMMAND = (exc.IntegrityError, exc.DataError, exc.ProgrammingError)


class SqliteDatabase:
    """Books in one SQLite file, WAL, every commit on disk before it counts."""

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        """`wait_seconds`: how long to wait for another process that holds the file.

        Raises: BooksNotOpened when the URL is none of a file. Nothing is opened yet.
        """
        parsed = make_url(url)
        if parsed.drivername not in _DRIVERS:
            raise BooksNotOpened("it must begin with sqlite:///")
        if parsed.database in (None, "", ":memory:"):
            raise BooksNotOpened("the books need a file: sqlite:///path/of/ledger.db")
        self.path = Path(str(parsed.database))
        self._wait_seconds = wait_seconds
        self._writer = _engine(self.path, wait_seconds, begin="BEGIN IMMEDIATE", size=1)
        self._reader = _engine(self.path, wait_seconds, begin="BEGIN", size=READERS)
        self._writer_thread = ThreadPoolExecutor(1, "ledger-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, "ledger-reader")

    async def prepare(self, make_ready: Callable[[Connection], None]) -> None:
        """See Database.prepare: folder and file are made."""
        try:
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
            await self.write(make_ready)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise BooksNotOpened(f"the folder {self.path.parent} cannot be made: {why}") from None
        except BooksUnavailable:
            raise BooksNotOpened(
                f"{self.path} cannot be opened and written as a SQLite file"
                f" within {self._wait_seconds:g} s: is it one, and does nobody else have it locked?"
            ) from None

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See Database.write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer_thread, _run, self._writer, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See Database.read."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader_threads, _run, self._reader, work)

    async def close(self) -> None:
        """Ends what is under way, then closes the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer_thread.shutdown()
        self._reader_threads.shutdown()
        self._reader.dispose()
        self._writer.dispose()


def _engine(path: Path, wait_seconds: float, *, begin: str, size: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        # Every transaction is ended by its own block; rolling back again is a wasted trip.
        pool_reset_on_return=None,
        connect_args={"timeout": wait_seconds},
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        # The driver would begin transactions late, and so take the lock late.
        connection.isolation_level = None
        _keep_a_log(connection, wait_seconds)
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _keep_a_log(connection: Any, wait_seconds: float) -> None:
    """WAL. For this SQLite does not wait for a lock, as it does for everything else: two who open
    a new file at once would find it locked."""
    until = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(LOCKED_SECONDS)


def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except _OF_THE_COMMAND:
        raise
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        raise BooksUnavailable(type(error).__name__) from None
