"""Tenants' files: what jobs read and what they bring."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from catalog.batching import BatchConfig
from chassis.errors import FieldViolation, InvalidFields
from gateway.batches.folders import Folders
from gateway.batches.words import LimitReached, NotFound, is_name, new_name

PREFIX = "file-"
NAME_CHARS_MAX = 256
PIECE_BYTES = 256 * 2**10
INPUT, OUTPUT = "batch", "batch_output"
# A file that was begun and not ended is swept after this.
_BEGUN_SECONDS_MAX = 86_400


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file is. `create_seconds` since 1970."""

    file_id: str
    name: str
    purpose: str
    size: int
    create_seconds: int


class Files:
    """The files of all tenants. A tenant finds its own only."""

    def __init__(
        self,
        folders: Folders,
        config: BatchConfig,
        *,
        new_hex: Callable[[], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` gives seconds since 1970."""
        self._folders = folders
        self._config = config
        self._new_hex = new_hex
        self._now = now

    async def take(
        self, tenant: str, name: str, pieces: AsyncIterator[bytes], purpose: str = INPUT
    ) -> FileFacts:
        """Keeps what comes, on disk when this returns; nothing of it where it breaks off.

        Raises: InvalidFields over `file_bytes_max`; LimitReached; what `pieces` raises; OSError.
        """
        folder = self._folders.files(tenant)
        await asyncio.to_thread(self._folders.make, folder)
        room = self._config.tenant_bytes_max - await asyncio.to_thread(self.used_bytes, tenant)
        now = self._now()
        file_id = new_name(PREFIX, now, self._new_hex())
        begun = folder / f"{file_id}.part"
        size = 0
        try:
            with begun.open("xb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._config.file_bytes_max:
                        rule = f"takes at most {self._config.file_bytes_max} bytes"
                        raise InvalidFields("REQUEST_INVALID", FieldViolation("file", rule))
                    if size > room:
                        raise LimitReached("tenant_bytes_max", self._config.tenant_bytes_max)
                    await asyncio.to_thread(file.write, piece)
            facts = FileFacts(file_id, name[:NAME_CHARS_MAX], purpose, size, int(now))
            await asyncio.to_thread(self.keep, tenant, facts, begun)
        except BaseException:
            begun.unlink(missing_ok=True)
            raise
        return facts

    def keep(self, tenant: str, facts: FileFacts, begun: Path) -> None:
        """Makes the written file `begun` one of the tenant's. Blocks. Raises: OSError."""
        folder = self._folders.files(tenant)
        self._folders.make(folder)
        with begun.open("rb+") as file:
            self._folders.sync(file.fileno())
        begun.replace(folder / f"{facts.file_id}.jsonl")
        self._folders.write(folder / f"{facts.file_id}.json", orjson.dumps(asdict(facts)))

    def facts(self, tenant: str, file_id: str) -> FileFacts:
        """What a file is. Blocks shortly. Raises: NotFound."""
        if not is_name(file_id, PREFIX):
            raise NotFound("file")
        path = self._folders.files(tenant) / f"{file_id}.json"
        try:
            return FileFacts(**orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            raise NotFound("file") from None

    def path(self, tenant: str, file_id: str) -> Path:
        """Where its content is. Raises: NotFound."""
        self.facts(tenant, file_id)
        return self._folders.files(tenant) / f"{file_id}.jsonl"

    async def content(self, tenant: str, file_id: str) -> AsyncIterator[bytes]:
        """Its content in pieces. Raises: NotFound, before the first."""
        path = await asyncio.to_thread(self.path, tenant, file_id)
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece

    def all(self, tenant: str) -> Sequence[FileFacts]:
        """A tenant's files, newest first. Blocks."""
        return list(self._all(tenant))

    def delete(self, tenant: str, file_id: str) -> None:
        """Takes a file away. Blocks. Raises: NotFound."""
        path = self.path(tenant, file_id)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def used_bytes(self, tenant: str) -> int:
        """What a tenant's files take. Blocks."""
        return sum(facts.size for facts in self._all(tenant))

    def sweep(self) -> None:
        """Takes away what is older than `batch_seconds_kept_max`. Blocks."""
        now = self._now()
        for path in self._folders.root.glob("*/files/file-*"):
            with contextlib.suppress(OSError):
                age = now - path.stat().st_mtime
                begun = path.suffix == ".part" and age > _BEGUN_SECONDS_MAX
                if begun or age > self._config.batch_seconds_kept_max:
                    path.unlink()

    def _all(self, tenant: str) -> Iterator[FileFacts]:
        folder = self._folders.files(tenant)
        for path in sorted(folder.glob(f"{PREFIX}*.json"), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                yield FileFacts(**orjson.loads(path.read_bytes()))
