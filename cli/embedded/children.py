"""Child processes that never outlive their owner."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 10.0


class ChildGroup:
    """Starts processes in one process group, and stops them all when it is left.

    A small reaper process leads the group and holds one end of a pipe; if the owner is killed,
    the pipe closes and the reaper stops the children, the last started first.
    """

    def __init__(self, *, stop_seconds: float = STOP_SECONDS) -> None:
        self._stop_seconds = stop_seconds
        self._reaper: subprocess.Popen[str] | None = None
        self._children: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        self._reaper = subprocess.Popen(  # noqa: ASYNC220  it must exist before any child; 1 ms
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
            stdin=subprocess.PIPE,
            # It may outlive the owner for a moment; who reads the owner's output waits for its end.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in reversed(list(self._children)):
            await self.stop(child)
        reaper = self._reaper
        self._reaper = None
        if reaper is not None and reaper.stdin is not None:
            reaper.stdin.close()
            await asyncio.to_thread(reaper.wait)

    async def start(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        output: Path | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
    ) -> asyncio.subprocess.Process:
        """Start a process. Its output is added to the file `output`, or thrown away.

        `stdin` is all it can read. Raises OSError when the command cannot be run.
        """
        if self._reaper is None:
            raise RuntimeError("the group is not entered")
        with contextlib.ExitStack() as stack:
            sink: int = subprocess.DEVNULL
            if output is not None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                sink = os.open(output, flags, 0o600)
                stack.callback(os.close, sink)
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=None if env is None else dict(env),
                cwd=cwd,
                process_group=self._reaper.pid,
            )
        self._children.append(child)
        self._tell("+", child)
        if stdin and child.stdin is not None:
            with contextlib.suppress(ConnectionError):
                child.stdin.write(stdin)
                await child.stdin.drain()
            child.stdin.close()
        return child

    async def stop(self, child: asyncio.subprocess.Process) -> None:
        """End a child: ask, wait, then force. A child that is gone already is no error."""
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
                child.send_signal(signal.SIGCONT)  # a stopped process cannot hear the other
            try:
                async with asyncio.timeout(self._stop_seconds):
                    await child.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        self.forget(child)

    def kill(self) -> None:
        """End every child at once, by force. The group is left as usual afterwards."""
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()

    def forget(self, child: asyncio.subprocess.Process) -> None:
        """Drop a child that has ended by itself."""
        if child in self._children:
            self._children.remove(child)
            self._tell("-", child)

    def _tell(self, sign: str, child: asyncio.subprocess.Process) -> None:
        if self._reaper is None or self._reaper.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(f"{sign}{child.pid}\n")
            self._reaper.stdin.flush()
