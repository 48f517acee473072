"""Bookings that follow their answers."""

import asyncio

import pytest
from spendgate.ledger.v1 import entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.saga.books import Books
from tests.fakes.outbox import MemoryOutbox


class Ledger:
    """A ledger that books when the test lets it."""

    def __init__(self):
        self.open = asyncio.Event()
        self.fails = False
        self.booked = []

    async def settle(self, item, deadline):
        await self.open.wait()
        if self.fails:
            raise ConnectionError
        self.booked.append(item)
        return ledger_pb.Settlement(hold=hold_pb2.Hold(hold_id=item.hold_id))

    async def record(self, item, deadline):
        await self.open.wait()
        if self.fails:
            raise ConnectionError
        self.booked.append(item)
        return entry_pb2.Entry()


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def outbox():
    return MemoryOutbox()


@pytest.fixture
def books(ledger, outbox):
    return Books(ledger, outbox, settle_seconds_max=5, answer_first=True)


async def test_an_answer_waits_for_the_disk_only(books, ledger, outbox):
    """The charge is on disk when the caller goes on, and with the ledger a little later."""
    assert await books.settle(ledger_pb.SettleItem(hold_id="h")) is None
    assert [item.hold_id for item in outbox.records.values()] == ["h"]
    assert await books.record(ledger_pb.RecordItem(request_id="r")) is None
    assert ledger.booked == []
    ledger.open.set()
    await books.drain()
    assert len(ledger.booked) == 2
    assert outbox.records == {}


async def test_a_ledger_that_fails_later_leaves_it_to_the_outbox(books, ledger, outbox):
    """As it does when the answer waits."""
    ledger.fails = True
    ledger.open.set()
    await books.settle(ledger_pb.SettleItem(hold_id="h"))
    await books.record(ledger_pb.RecordItem(request_id="r"))
    await books.drain()
    assert len(outbox.records) == len(outbox.handed_over) == 2


async def test_a_caller_who_goes_does_not_take_the_charge_along(books, ledger, outbox):
    """Cancelled while the disk is busy: booked all the same."""
    held = asyncio.Event()
    put = outbox.put

    async def slow(item):
        await held.wait()
        return await put(item)

    outbox.put = slow
    task = asyncio.create_task(books.settle(ledger_pb.SettleItem(hold_id="h")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.set()
    ledger.open.set()
    await books.drain()
    assert [item.hold_id for item in ledger.booked] == ["h"]
