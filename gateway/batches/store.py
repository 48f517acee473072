"""Jobs on disk, for whoever looks at them and for the one process that works on each.

    <job>/lines.jsonl   what it answers
    <job>/spec.json     what was asked for; never changed
    <job>/state.pb      how it stands (gateway.v1.Batch), for readers; the log is the truth
    <job>/log           what has happened (log.py)
    <job>/cancel        there when its end is asked for
    <job>/lock          held by the process that works on it

Gateways may share the folder: all of them answer for every job, the lock says whose work it is.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from google.protobuf import timestamp_pb2
from spendgate.gateway.v1 import batch_pb2 as batch_pb

from gateway.batches.folders import Folders
from gateway.batches.words import ENDED, NotFound, Spec, is_name

PREFIX = "batch_"


def moment(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since 1970 as the contracts have it."""
    nanos = int(seconds * 1000) * 10**6
    return timestamp_pb2.Timestamp(seconds=nanos // 10**9, nanos=nanos % 10**9)


class JobFolder:
    """One job's folder. Everything here blocks shortly."""

    def __init__(self, path: Path, folders: Folders) -> None:
        self.path = path
        self._folders = folders
        self._lock_fd = -1

    @property
    def batch_id(self) -> str:
        """The job's id."""
        return self.path.name

    @property
    def lines(self) -> Path:
        """What it is to answer."""
        return self.path / "lines.jsonl"

    def spec(self) -> Spec:
        """What was asked for. Raises: OSError."""
        return Spec.from_json((self.path / "spec.json").read_bytes())

    def state(self) -> batch_pb.Batch:
        """How it stands. Raises: OSError."""
        return batch_pb.Batch.FromString((self.path / "state.pb").read_bytes())

    def write_state(self, state: batch_pb.Batch) -> None:
        """Tells readers. Raises: OSError."""
        self._folders.write(self.path / "state.pb", state.SerializeToString())

    @property
    def cancelled(self) -> bool:
        """Whether its end was asked for."""
        return (self.path / "cancel").exists()

    def cancel(self) -> None:
        """Asks for its end. Raises: OSError."""
        self._folders.write(self.path / "cancel", b"")

    def lock(self) -> bool:
        """Takes the job to work on; False: another process has it. Raises: OSError."""
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def unlock(self) -> None:
        """Gives it back."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


class Jobs:
    """The jobs of all tenants. A tenant finds its own only. Everything here blocks."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    @classmethod
    def at(cls, root: Path) -> Self:
        """Those in the folder `root`."""
        return cls(Folders(root))

    def make(self, spec: Spec, source: Path) -> batch_pb.Batch:
        """Takes a job in: whole, or not at all. `source`, the file, stays its own: whoever deletes
        the file takes nothing from the job. Raises: OSError."""
        home = self._folders.jobs(spec.tenant)
        self._folders.make(home)
        begun = home / f".{spec.batch_id}"
        begun.mkdir(mode=0o700)
        folder = JobFolder(begun, self._folders)
        os.link(source, folder.lines)
        self._folders.write(begun / "spec.json", spec.to_json())
        state = batch_pb.Batch(
            batch_id=spec.batch_id,
            state=batch_pb.BATCH_STATE_VALIDATING,
            input_file_id=spec.input_file_id,
            create_time=moment(spec.create_seconds),
            expire_time=moment(spec.expire_seconds),
            metadata=spec.metadata,
            trace_id=spec.traceparent[3:35],
        )
        folder.write_state(state)
        begun.rename(home / spec.batch_id)
        self._folders.keep(home)
        return state

    def find(self, tenant: str, batch_id: str) -> JobFolder:
        """A tenant's job. Raises: NotFound."""
        path = self._folders.jobs(tenant) / batch_id
        if not is_name(batch_id, PREFIX) or not path.is_dir():
            raise NotFound("batch")
        return JobFolder(path, self._folders)

    def of(self, tenant: str) -> Sequence[JobFolder]:
        """A tenant's jobs, newest first."""
        found = self._folders.jobs(tenant).glob(f"{PREFIX}*")
        paths = sorted(found, key=lambda path: path.name, reverse=True)
        return [JobFolder(path, self._folders) for path in paths]

    def all(self) -> Sequence[JobFolder]:
        """Every tenant's jobs, oldest first."""
        return [JobFolder(path, self._folders) for path in self._folders.all_jobs()]

    def submitted_as(self, tenant: str, request_id: str) -> JobFolder | None:
        """The tenant's job of this submission."""
        for job in self.of(tenant):
            with suppress(OSError):
                if job.spec().request_id == request_id:
                    return job
        return None

    def unfinished(self, tenant: str) -> int:
        """A tenant's jobs that have not ended."""
        count = 0
        for job in self.of(tenant):
            with suppress(OSError):
                count += job.state().state not in ENDED
        return count

    def drop(self, job: JobFolder) -> None:
        """Takes a job away."""
        self._folders.drop(job.path)
