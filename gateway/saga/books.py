"""The gateway's side of the books: what was spent reaches the ledger, whatever happens."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import grpc
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis.deadline import Deadline
from chassis.errors import RemoteError
from gateway.outbox.outbox import Item
from gateway.outbox.relay import Refused
from gateway.ports import Services

_log = logging.getLogger("gateway.saga.books")

# The ledger refused it for good: sending it again cannot help.
_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
DRAIN_SECONDS_MAX = 8.0

# Hears what the ledger booked; None when it is away.
Told = Callable[[ledger_pb.Settlement | None], None]


class Outbox(Protocol):
    """Durable storage of what must still be booked (gateway/outbox/outbox.py)."""

    async def put(self, item: Item) -> int:
        """Position of the record, once it is on disk."""
        ...

    def has_room(self, records: int) -> bool:
        """Whether so many more records fit."""
        ...

    def ack(self, position: int) -> None:
        """The ledger has it."""
        ...

    def hand_over(self, position: int) -> None:
        """The ledger was away: the relay takes the record from here on."""
        ...


class Books:
    """Settles, releases and records; work of its own goes on when a caller goes away."""

    def __init__(
        self,
        services: Services,
        outbox: Outbox,
        *,
        settle_seconds_max: float,
        answer_first: bool = False,
    ) -> None:
        """`answer_first`: nobody waits for the ledger; a charge is on disk all the same."""
        self._answer_first = answer_first
        self._services = services
        self._outbox = outbox
        self._settle_seconds_max = settle_seconds_max
        self._tasks: set[asyncio.Task[Any]] = set()

    def has_room(self, records: int) -> bool:
        """Whether the outbox can carry so many more charges, should the ledger be away."""
        return self._outbox.has_room(records)

    async def settle(
        self, item: ledger_pb.SettleItem, told: Told | None = None, *, answers: bool = True
    ) -> ledger_pb.Settlement | None:
        """Books a charge, on disk first. None: the ledger is away and the outbox carries it, or
        books it after the answer.

        Goes on to its end when the caller is cancelled. `told` hears what the ledger booked, also
        after the answer; None when it is away. `answers`: there is an answer that may go first.
        """
        if not (self._answer_first and answers):
            return await asyncio.shield(self.spawn(self._settle(item, told)))
        on_disk: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.spawn(self._settle(item, told, on_disk))
        await on_disk
        return None

    async def record(self, item: ledger_pb.RecordItem) -> entry_pb2.Entry | None:
        """Books a row that charges nothing. None: the ledger is away and the outbox carries it.

        It goes to disk only when the ledger fails: what a lost row would take with it is a
        statistic, not money.
        """
        work = self.spawn(self._record(item))
        return None if self._answer_first else await asyncio.shield(work)

    def release_soon(self, item: ledger_pb.ReleaseItem) -> None:
        """Gives a hold back without waiting. If even that fails the hold lapses by itself."""
        self.spawn(self._release(item))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs `work` to its end, whatever becomes of the caller; drain() waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            done, _ = await asyncio.wait(set(self._tasks), timeout=DRAIN_SECONDS_MAX)
            if not done:
                _log.warning("bookings under way at the end", extra={"count": len(self._tasks)})
                return

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("booking failed", extra={"error_type": type(error).__name__})

    async def deliver(self, item: Item) -> None:
        """Sends a record of the outbox. Raises: Refused when that can never work; any other
        error means later."""
        deadline = Deadline.after(self._settle_seconds_max)
        try:
            match item:
                case ledger_pb.SettleItem():
                    await self._services.settle(item, deadline)
                case ledger_pb.ReleaseItem():
                    await self._services.release(item, deadline)
                case ledger_pb.RecordItem():
                    await self._services.record(item, deadline)
        except RemoteError as error:
            if error.code in _FINAL:
                raise Refused(error.reason) from None
            raise

    async def _settle(
        self,
        item: ledger_pb.SettleItem,
        told: Told | None = None,
        on_disk: "asyncio.Future[None] | None" = None,
    ) -> ledger_pb.Settlement | None:
        position = await self._put(item)
        if on_disk is not None and not on_disk.done():
            on_disk.set_result(None)
        try:
            settlement = await self._services.settle(item, Deadline.after(self._settle_seconds_max))
        except Exception as error:
            if told is not None:
                told(None)
            self._give_up(position, error, hold_id=item.hold_id)
            return None
        if told is not None:
            told(settlement)
        if position is not None:
            self._outbox.ack(position)
        return settlement

    async def _record(self, item: ledger_pb.RecordItem) -> entry_pb2.Entry | None:
        try:
            return await self._services.record(item, Deadline.after(self._settle_seconds_max))
        except Exception as error:
            self._give_up(await self._put(item), error, request_id=item.request_id)
            return None

    async def _release(self, item: ledger_pb.ReleaseItem) -> None:
        try:
            await self._services.release(item, Deadline.after(self._settle_seconds_max))
        except Exception as error:
            reason = error.reason if isinstance(error, RemoteError) else type(error).__name__
            _log.warning("release failed", extra={"hold_id": item.hold_id, "reason": reason})

    async def _put(self, item: Item) -> int | None:
        """None: the disk did not take it. The ledger is asked all the same; only when it is
        away too is something lost, and the log says what."""
        try:
            return await self._outbox.put(item)
        except Exception as error:
            _log.error("outbox did not take a record", extra={"error_type": type(error).__name__})
            return None

    def _give_up(self, position: int | None, error: Exception, **ids: str) -> None:
        reason = error.reason if isinstance(error, RemoteError) else type(error).__name__
        if position is None:
            _log.critical("a booking is lost: no disk, no ledger", extra={"reason": reason, **ids})
            return
        _log.warning("booking handed to the relay", extra={"reason": reason, **ids})
        self._outbox.hand_over(position)
