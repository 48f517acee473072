"""What must still be booked, on disk before anything can go wrong.

A record is put before the ledger is asked, and acknowledged when the ledger has it. What is not
acknowledged is handed over to the relay (outbox_relay.py): by its owner when the ledger is
away, or at the next start when the process died. The ledger takes a command twice for once, so
"at least once" here is exactly once in the books.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from google.protobuf.message import DecodeError
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.outbox.file import OutboxFolder, OutboxLimits
from gateway.outbox.frame import HEADER_BYTES, Frame

_log = logging.getLogger("gateway.outbox.outbox")

Item = ledger_pb.SettleItem | ledger_pb.ReleaseItem | ledger_pb.RecordItem

# The byte that says what a record is. On disk for ever: never give a number again.
_TYPES: dict[int, type[Item]] = {
    1: ledger_pb.SettleItem,
    2: ledger_pb.ReleaseItem,
    3: ledger_pb.RecordItem,
}
_KINDS = {kind: number for number, kind in _TYPES.items()}


class OutboxFull(Exception):
    """There is no room for another record: the ledger has been away for too long."""

    def __init__(self, records: int, bytes_used: int) -> None:
        super().__init__(f"{records} records and {bytes_used} bytes wait")
        self.records = records
        self.bytes_used = bytes_used


class RecordTooLarge(Exception):
    """A record is over the limit."""

    def __init__(self, record_bytes: int, record_bytes_max: int) -> None:
        super().__init__(f"{record_bytes} bytes, at most {record_bytes_max}")
        self.record_bytes = record_bytes
        self.record_bytes_max = record_bytes_max


class OutboxFailed(Exception):
    """The disk did not take the record; `number` is the errno."""

    def __init__(self, number: int | None) -> None:
        super().__init__(f"errno {number}")
        self.number = number


@dataclass(slots=True)
class Waiting:
    """A record on disk that is not done with."""

    frame: Frame
    put_at: float
    # The relay's to send: its owner gave it up, or died.
    handed_over: bool
    # Not before this, on the clock of the outbox.
    send_at: float = 0.0
    # How often it failed while others passed.
    failures: int = 0

    @property
    def item(self) -> Item | None:
        """What is to be booked; None when this version cannot read it."""
        kind = _TYPES.get(self.frame.kind)
        try:
            return None if kind is None else kind.FromString(self.frame.data)
        except DecodeError:
            return None


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How full it is."""

    records: int
    bytes_used: int
    parked_bytes: int
    # Age of the oldest record that its owner gave up. 0: there is none.
    oldest_seconds: float


@dataclass(slots=True)
class _Put:
    frame: Frame
    done: asyncio.Future[None]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = HEADER_BYTES + len(self.frame.data)


class Outbox:
    """Records of one folder. One process, one event loop."""

    def __init__(
        self,
        folder: OutboxFolder,
        limits: OutboxLimits,
        *,
        own_seconds_max: float = 120.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own_seconds_max`: a record that nobody acknowledged or handed over within this is
        the relay's, whatever became of its owner."""
        self._folder = folder
        self._limits = limits
        self._own_seconds_max = own_seconds_max
        self._now = now
        # All of the disk's work, in order, beside the loop.
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._waiting: dict[int, Waiting] = {}
        self._puts: list[_Put] = []
        self._acks: list[int] = []
        self._bytes_coming = 0
        self._records_coming = 0
        self._next_position = 1
        self._flusher: asyncio.Task[None] | None = None
        self._handed_over = asyncio.Event()

    @classmethod
    async def open(cls, path: Path, limits: OutboxLimits | None = None, **options: Any) -> Self:
        """Takes the folder at `path`; what an earlier process left is the relay's at once.

        Raises: OutboxLocked, OSError.
        """
        limits = limits or OutboxLimits()
        outbox = cls(OutboxFolder(path, limits), limits, **options)
        try:
            await outbox.start()
        except BaseException:
            outbox._thread.shutdown(wait=False)
            raise
        return outbox

    async def start(self) -> None:
        """Reads what is on disk. Raises: OutboxLocked, OSError."""
        frames = await self._beside_the_loop(self._folder.open)
        now = self._now()
        for frame in frames:
            self._waiting[frame.position] = Waiting(frame, now, handed_over=True)
        self._next_position = self._folder.next_position
        if frames:
            _log.info("outbox has records of an earlier run", extra={"records": len(frames)})
            self._handed_over.set()

    async def close(self) -> None:
        """Writes what is under way and gives the folder back."""
        await self.flush()
        await self._beside_the_loop(self._folder.close)
        self._thread.shutdown()

    async def flush(self) -> None:
        """Waits until what was put and acknowledged so far is written."""
        while self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def put(self, item: Item) -> int:
        """Position of the record, once it is on disk; records put together share one sync.

        A caller cancelled here leaves the record to the relay.
        Raises: OutboxFull, RecordTooLarge, OutboxFailed.
        """
        data = item.SerializeToString()
        if len(data) > self._limits.record_bytes_max:
            raise RecordTooLarge(len(data), self._limits.record_bytes_max)
        if not self.has_room(1, HEADER_BYTES + len(data)):
            raise OutboxFull(len(self._waiting), self._folder.bytes_used)
        position = self._next_position
        self._next_position += 1
        frame = Frame(position, _KINDS[type(item)], data)
        put = _Put(frame, asyncio.get_running_loop().create_future())
        self._puts.append(put)
        self._records_coming += 1
        self._bytes_coming += put.size
        self._wake()
        await put.done
        return position

    def has_room(self, records: int, record_bytes: int | None = None) -> bool:
        """Whether so many more records fit, each of `record_bytes` (default: the largest)."""
        size = self._limits.record_bytes_max if record_bytes is None else record_bytes
        taken = len(self._waiting) + self._records_coming
        bytes_taken = self._folder.bytes_used + self._bytes_coming
        return (
            taken + records <= self._limits.records_max
            and bytes_taken + records * size <= self._limits.bytes_max
        )

    def ack(self, position: int) -> None:
        """The record is done with. Doing so again changes nothing."""
        if self._waiting.pop(position, None) is not None:
            self._acks.append(position)
            self._wake()

    def hand_over(self, position: int) -> None:
        """The record is the relay's from here on."""
        if (waiting := self._waiting.get(position)) is not None:
            waiting.handed_over = True
            self._handed_over.set()

    async def park(self, position: int) -> bool:
        """Puts a record aside for the operator, then acknowledges it. False: no room for it.

        Raises: OSError.
        """
        waiting = self._waiting.get(position)
        if waiting is None:
            return True
        if not await self._beside_the_loop(lambda: self._folder.park(waiting.frame)):
            return False
        self.ack(position)
        return True

    def due(self, records_max: int) -> list[Waiting]:
        """The oldest records that are the relay's to send now, in order."""
        now = self._now()
        found: list[Waiting] = []
        for waiting in self._waiting.values():
            if now - waiting.put_at > self._own_seconds_max:
                waiting.handed_over = True
            if waiting.handed_over and waiting.send_at <= now:
                found.append(waiting)
                if len(found) == records_max:
                    break
        return found

    async def until_handed_over(self, seconds_max: float) -> None:
        """Waits until a record is handed over, at most so long."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._handed_over.wait()
        except TimeoutError:
            pass
        self._handed_over.clear()

    def delay(self, waiting: Waiting, seconds: float) -> None:
        """Keeps a record from being due for so long."""
        waiting.send_at = self._now() + seconds

    def state(self) -> OutboxState:
        """How full it is."""
        given_up = next((one for one in self._waiting.values() if one.handed_over), None)
        return OutboxState(
            records=len(self._waiting),
            bytes_used=self._folder.bytes_used,
            parked_bytes=self._folder.parked_bytes,
            oldest_seconds=0.0 if given_up is None else self._now() - given_up.put_at,
        )

    def _wake(self) -> None:
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        """Writes what waits, and what came meanwhile, until nothing waits.

        No timer: whoever comes while the disk is busy shares the next sync.
        """
        try:
            while self._puts or self._acks:
                puts, self._puts = self._puts, []
                acks, self._acks = self._acks, []
                if puts:
                    await self._write(puts)
                if acks:
                    await self._note_done(acks)
        finally:
            self._flusher = None

    async def _write(self, puts: Sequence[_Put]) -> None:
        frames = [put.frame for put in puts]
        error: OutboxFailed | None = None
        try:
            await self._beside_the_loop(lambda: self._folder.append(frames))
        except Exception as failure:
            error = OutboxFailed(getattr(failure, "errno", None))
            told = {"errno": error.number, "error_type": type(failure).__name__}
            _log.error("outbox write failed", extra={**told, "records": len(puts)})
        now = self._now()
        for put in puts:
            self._records_coming -= 1
            self._bytes_coming -= put.size
            gone = put.done.cancelled()
            if error is None:
                self._waiting[put.frame.position] = Waiting(put.frame, now, handed_over=gone)
            if gone:
                self._handed_over.set()
            elif error is None:
                put.done.set_result(None)
            else:
                put.done.set_exception(error)

    async def _note_done(self, acks: Sequence[int]) -> None:
        try:
            await self._beside_the_loop(lambda: self._folder.mark_done(acks))
        except OSError as failure:
            # They come again at the next start, and the ledger knows them.
            _log.warning("outbox notes failed", extra={"errno": failure.errno})

    async def _beside_the_loop(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
