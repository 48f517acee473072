"""Group commit: who waits together commits together, and nobody pays for a neighbour."""

import asyncio
from collections.abc import Sequence

import pytest

from chassis.deadline import Deadline, DeadlinePassed
from services.ledger.rules.commands import Command, HoldAnswer
from services.ledger.rules.refusals import BooksUnavailable, HoldUnknown
from services.ledger.rules.values import HoldState
from services.ledger.writer import CONFLICT_TRIES_MAX, GroupCommit
from tests.unit.ledger.making import attempt, record, release, reserve


class Poison(Exception):
    pass


class Conflict(Exception):
    pass


class Disk:
    """A transaction that takes until it is let through, and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        self.poison: set[str] = set()
        self.away = False
        self.conflicts = 0

    async def transact(self, commands: Sequence[Command]) -> Sequence[HoldAnswer | HoldUnknown]:
        self.begun.set()
        await self.open.wait()
        names = [_name(command) for command in commands]
        if self.away:
            raise BooksUnavailable
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict
        if self.poison & set(names):
            raise Poison
        self.batches.append(names)
        return [HoldAnswer(name, 0, HoldState.PENDING, 0, None) for name in names]


def _name(command: Command) -> str:
    return getattr(command, "hold_id", "") or command.request_id  # type: ignore[union-attr]  # a record


@pytest.fixture
def disk() -> Disk:
    return Disk()


def _writer(disk: Disk, **limits: int) -> GroupCommit:
    return GroupCommit(disk.transact, conflict=Conflict, **limits)


async def _one_under_way(disk: Disk, writer: GroupCommit) -> "asyncio.Future[object]":
    disk.open.clear()
    first = writer.submit(release("first"))
    await disk.begun.wait()
    return first  # type: ignore[return-value]  # any outcome will do


async def test_what_arrives_during_a_transaction_shares_the_next(disk: Disk) -> None:
    """In order, and no more than the limit at once."""
    writer = _writer(disk, batch_commands_max=3)
    first = await _one_under_way(disk, writer)
    others = [writer.submit(release(f"h{n}")) for n in range(5)]
    disk.open.set()
    await asyncio.gather(first, *others)
    assert disk.batches == [["first"], ["h0", "h1", "h2"], ["h3", "h4"]]
    await writer.close()


async def test_answers_come_after_the_commit(disk: Disk) -> None:
    """Nobody is told before it is on disk."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    await asyncio.sleep(0)
    assert not first.done()
    disk.open.set()
    assert isinstance(await first, HoldAnswer)
    await writer.close()


@pytest.mark.parametrize("size", [2, 7, 64])
async def test_a_command_that_spoils_its_transaction_fails_alone(disk: Disk, size: int) -> None:
    """Its neighbours are all done, once and in order."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    disk.poison = {"h1"}
    futures = [writer.submit(release(f"h{n}")) for n in range(size)]
    disk.open.set()
    outcomes = await asyncio.gather(first, *futures)
    assert isinstance(outcomes[2], Poison)
    assert sum(isinstance(o, HoldAnswer) for o in outcomes) == size
    done = [name for batch in disk.batches for name in batch]
    assert done == ["first", *(f"h{n}" for n in range(size) if n != 1)]
    await writer.close()


async def test_an_away_database_is_everybodys_answer_and_the_writer_goes_on(disk: Disk) -> None:
    """UNAVAILABLE for the batch, not for what comes after."""
    writer = _writer(disk)
    disk.away = True
    outcomes = await asyncio.gather(*(writer.submit(release(f"h{n}")) for n in range(3)))
    assert all(isinstance(outcome, BooksUnavailable) for outcome in outcomes)
    disk.away = False
    assert isinstance(await writer.submit(release("later")), HoldAnswer)
    await writer.close()


async def test_a_conflict_is_tried_again_and_not_for_ever(disk: Disk) -> None:
    """Another ledger was faster: read again; when that never ends, say so."""
    writer = _writer(disk)
    disk.conflicts = CONFLICT_TRIES_MAX - 1
    assert isinstance(await writer.submit(release("h")), HoldAnswer)
    disk.conflicts = CONFLICT_TRIES_MAX
    assert isinstance(await writer.submit(release("h")), BooksUnavailable)
    await writer.close()


async def test_a_reserve_nobody_waits_for_takes_no_money(disk: Disk) -> None:
    """Cancelled or out of time while it was in line."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    gone = writer.submit(reserve(1, hold_id="gone"))
    gone.cancel()
    late = writer.submit(reserve(1, hold_id="late"), Deadline.after(-1))
    kept = writer.submit(reserve(1, hold_id="kept"), Deadline.after(60))
    disk.open.set()
    await asyncio.gather(first, kept)
    assert isinstance(await late, DeadlinePassed)
    assert disk.batches == [["first"], ["kept"]]
    await writer.close()


async def test_what_was_spent_is_booked_also_when_its_caller_went_away(disk: Disk) -> None:
    """Only a Reserve is dropped."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    gone = writer.submit(record(attempt(1), "spent"), Deadline.after(-1))
    gone.cancel()
    disk.open.set()
    await first
    await writer.close()
    assert disk.batches == [["first"], ["spent"]]


async def test_a_caller_that_goes_away_during_the_transaction_changes_nothing(disk: Disk) -> None:
    """Its neighbours get their answers."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    first.cancel()
    second = writer.submit(release("second"))
    disk.open.set()
    assert isinstance(await second, HoldAnswer)
    assert disk.batches == [["first"], ["second"]]
    await writer.close()


async def test_the_queue_has_an_end(disk: Disk) -> None:
    """More than it holds is refused at once, not kept in memory."""
    writer = _writer(disk, queue_commands_max=1)
    first = await _one_under_way(disk, writer)
    waiting = writer.submit(release("waiting"))
    assert isinstance(await writer.submit(release("too many")), BooksUnavailable)
    disk.open.set()
    assert isinstance(await waiting, HoldAnswer)
    assert isinstance(await first, HoldAnswer)
    await writer.close()


async def test_closing_does_what_is_queued_and_takes_nothing_more(disk: Disk) -> None:
    """A drain loses nothing."""
    writer = _writer(disk)
    first = await _one_under_way(disk, writer)
    queued = writer.submit(release("queued"))
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    refused = writer.submit(release("refused"))
    disk.open.set()
    await closing
    assert isinstance(await queued, HoldAnswer)
    assert isinstance(await first, HoldAnswer)
    assert isinstance(await refused, BooksUnavailable)
