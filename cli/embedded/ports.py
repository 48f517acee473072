"""Ports on loopback, claimed so that two fleets of one user never reach for the same one."""

import fcntl
import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"
TRIES = 100
PORT_MAX = 65_535


class NoPort(Exception):
    """No port could be had."""


class Ports:
    """Claims ports while it is entered. A claim is a locked file beside the port's number.

    Between "nobody listens there" and a child's own bind another fleet may start: the claim
    closes that gap. Ports stay below the range from which systems draw for outgoing calls, so
    that a child that is restarted finds its port free.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"spendgate-ports-{os.getuid()}"
        self._stack = ExitStack()

    def __enter__(self) -> "Ports":
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def claim(self, preferred: int) -> int:
        """`preferred`, else the next port after it that is free. Raises NoPort."""
        for port in range(preferred, min(preferred + TRIES, PORT_MAX + 1)):
            if self._claimed(port):
                return port
        raise NoPort(f"no port from {preferred} to {preferred + TRIES - 1} is free")

    def _claimed(self, port: int) -> bool:
        handle = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_free(port):
                raise BlockingIOError
        except BlockingIOError:
            os.close(handle)
            return False
        self._stack.callback(os.close, handle)
        return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True
