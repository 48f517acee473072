"""Records are on disk before put() returns, many by one sync, and leave by ack() alone."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.outbox.file import OutboxFolder, OutboxLimits, OutboxLocked
from gateway.outbox.outbox import Outbox, OutboxFailed, OutboxFull, RecordTooLarge


def settle(name: str) -> ledger_pb.SettleItem:
    return ledger_pb.SettleItem(hold_id=name, attempts=[entry_pb2.Attempt(entry_id=f"e-{name}")])


async def opened(path: Path, sync: Callable[[int], None] = os.fdatasync, **limits: Any) -> Outbox:
    bounds = OutboxLimits(**limits)
    outbox = Outbox(OutboxFolder(path, bounds, sync), bounds)
    await outbox.start()
    return outbox


def names(outbox: Outbox) -> list[str]:
    found = []
    for waiting in outbox.due(1_000):
        assert isinstance(waiting.item, ledger_pb.SettleItem)
        found.append(waiting.item.hold_id)
    return found


async def left_in(path: Path) -> list[str]:
    outbox = await opened(path)
    found = names(outbox)
    await outbox.close()
    return found


async def test_what_is_put_survives(tmp_path: Path) -> None:
    """What was put and not acknowledged is the relay's at the next start, in order."""
    outbox = await opened(tmp_path)
    positions = [await outbox.put(settle(f"h{number}")) for number in range(5)]
    outbox.ack(positions[1])
    outbox.ack(positions[3])
    await outbox.close()
    assert await left_in(tmp_path) == ["h0", "h2", "h4"]


async def test_acks_after_a_restart(tmp_path: Path) -> None:
    """Records of an earlier run are acknowledged like any other."""
    outbox = await opened(tmp_path)
    for number in range(3):
        await outbox.put(settle(f"h{number}"))
    await outbox.close()
    outbox = await opened(tmp_path)
    for waiting in outbox.due(2):
        outbox.ack(waiting.frame.position)
    await outbox.close()
    assert await left_in(tmp_path) == ["h2"]


async def test_every_kind_comes_back_as_what_it_was(tmp_path: Path) -> None:
    """Settlements, releases and records are told apart."""
    items = [
        settle("h"),
        ledger_pb.ReleaseItem(hold_id="h2"),
        ledger_pb.RecordItem(request_id="r"),
    ]
    outbox = await opened(tmp_path)
    for item in items:
        await outbox.put(item)
    await outbox.close()
    outbox = await opened(tmp_path)
    assert [waiting.item for waiting in outbox.due(10)] == items
    await outbox.close()


async def test_many_puts_share_a_sync(tmp_path: Path) -> None:
    """64 callers at once do not wait for 64 syncs, and each is on disk when it goes on."""
    syncs = 0

    def count(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        os.fdatasync(fd)

    outbox = await opened(tmp_path, sync=count)
    on_disk: list[bool] = []

    async def caller(name: str) -> None:
        for number in range(8):
            item = settle(f"{name}-{number}")
            await outbox.put(item)
            content = b"".join(path.read_bytes() for path in tmp_path.glob("0*.log"))
            on_disk.append(item.SerializeToString() in content)

    await asyncio.gather(*(caller(f"c{number}") for number in range(64)))
    await outbox.close()
    assert len(on_disk) == 512
    assert all(on_disk)
    assert syncs <= 512 // 8
    assert len(await left_in(tmp_path)) == 512


async def test_the_owner_keeps_a_record_until_it_hands_over(tmp_path: Path) -> None:
    """A record being settled is not sent a second time by the relay."""
    outbox = await opened(tmp_path)
    first, second = await outbox.put(settle("h1")), await outbox.put(settle("h2"))
    assert names(outbox) == []
    outbox.hand_over(second)
    assert names(outbox) == ["h2"]
    outbox.ack(first)
    outbox.hand_over(first)
    assert names(outbox) == ["h2"]
    await outbox.close()


async def test_a_record_nobody_came_back_for(tmp_path: Path) -> None:
    """An owner that neither acknowledges nor hands over loses its record to the relay."""
    time = 0.0
    bounds = OutboxLimits()
    folder = OutboxFolder(tmp_path, bounds)
    outbox = Outbox(folder, bounds, own_seconds_max=100, now=lambda: time)
    await outbox.start()
    await outbox.put(settle("h1"))
    time = 100.0
    assert names(outbox) == []
    time = 100.5
    assert names(outbox) == ["h1"]
    await outbox.close()


async def test_a_cancelled_put_is_the_relays(tmp_path: Path) -> None:
    """The money was spent even if its caller is gone before the disk answered."""
    outbox = await opened(tmp_path)
    task = asyncio.create_task(outbox.put(settle("h1")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await outbox.put(settle("h2"))
    assert names(outbox) == ["h1"]
    await outbox.close()


@pytest.mark.parametrize("limits", [{"records_max": 3}, {"bytes_max": 100}])
async def test_it_is_bounded(tmp_path: Path, limits: dict[str, int]) -> None:
    """A full outbox refuses, and takes again once something was acknowledged."""
    outbox = await opened(tmp_path, segment_bytes_max=1, **limits)
    positions = []
    with pytest.raises(OutboxFull):
        positions = [await outbox.put(settle(f"h{number}")) for number in range(20)]
    waiting = [one.frame.position for one in outbox._waiting.values()]
    assert 1 <= len(waiting) <= 3
    assert not outbox.has_room(1)
    outbox.ack(waiting[0])
    async with asyncio.timeout(5):
        while not outbox.has_room(1, 20):
            await asyncio.sleep(0)
    positions.append(await outbox.put(settle("h")))
    await outbox.close()


async def test_puts_under_way_count(tmp_path: Path) -> None:
    """A burst cannot slip past the limit while the disk is busy."""
    outbox = await opened(tmp_path, records_max=10)
    puts = [outbox.put(settle(f"h{number}")) for number in range(50)]
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 10
    assert sum(isinstance(result, OutboxFull) for result in results) == 40
    await outbox.close()
    assert len(await left_in(tmp_path)) == 10


async def test_a_record_has_a_limit(tmp_path: Path) -> None:
    """One record cannot fill the disk."""
    outbox = await opened(tmp_path, record_bytes_max=100)
    with pytest.raises(RecordTooLarge):
        await outbox.put(settle("h" * 101))
    await outbox.close()


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """A put that is not on disk says so; the next one may be."""
    failing = [True]

    def sync(fd: int) -> None:
        if failing[0]:
            raise OSError(28, "no space")
        os.fdatasync(fd)

    outbox = await opened(tmp_path, sync=sync)
    with pytest.raises(OutboxFailed) as caught:
        await outbox.put(settle("h1"))
    assert caught.value.number == 28
    failing[0] = False
    await outbox.put(settle("h2"))
    await outbox.close()
    assert await left_in(tmp_path) == ["h2"]


async def test_a_locked_folder_is_told(tmp_path: Path) -> None:
    """A second process learns at its start that the folder is taken."""
    outbox = await Outbox.open(tmp_path)
    with pytest.raises(OutboxLocked):
        await Outbox.open(tmp_path)
    await outbox.close()


async def test_its_state(tmp_path: Path) -> None:
    """What an operator watches: how many, how much, how old."""
    time = 5.0
    bounds = OutboxLimits()
    outbox = Outbox(OutboxFolder(tmp_path, bounds), bounds, now=lambda: time)
    await outbox.start()
    first = await outbox.put(settle("h1"))
    await outbox.put(settle("h2"))
    assert outbox.state().records == 2
    assert outbox.state().oldest_seconds == 0
    outbox.hand_over(first)
    time = 12.0
    assert outbox.state().oldest_seconds == 7
    assert outbox.state().bytes_used > 0
    await outbox.close()
