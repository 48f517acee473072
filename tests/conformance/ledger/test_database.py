"""What any database under the books must do (services/ledger/sql/database.py)."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, select

from services.ledger.sql.database import Database
from services.ledger.wiring import open_database

COUNTER = Table(
    "counter", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer)
)


@pytest.fixture
async def two(books_url: str) -> AsyncIterator[list[Database]]:
    """The same database twice, as two replicas have it."""
    both = [open_database(books_url, wait_seconds=10) for _ in range(2)]
    await both[0].write(COUNTER.metadata.create_all)
    await both[0].write(lambda conn: conn.execute(COUNTER.insert().values(id=1, n=0)))
    yield both
    for database in both:
        await database.close()


def _read(conn: Connection) -> int:
    return conn.execute(select(COUNTER.c.n)).scalar_one()


def _increment(conn: Connection) -> int:
    n = conn.execute(select(COUNTER.c.n).with_for_update()).scalar_one() + 1
    conn.execute(COUNTER.update().values(n=n))
    return n


async def test_what_was_written_is_there_for_everybody(two: list[Database]) -> None:
    """Once write() has returned."""
    assert await two[0].write(_increment) == 1
    assert [await each.read(_read) for each in two] == [1, 1]


async def test_reading_and_writing_back_loses_no_update(two: list[Database]) -> None:
    """From two replicas at once: nothing comes between the reads and the writes of one."""
    await asyncio.gather(*(each.write(_increment) for each in two * 50))
    assert await two[0].read(_read) == 100


async def test_an_exception_undoes_all_of_it(two: list[Database]) -> None:
    """And comes out as it is."""

    def half(conn: Connection) -> None:
        _increment(conn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await two[0].write(half)
    assert await two[1].read(_read) == 0
    assert await two[0].write(_increment) == 1


async def test_a_cancelled_caller_does_not_stop_what_began(two: list[Database]) -> None:
    """All of it is committed."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(conn: Connection) -> None:
        _increment(conn)
        begun.set()
        go_on.wait(10)
        _increment(conn)

    caller = asyncio.create_task(two[0].write(slow))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    go_on.set()
    assert await two[0].write(_increment) == 3


async def test_a_reader_sees_one_moment(two: list[Database]) -> None:
    """What is committed while it reads is not for it."""
    begun, go_on = threading.Event(), threading.Event()

    def twice(conn: Connection) -> tuple[int, int]:
        first = _read(conn)
        begun.set()
        go_on.wait(10)
        return first, _read(conn)

    reader = asyncio.create_task(two[0].read(twice))
    await asyncio.to_thread(begun.wait, 10)
    await two[1].write(_increment)
    go_on.set()
    assert await reader == (0, 0)


async def test_closing_waits_for_what_began(two: list[Database]) -> None:
    """A drain loses nothing."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(conn: Connection) -> int:
        begun.set()
        go_on.wait(10)
        return _increment(conn)

    writing = asyncio.create_task(two[0].write(slow))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.create_task(two[0].close())
    await asyncio.sleep(0)
    go_on.set()
    assert await writing == 1
    await closing
    assert await two[1].read(_read) == 1
