"""Who did what, with what outcome: a JSON line for each admin call and each caller that was not let
in. Never a secret: of a credential that opens nothing only a keyed hash, so that tries with the
same one can be told from tries with many."""

import asyncio
import json
import logging
import logging.handlers
import os
import queue
import time
from pathlib import Path
from typing import Any, Protocol

_log = logging.getLogger("gateway.audit")

WAITING_MAX = 10_000


class Sink(Protocol):
    """Where lines go. Must not wait and must not raise."""

    def write(self, line: dict[str, object]) -> None:
        """Takes a line."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


class Audit:
    """Writes lines to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def refused(self, why: str, credential: str) -> None:
        """Somebody was not let in; `credential` is a keyed hash of what was shown, "" for none."""
        self._write("authenticate", why or "KEY_INVALID", credential=credential)

    def did(self, what: str, outcome: str, *, tenant: str, caller: str, target: str = "") -> None:
        """A caller did something, or tried to. `target` is the id of what it did it to."""
        self._write(what, outcome, tenant=tenant, caller=caller, target=target)

    async def close(self) -> None:
        """Writes what is left."""
        await asyncio.to_thread(self._sink.close)

    def _write(self, what: str, outcome: str, **fields: str) -> None:
        seconds = time.time()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        line: dict[str, object] = {
            "time": f"{moment}.{int(seconds % 1 * 1000):03d}Z",
            "what": what,
            "outcome": outcome,
        }
        self._sink.write(line | {name: value for name, value in fields.items() if value})


class LogSink:
    """Among the service's own log lines, by the logger gateway.audit."""

    def write(self, line: dict[str, object]) -> None:
        """Takes a line."""
        fields = {name: value for name, value in line.items() if name != "time"}
        _log.info("audit", extra=fields)

    def close(self) -> None:
        """Nothing is left."""


class _OwnersFiles(logging.handlers.RotatingFileHandler):
    """Files that nobody but their owner reads."""

    def _open(self) -> Any:
        def owned(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=owned)


class FileSink:
    """A file of its own, turned over at a size; written beside the loop.

    When the disk is slower than what comes in, lines are dropped and the next that is written says
    how many.
    """

    def __init__(self, path: Path, *, bytes_max: int, files_max: int) -> None:
        """Keeps `files_max` full files beside the one being written. Raises: OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _OwnersFiles(path, maxBytes=bytes_max, backupCount=files_max, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_MAX)
        self._listener = logging.handlers.QueueListener(self._waiting, handler)
        self._handler = handler
        self._dropped = 0
        self._listener.start()

    def write(self, line: dict[str, object]) -> None:
        """Takes a line."""
        if self._dropped:
            line = {**line, "dropped_before": self._dropped}
        text = json.dumps(line, ensure_ascii=False)
        record = logging.LogRecord("audit", logging.INFO, "", 0, text, None, None)
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._dropped += 1
        else:
            self._dropped = 0

    def close(self) -> None:
        """Writes what is left."""
        self._listener.stop()
        self._handler.close()
