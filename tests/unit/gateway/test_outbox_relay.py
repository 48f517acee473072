"""What was handed over reaches the ledger, in order, however long the ledger is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.outbox.file import OutboxFolder, OutboxLimits
from gateway.outbox.frame import Frame, decode
from gateway.outbox.outbox import Item, Outbox
from gateway.outbox.relay import BATCH_RECORDS_MAX, Refused, Relay


class Ledger:
    """A ledger that can be away, and that refuses or fails some."""

    def __init__(self) -> None:
        self.booked: list[str] = []
        self.asked = 0
        self.away_for = 0
        self.refuses: set[str] = set()
        self.fails: set[str] = set()
        self.news = asyncio.Condition()

    async def deliver(self, item: Item) -> None:
        assert isinstance(item, ledger_pb.SettleItem)
        self.asked += 1
        await asyncio.sleep(0)
        if self.away_for:
            self.away_for -= 1
            raise ConnectionError("canary-in-error")
        if item.hold_id in self.refuses:
            raise Refused("HOLD_UNKNOWN")
        if item.hold_id in self.fails:
            raise ConnectionError("canary-in-error")
        self.booked.append(item.hold_id)
        async with self.news:
            self.news.notify_all()

    async def until_booked(self, count: int) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: len(self.booked) >= count)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@asynccontextmanager
async def relayed(path: Path, ledger: Ledger) -> AsyncIterator[Outbox]:
    outbox = await Outbox.open(path)
    # No chance: the pauses between tries are nothing.
    task = asyncio.create_task(Relay(outbox, ledger.deliver, chance=lambda: 0.0).run())
    yield outbox
    await until_parked(outbox)
    task.cancel()
    await asyncio.wait([task])
    await outbox.close()


async def until_parked(outbox: Outbox) -> None:
    """What is being parked has no other sign than that it is gone."""
    async with asyncio.timeout(10):
        while any(waiting.failures == 0 for waiting in outbox.due(1_000)):
            await asyncio.sleep(0.001)


async def fill(path: Path, count: int) -> list[str]:
    names = [f"h{number}" for number in range(count)]
    outbox = await Outbox.open(path)
    for name in names:
        attempt = entry_pb2.Attempt(entry_id=f"e-{name}", model_asked="canary-in-record")
        await outbox.put(ledger_pb.SettleItem(hold_id=name, attempts=[attempt]))
    await outbox.close()
    return names


async def left_in(path: Path) -> int:
    outbox = await Outbox.open(path)
    count = outbox.state().records
    await outbox.close()
    return count


async def test_what_an_earlier_run_left_is_sent_once_in_order(
    tmp_path: Path, ledger: Ledger
) -> None:
    """After a crash everything not acknowledged is booked, and then gone from disk."""
    names = await fill(tmp_path, 3 * BATCH_RECORDS_MAX + 1)
    async with relayed(tmp_path, ledger):
        await ledger.until_booked(len(names))
    assert ledger.booked == names
    assert await left_in(tmp_path) == 0


async def test_a_ledger_that_was_away_gets_everything(tmp_path: Path, ledger: Ledger) -> None:
    """However often it fails, every record arrives once, the oldest first."""
    names = await fill(tmp_path, 200)
    # A whole batch fails, then one knocks, then two, three, four.
    ledger.away_for = BATCH_RECORDS_MAX + 1 + 2 + 3 + 4
    async with relayed(tmp_path, ledger):
        await ledger.until_booked(len(names))
    assert ledger.booked == names
    assert ledger.asked == len(names) + BATCH_RECORDS_MAX + 10


async def test_a_ledger_that_flickers_gets_everything(tmp_path: Path, ledger: Ledger) -> None:
    """Each record arrives once, also when the ledger comes and goes within a batch."""
    names = await fill(tmp_path, 200)
    ledger.away_for = 30
    async with relayed(tmp_path, ledger):
        await ledger.until_booked(len(names))
    assert sorted(ledger.booked) == sorted(names)


async def test_a_record_handed_over_later_is_sent(tmp_path: Path, ledger: Ledger) -> None:
    """The relay wakes when an owner gives a record up."""
    async with relayed(tmp_path, ledger) as outbox:
        kept = await outbox.put(ledger_pb.SettleItem(hold_id="kept"))
        given = await outbox.put(ledger_pb.SettleItem(hold_id="given"))
        outbox.hand_over(given)
        await ledger.until_booked(1)
        assert ledger.booked == ["given"]
        outbox.ack(kept)
    assert await left_in(tmp_path) == 0


async def test_what_is_refused_for_good_is_parked(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept for the operator, told by its ids alone, and holds nobody up."""
    names = await fill(tmp_path, 4)
    ledger.refuses = {"h1"}
    with caplog.at_level(logging.DEBUG):
        async with relayed(tmp_path, ledger):
            await ledger.until_booked(3)
    assert ledger.booked == [name for name in names if name != "h1"]
    assert await left_in(tmp_path) == 0
    (parked,) = decode((tmp_path / "parked.log").read_bytes(), 10_000)[0]
    assert ledger_pb.SettleItem.FromString(parked.data).hold_id == "h1"
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    shown = vars(told)
    assert (shown["hold_id"], shown["reason"]) == ("h1", "HOLD_UNKNOWN")
    assert shown["entry_ids"] == ["e-h1"]
    assert "canary" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("stuck", [["h0"], ["h0", "h1", "h2"]])
async def test_a_stuck_record_holds_nobody_up(
    tmp_path: Path, ledger: Ledger, stuck: list[str]
) -> None:
    """Records that fail for reasons of their own, even the oldest, wait apart."""
    names = await fill(tmp_path, 100)
    ledger.fails = set(stuck)
    async with relayed(tmp_path, ledger):
        await ledger.until_booked(len(names) - len(stuck))
    assert ledger.booked == [name for name in names if name not in stuck]
    assert await left_in(tmp_path) == len(stuck)


@pytest.mark.parametrize("frame", [Frame(1, 99, b""), Frame(1, 1, b"\xff\xff")])
async def test_a_record_nobody_can_read_is_parked(
    tmp_path: Path, ledger: Ledger, frame: Frame
) -> None:
    """A record of another version, or none at all, is kept and does not stop the rest."""
    folder = OutboxFolder(tmp_path, OutboxLimits())
    folder.open()
    folder.append([frame])
    folder.close()
    async with relayed(tmp_path, ledger) as outbox:
        position = await outbox.put(ledger_pb.SettleItem(hold_id="good"))
        outbox.hand_over(position)
        await ledger.until_booked(1)
    assert await left_in(tmp_path) == 0
    assert decode((tmp_path / "parked.log").read_bytes(), 10_000)[0] == [frame]


async def test_no_room_to_park_loses_nothing(tmp_path: Path, ledger: Ledger) -> None:
    """A refused record that cannot be parked stays where it is."""
    await fill(tmp_path, 2)
    ledger.refuses = {"h0"}
    bounds = OutboxLimits(parked_bytes_max=10)
    outbox = Outbox(OutboxFolder(tmp_path, bounds), bounds)
    await outbox.start()
    task = asyncio.create_task(Relay(outbox, ledger.deliver, chance=lambda: 0.0).run())
    await ledger.until_booked(1)
    await until_parked(outbox)
    task.cancel()
    await asyncio.wait([task])
    await outbox.close()
    assert await left_in(tmp_path) == 1
