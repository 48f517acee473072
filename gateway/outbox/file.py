"""The outbox's folder on disk: segments of records, and beside each the notes of what is done.

    00000000000000000001.log     records, only ever appended to
    00000000000000000001.acks    positions of records in it that are done with
    parked.log                   records the receiver refused for good
    lock                         held by the one process that may use the folder

A segment goes when all in it is done, whatever becomes of older ones. A start never appends to
an old segment, so a torn end stays where it was. Everything here blocks: one thread calls it.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.outbox.frame import Frame, decode, decode_acks, encode, encode_ack

_log = logging.getLogger("gateway.outbox.outbox")

PARKED = "parked.log"
_DIGITS = 20
_NUMBER = "[0-9]" * _DIGITS


class OutboxLocked(Exception):
    """Another process uses the folder."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """Bounds of the folder."""

    # Records not done with.
    records_max: int = 100_000
    # Segments on disk. A segment stays while one record in it is not done with.
    bytes_max: int = 256 * 2**20
    segment_bytes_max: int = 4 * 2**20
    # Data of one record.
    record_bytes_max: int = 64 * 2**10
    parked_bytes_max: int = 64 * 2**20


@dataclass(slots=True)
class _Segment:
    path: Path
    # None once nothing is appended any more.
    fd: int | None
    size: int = 0
    # Positions of records not done with.
    open: set[int] = field(default_factory=set)
    # Bytes that were no record when it was read: it is put aside, not deleted.
    damaged: bool = False

    @property
    def acks_path(self) -> Path:
        return self.path.with_suffix(".acks")


class OutboxFolder:
    """Appends and syncs records, notes what is done, deletes what nobody needs."""

    def __init__(
        self, path: Path, limits: OutboxLimits, sync: Callable[[int], None] = os.fdatasync
    ) -> None:
        """`sync` brings a file's bytes to the disk."""
        self._path = path
        self._limits = limits
        self._sync = sync
        self._lock_fd: int | None = None
        self._current: _Segment | None = None
        self._segments: list[_Segment] = []
        # Which segment a record is in.
        self._home: dict[int, _Segment] = {}
        self.bytes_used = 0
        self.parked_bytes = 0
        self.next_position = 1

    def open(self) -> list[Frame]:
        """Takes the folder; the records not done with, in order.

        Raises: OutboxLocked; OSError.
        """
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_fd)
            self._lock_fd = None
            raise OutboxLocked(str(self._path)) from None
        parked = self._path / PARKED
        self.parked_bytes = parked.stat().st_size if parked.exists() else 0
        left: list[Frame] = []
        for path in sorted(self._path.glob(_NUMBER + ".log")):
            left += self._load(path)
        for path in self._path.glob(_NUMBER + ".acks"):
            if not path.with_suffix(".log").exists():
                path.unlink()
        return sorted(left, key=lambda frame: frame.position)

    def close(self) -> None:
        """Gives the folder back."""
        if self._current is not None:
            self._seal(self._current)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def append(self, frames: Sequence[Frame]) -> None:
        """Brings the records to the disk, with one sync for all of them.

        Raises: OSError. Then none of them counts, and the next call begins a new segment.
        """
        segment = self._room(frames[0].position)
        content = b"".join(map(encode, frames))
        try:
            self._write(segment, content)
        except OSError:
            self._abandon(segment)
            raise
        segment.size += len(content)
        self.bytes_used += len(content)
        for frame in frames:
            segment.open.add(frame.position)
            self._home[frame.position] = segment
        self.next_position = max(self.next_position, frames[-1].position + 1)

    def mark_done(self, positions: Iterable[int]) -> None:
        """Notes records as done with. Not synced: after a power cut some may come again.

        Raises: OSError.
        """
        by_segment: dict[int, list[int]] = {}
        for position in positions:
            segment = self._home.pop(position)
            segment.open.discard(position)
            by_segment.setdefault(id(segment), []).append(position)
        for segment in list(self._segments):
            if done := by_segment.get(id(segment)):
                with segment.acks_path.open("ab") as notes:
                    notes.write(b"".join(map(encode_ack, done)))
                if segment is not self._current and not segment.open:
                    self._retire(segment)

    def park(self, frame: Frame) -> bool:
        """Puts a record aside for the operator. False: no room. Raises: OSError."""
        content = encode(frame)
        if self.parked_bytes + len(content) > self._limits.parked_bytes_max:
            return False
        path = self._path / PARKED
        new = not path.exists()
        with path.open("ab") as parked:
            parked.write(content)
            parked.flush()
            self._sync(parked.fileno())
        if new:
            self._sync_folder()
        self.parked_bytes += len(content)
        return True

    def _load(self, path: Path) -> list[Frame]:
        content = path.read_bytes()
        frames, good = decode(content, self._limits.record_bytes_max)
        segment = _Segment(path, None, len(content), damaged=good < len(content))
        if segment.damaged:
            _log.warning(
                "outbox segment has bytes that are no record",
                extra={"segment": path.name, "at": good, "bytes": len(content) - good},
            )
        done: set[int] = set()
        if segment.acks_path.exists():
            done.update(decode_acks(segment.acks_path.read_bytes()))
        left = [frame for frame in frames if frame.position not in done]
        named = int(path.stem)
        last = frames[-1].position if frames else named
        self.next_position = max(self.next_position, last + 1, named + 1)
        self.bytes_used += segment.size
        self._segments.append(segment)
        for frame in left:
            segment.open.add(frame.position)
            self._home[frame.position] = segment
        if not left:
            self._retire(segment)
        return left

    def _room(self, position: int) -> _Segment:
        """The segment to append to."""
        segment = self._current
        if segment is not None and segment.size < self._limits.segment_bytes_max:
            return segment
        if segment is not None:
            self._seal(segment)
        path = self._path / f"{position:0{_DIGITS}d}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        segment = _Segment(path, os.open(path, flags, 0o600))
        # The name must last as long as what is in the file.
        self._sync_folder()
        self._segments.append(segment)
        self._current = segment
        return segment

    def _write(self, segment: _Segment, content: bytes) -> None:
        assert segment.fd is not None  # noqa: S101  # only the current segment is written to
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(segment.fd, rest) :]
        self._sync(segment.fd)

    def _abandon(self, segment: _Segment) -> None:
        """After a failed write or sync nobody knows what a file holds: cut it, leave it."""
        if segment.fd is not None:
            with suppress(OSError):
                os.ftruncate(segment.fd, segment.size)
        self._seal(segment)

    def _seal(self, segment: _Segment) -> None:
        if segment.fd is not None:
            with suppress(OSError):
                os.close(segment.fd)
            segment.fd = None
        self._current = None
        if not segment.open:
            self._retire(segment)

    def _retire(self, segment: _Segment) -> None:
        """Deletes a segment; its records first, for the notes alone bring nothing back."""
        self._segments.remove(segment)
        self.bytes_used -= segment.size
        if segment.damaged:
            segment.path.replace(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)
        segment.acks_path.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
