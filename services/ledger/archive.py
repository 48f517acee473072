"""Archives old months: their rows go to Parquet files, then out of the books.

A month is written, read back and compared before anything is removed; the file is complete or not
there. Stopping at any point loses nothing: the next run does the month again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import JSON, BigInteger, Boolean, Connection, Integer, SmallInteger

from services.ledger.sql import schema
from services.ledger.sql.database import Database
from services.ledger.sql.partitions import Month, month_of
from services.ledger.sql.retention import (
    ArchiveFile,
    Totals,
    months_with_rows,
    remove,
    rows,
    totals,
)

# Who may still settle, repeat or correct a row finds it in the books.
DAYS_KEPT_MIN = 32
_DAY_US = 86_400_000_000


class FileDiffers(Exception):
    """What was read back from a file is not what was written. Nothing was removed."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A month that is in a file now, or would be."""

    month: str
    file: str
    totals: Totals


def cut(now_us: int, days_kept: int) -> int:
    """The beginning of the month that lies `days_kept` back: what ended before it may go."""
    return month_of(now_us - max(days_kept, DAYS_KEPT_MIN) * _DAY_US).span.start_us


async def archive(
    database: Database,
    folder: Path,
    *,
    before_us: int,
    now_us: int,
    dry_run: bool,
    progress: Callable[[str, int, int], None],
) -> list[Archived]:
    """Every month that ended by `before_us`, the oldest first.

    `progress` gets a month's name, the rows written and the rows there are.
    Raises: FileDiffers, MonthChanged, OSError, BooksUnavailable.
    """
    done = []
    for month in await database.read(lambda conn: months_with_rows(conn, before_us)):
        name = f"{month.name}.parquet"
        path = folder / name
        if dry_run:
            found = await database.read(lambda conn, m=month: totals(conn, m))  # type: ignore[misc]  # the default binds the month
        else:
            found = await database.read(
                lambda conn, m=month, p=path: _write(conn, m, p, progress)  # type: ignore[misc]
            )
            file = ArchiveFile(name, _sha256(path))
            await database.write(
                lambda conn, m=month, t=found, f=file: remove(conn, m, t, f, now_us)  # type: ignore[misc]
            )
        done.append(Archived(month.name.removeprefix("entry_"), name, found))
    return done


def _write(
    connection: Connection, month: Month, path: Path, progress: Callable[[str, int, int], None]
) -> Totals:
    """The month in a file, whole and on the disk; its totals, which the file has too."""
    wanted = totals(connection, month)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    kinds = _kinds()
    written = 0
    with pq.ParquetWriter(partial, kinds, compression="zstd") as writer:
        for chunk in rows(connection, month):
            writer.write_table(pa.Table.from_pylist([_plain(row) for row in chunk], kinds))
            written += len(chunk)
            progress(month.name, written, wanted.entries)
    if _totals_of(partial) != wanted:
        partial.unlink()
        raise FileDiffers(path.name)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)
    return wanted


def _totals_of(path: Path) -> Totals:
    """What a file holds, read back in pieces."""
    entries = requests = cost = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["cost_nanos", "counts_request"]):
            entries += batch.num_rows
            requests += pc.sum(batch["counts_request"]).as_py() or 0
            cost += sum(batch["cost_nanos"].to_pylist())
    return Totals(entries, requests, cost)


def _kinds() -> pa.Schema:
    return pa.schema([(column.name, _kind(column.type)) for column in schema.entry.columns])


def _kind(kind: Any) -> Any:
    if isinstance(kind, Boolean):
        return pa.bool_()
    if isinstance(kind, SmallInteger):
        return pa.int16()
    if isinstance(kind, BigInteger | Integer):
        return pa.int64()
    return pa.string()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON as text: its shape is not the same from row to row."""
    for column in _JSON_COLUMNS:
        row[column] = json.dumps(row[column], ensure_ascii=False, sort_keys=True)
    return row


_JSON_COLUMNS = [c.name for c in schema.entry.columns if isinstance(c.type, JSON)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """The new name itself must survive a crash before the rows go."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_back(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an archived month, as they were in the books."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                for column in _JSON_COLUMNS:
                    row[column] = json.loads(row[column])
                yield row
