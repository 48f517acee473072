"""A value that is read from files, and read again when they change, without a restart.

Files are looked at now and then rather than watched: that works for every file system, for files
that are put in another's place and for volumes whose links are switched.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from opentelemetry import metrics

from chassis import names
from chassis.health import Part

_log = logging.getLogger("chassis.live")

# A file that changed is read once it has been the same for so long: it may be half written.
SETTLE_SECONDS = 0.2
# Told in one log line.
PROBLEMS_MAX = 20

_meter = metrics.get_meter("spendgate")
_reads = _meter.create_counter(
    names.METRIC_FILE_READS, unit="{read}", description="Readings of a changed fleet file."
)
_bad = _meter.create_gauge(
    names.METRIC_FILE_BAD, unit="1", description="1 while the fleet file cannot be used."
)

ValueT = TypeVar("ValueT")
Look = tuple[tuple[str, int, int, int], ...]


class Live(Generic[ValueT]):
    """The value as it holds now. Who took it keeps it; who asks again gets the newest."""

    def __init__(
        self,
        load: Callable[[], Awaitable[ValueT]],
        files: Callable[[ValueT], Iterable[Path]],
        part: Part,
    ) -> None:
        """`load` makes a new value or raises; an exception that lists `problems` is told with them,
        so they must hold no secrets. `files` are what a value hangs on."""
        self._load = load
        self._files = files
        self._part = part
        self._takers: list[Callable[[ValueT], None]] = []
        self._lock = asyncio.Lock()
        self._value: ValueT | None = None
        self._seen: Look = ()
        self._wanted = asyncio.Event()

    @property
    def current(self) -> ValueT:
        """What holds now. Only after open()."""
        if self._value is None:
            raise RuntimeError("read before it was opened")
        return self._value

    async def open(self) -> ValueT:
        """The first value. Raises what `load` raises: there is no earlier one to keep."""
        self._value = await self._load()
        self._seen = await asyncio.to_thread(_look, self._files(self._value))
        self._part.ok()
        return self._value

    def on_change(self, take_over: Callable[[ValueT], None]) -> None:
        """Calls `take_over` with each new value, in the order of these calls. It must not raise:
        what may fail belongs into `load`."""
        self._takers.append(take_over)

    def reload_soon(self) -> None:
        """Reads again whatever the files look like."""
        self._wanted.set()

    async def reload(self) -> bool:
        """Reads again. False: the new one cannot be used, the earlier one holds on."""
        async with self._lock:
            seen = await asyncio.to_thread(_look, self._files(self.current))
            try:
                value = await self._load()
            except Exception as error:
                self._seen = seen
                self._tell_bad(error)
                return False
            self._value = value
            # As they were before they were read: what changed meanwhile is read next time.
            after = await asyncio.to_thread(_look, self._files(value))
            before = {each[0]: each for each in seen}
            self._seen = tuple(before.get(each[0], each) for each in after)
            for take_over in self._takers:
                take_over(value)
            _reads.add(1, {names.OUTCOME: "taken"})
            _bad.set(0)
            self._part.ok()
            _log.info("the fleet file was read again and holds from now on")
            return True

    async def watch(self, seconds: float) -> None:
        """Looks every so many seconds, and when told to; works until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await self._wanted.wait()
            except TimeoutError:
                if not await self._changed():
                    continue
            self._wanted.clear()
            await self.reload()

    async def _changed(self) -> bool:
        """Whether the files are others, and have been the same for a moment."""
        files = list(self._files(self.current))
        seen = await asyncio.to_thread(_look, files)
        while seen != self._seen:
            await asyncio.sleep(SETTLE_SECONDS)
            again = await asyncio.to_thread(_look, files)
            if again == seen:
                return True
            seen = again
        return False

    def _tell_bad(self, error: Exception) -> None:
        problems = list(getattr(error, "problems", None) or [type(error).__name__])
        _reads.add(1, {names.OUTCOME: "refused"})
        _bad.set(1)
        self._part.degraded(f"the changed fleet file cannot be used: {problems[0]}")
        _log.error(
            "the changed fleet file cannot be used, the earlier one holds on",
            extra={"problems": problems[:PROBLEMS_MAX]},
        )


def _look(files: Iterable[Path]) -> Look:
    """What tells one state of the files from another; a file that is away is a state too."""
    found = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
