"""The folder of an embedded fleet: its lock, its secrets, where it runs, and its data.

.spendgate/            mode 0700, as is everything in it
  lock                 held while a fleet runs here
  secrets.json         minted once: the fleet's own token, the pepper of the ledger's keys
  fleet.json           where the running fleet is; gone when none runs
  ledger.db  redis/  outbox/  batches/  ratios/  logs/
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

LOG_BYTES_MAX = 8 * 1024 * 1024
LOCK_TRIES = 5
LOCK_PAUSE_SECONDS = 0.02


class FolderProblem(Exception):
    """The folder cannot be used. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only this fleet knows. Never printed."""

    internal_token: str
    key_pepper: str


@dataclass(frozen=True, slots=True)
class FleetFile:
    """Where a running fleet is, for commands on the same machine."""

    pid: int
    gateway: str
    http: str
    router: str
    ledger: str
    traces: str


class Folder:
    """An embedded fleet's folder, made on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def make(self) -> None:
        """Make the folder with its parts. Raises FolderProblem."""
        try:
            for part in (self.path, self.logs, self.outbox):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise FolderProblem(f"{self.path} cannot be used: {error.strerror}.") from error

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.path / "logs"

    @property
    def outbox(self) -> Path:
        """What the gateway must still book."""
        return self.path / "outbox"

    @property
    def batches(self) -> Path:
        """Batch jobs and files."""
        return self.path / "batches"

    @property
    def outcomes(self) -> Path:
        """What the router has learned from."""
        return self.path / "outcomes.jsonl"

    @property
    def ratios(self) -> Path:
        """What the tokenizer has learned of models without a public vocabulary."""
        return self.path / "ratios"

    @property
    def redis(self) -> Path:
        """The private redis-server's own."""
        return self.path / "redis"

    @property
    def database_url(self) -> str:
        """The ledger's SQLite file."""
        return f"sqlite:///{self.path / 'ledger.db'}"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    def trim_logs(self) -> None:
        """Start a log that has grown too long anew; one old piece of each is kept.

        The file stays the same, so that a process may go on appending to it.
        """
        for log in self.logs.glob("*.log"):
            with contextlib.suppress(OSError):
                if log.stat().st_size > LOG_BYTES_MAX:
                    log.with_suffix(".log.1").write_bytes(log.read_bytes())
                    os.truncate(log, 0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one fleet. Raises FolderProblem when another one has it."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                _lock(handle)
            except BlockingIOError:
                holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
                raise FolderProblem(
                    f"A fleet runs in {self.path} already (process {holder or 'unknown'}). Stop it"
                    " with Ctrl-C there, or start another one in its own folder: --dir PATH."
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def secrets(self) -> Secrets:
        """The fleet's secrets, minted at the first call. Raises FolderProblem."""
        path = self.path / "secrets.json"
        try:
            return Secrets(**json.loads(path.read_text()))
        except FileNotFoundError:
            minted = Secrets(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
            self._write(path, asdict(minted))
            return minted
        except (OSError, ValueError, TypeError) as error:
            raise FolderProblem(
                f"{path} cannot be read. Without it the keys in this folder's books stop working:"
                " restore it, or start a new fleet in another folder with --dir PATH."
            ) from error

    def write_fleet(self, fleet: FleetFile) -> None:
        """Say where the fleet is."""
        self._write(self.path / "fleet.json", asdict(fleet))

    def forget_fleet(self) -> None:
        """Say that none runs."""
        (self.path / "fleet.json").unlink(missing_ok=True)

    def read_fleet(self) -> FleetFile | None:
        """Where the running fleet is; None when none runs here."""
        try:
            found = FleetFile(**json.loads((self.path / "fleet.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if self._is_locked() else None

    def local_key(self) -> str | None:
        """The key that commands on this machine use; None before the first start."""
        try:
            return (self.path / "local.key").read_text().strip() or None
        except OSError:
            return None

    def keep_local_key(self, secret: str) -> None:
        """Keep the key that commands on this machine use."""
        self._write_text(self.path / "local.key", secret)

    def _is_locked(self) -> bool:
        """Whether a fleet runs: a lock ends with its process, a file or a pid would not."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _write(self, path: Path, content: object) -> None:
        self._write_text(path, json.dumps(content, indent=2) + "\n")

    def _write_text(self, path: Path, text: str) -> None:
        """Whole or not at all, and never readable by others."""
        new = path.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def _lock(handle: int) -> None:
    """Take the lock. A command that looks whether it is held holds it for a blink itself."""
    for attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if attempt == LOCK_TRIES - 1:
                raise
            time.sleep(LOCK_PAUSE_SECONDS)
