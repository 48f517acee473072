"""What has happened to a job, on disk: the one truth about it after a crash.

Only ever appended to, each time synced; what was torn at the end by a crash was never told to
anybody and is cut off.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import orjson

from gateway.outbox.frame import HEADER_BYTES, Frame, decode, encode

EVENT_BYTES_MAX = 64 * 2**20


class EventKind(IntEnum):
    """What an event is. On disk: never give a number again."""

    # All lines are good: {total}.
    CHECKED = 1
    # A unit of work (progress.py, Chunk).
    CHUNK = 2
    # {line, of}: the line asks what an earlier one asks.
    DUPLICATE = 3
    # The plan stands: chunks and duplicates before it count.
    PLANNED = 4
    # {chunk, generation}: its money is asked for under this number from now on.
    HELD = 5
    # {chunk, name}: it is about to be given to the provider under this name.
    SUBMITTING = 6
    # {chunk, provider_batch_id}.
    SUBMITTED = 7
    # {chunk}: what it lacks is called for the ordinary way.
    BY_CALLS = 8
    # A line has its result: {line, how, ...} with the rows to be booked.
    ANSWERED = 9
    # {line, money...}: its rows are booked.
    BOOKED = 10
    # {chunk}: all of its lines are answered, its hold goes back.
    DONE = 11
    # {state}: it has ended, so (gateway.v1.Batch, in base64).
    ENDED = 12
    # {}: chunks and duplicates before it are of a plan that never stood.
    PLANNING = 13
    # {}: the money for all chunks is held.
    BEGUN = 14


@dataclass(frozen=True, slots=True)
class Event:
    """One of them."""

    kind: EventKind
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event lies in the file."""

    at: int
    size: int


class LogClosed(Exception):
    """Somebody still worked on a job that was let go."""


class JobLog:
    """The log of one job, in the hands of one process."""

    def __init__(self, path: Path, sync: Callable[[int], None] = os.fdatasync) -> None:
        self._path = path
        self._sync = sync
        self._fd = -1
        self._end = 0
        self._position = 0
        self._turn = asyncio.Lock()

    def open(self) -> Iterator[tuple[Event, Place]]:
        """What is there. Blocks; to be read to its end before anything is appended."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        frames, good = decode(self._path.read_bytes(), EVENT_BYTES_MAX)
        os.ftruncate(self._fd, good)
        os.lseek(self._fd, good, os.SEEK_SET)
        self._end = good
        at = 0
        for frame in frames:
            self._position = frame.position
            size = HEADER_BYTES + len(frame.data)
            yield Event(EventKind(frame.kind), orjson.loads(frame.data)), Place(at, size)
            at += size

    async def append(self, *events: Event) -> Sequence[Place]:
        """Brings the events to the disk with one sync. Goes on to its end when cancelled.

        Raises: OSError, LogClosed; then none of them happened.
        """
        writing = asyncio.ensure_future(self._append(events))
        writing.add_done_callback(_heard)
        return await asyncio.shield(writing)

    def read(self, place: Place) -> dict[str, Any]:
        """What an event told. Blocks shortly."""
        # Opened each time: a number of ours may be another file's by now.
        with self._path.open("rb") as file:
            file.seek(place.at)
            content = file.read(place.size)
        told: dict[str, Any] = orjson.loads(content[HEADER_BYTES:])
        return told

    async def close(self) -> None:
        """Lets go of the file, once what is being written is."""
        async with self._turn:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    async def _append(self, events: Sequence[Event]) -> Sequence[Place]:
        async with self._turn:
            if self._fd < 0:
                raise LogClosed
            return await asyncio.to_thread(self._write, events)

    def _write(self, events: Sequence[Event]) -> Sequence[Place]:
        places, pieces, at = [], [], self._end
        for number, event in enumerate(events, self._position + 1):
            piece = encode(Frame(number, event.kind, orjson.dumps(event.told)))
            places.append(Place(at, len(piece)))
            pieces.append(piece)
            at += len(piece)
        rest = memoryview(b"".join(pieces))
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._sync(self._fd)
        except OSError:
            # What was not synced never happened.
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
                os.lseek(self._fd, self._end, os.SEEK_SET)
            raise
        self._position += len(events)
        self._end = at
        return places


def _heard(writing: "asyncio.Future[Sequence[Place]]") -> None:
    """Who waited for it may have been cancelled: then its failure is nobody's news."""
    if not writing.cancelled():
        writing.exception()
