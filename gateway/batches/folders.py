"""Where batches lie on disk: a folder a tenant, named by a hash, so that none can name another's.

<root>/<tenant>/files/file-....json     what a file is; written last, so it makes it one
<root>/<tenant>/files/file-....jsonl    its content
<root>/<tenant>/jobs/batch_.../         one job (store.py)
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_DIGITS = 32


class Folders:
    """Paths, and writing that lasts. Everything here blocks."""

    def __init__(self, root: Path, sync: Callable[[int], None] = os.fsync) -> None:
        self.root = root
        self.sync = sync

    def of(self, tenant: str) -> Path:
        """A tenant's own folder."""
        return self.root / hashlib.sha256(tenant.encode()).hexdigest()[:_DIGITS]

    def files(self, tenant: str) -> Path:
        """A tenant's files."""
        return self.of(tenant) / "files"

    def jobs(self, tenant: str) -> Path:
        """A tenant's jobs."""
        return self.of(tenant) / "jobs"

    def all_jobs(self) -> Iterator[Path]:
        """Every job's folder, oldest first."""
        found = self.root.glob("*/jobs/batch_*")
        yield from sorted(found, key=lambda path: path.name)

    def make(self, path: Path) -> None:
        """The folder, for the gateway alone. Raises: OSError."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        # Each by itself: parents made along would have the process's mask.
        for folder in (self.root, *reversed(path.relative_to(self.root).parents), path):
            (self.root / folder).mkdir(exist_ok=True, mode=0o700)

    def write(self, path: Path, content: bytes) -> None:
        """The whole file or the one before, whatever happens. Raises: OSError."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            self.sync(file.fileno())
        part.replace(path)
        self.keep(path.parent)

    def keep(self, folder: Path) -> None:
        """Makes names in `folder` last. Raises: OSError."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def drop(self, path: Path) -> None:
        """Deletes a folder with all that is in it, if it is there."""
        shutil.rmtree(path, ignore_errors=True)
