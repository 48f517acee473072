"""Files that an export is written to, piece by piece, so that a break costs one piece at most.

A text file is cut back to the last whole piece before it goes on. Parquet files cannot be
appended to: each run of pieces is a part of its own in a folder, renamed once it is whole.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from cli import export_focus, export_rows
from cli.problems import Problem
from cli.report_rows import safe_cell

PART_ROWS_MAX = 100_000

Record = Callable[[Any], dict[str, Any]]


class Writer(Protocol):
    """Takes pieces of rows; `keep` makes them last and returns what to go on with."""

    def add(self, entries: Sequence[Any]) -> None:
        """Takes rows."""
        ...

    def keep(self) -> dict[str, Any] | None:
        """Puts what was added on disk; the state to go on from, None while nothing is whole."""
        ...

    def close(self) -> dict[str, Any]:
        """Writes what is left; the last state."""
        ...


class TextWriter:
    """CSV or JSON Lines in one file."""

    def __init__(self, path: Path, record: Record, form: str, state: dict[str, Any]) -> None:
        self._record = record
        self._csv = form == "csv"
        self._size = int(state.get("bytes", 0))
        self._file = path.open("r+b" if self._size else "wb")
        # What was written after the last state is written again.
        self._file.truncate(self._size)
        self._file.seek(self._size)

    def add(self, entries: Sequence[Any]) -> None:
        """Takes rows."""
        text = io.StringIO()
        records = [self._record(entry) for entry in entries]
        if self._csv:
            writer = csv.writer(text, lineterminator="\n")
            if not self._size and records:
                writer.writerow(records[0])
            writer.writerows([[_cell(v) for v in each.values()] for each in records])
        else:
            for each in records:
                text.write(json.dumps(each, ensure_ascii=False) + "\n")
        self._size += self._file.write(text.getvalue().encode())

    def keep(self) -> dict[str, Any] | None:
        """On disk, not only on its way there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"bytes": self._size}

    def close(self) -> dict[str, Any]:
        """The last state."""
        state = self.keep() or {}
        self._file.close()
        return state


class ParquetWriter:
    """Parquet parts in a folder."""

    def __init__(self, path: Path, record: Record, state: dict[str, Any]) -> None:
        check_parquet()
        self._folder = path
        self._record = record
        self._part = int(state.get("parts", 0))
        self._records: list[dict[str, Any]] = []
        path.mkdir(parents=True, exist_ok=True)

    def add(self, entries: Sequence[Any]) -> None:
        """Takes rows."""
        self._records += [self._record(entry) for entry in entries]

    def keep(self) -> dict[str, Any] | None:
        """A part once there are enough rows for one."""
        return self._write() if len(self._records) >= PART_ROWS_MAX else None

    def close(self) -> dict[str, Any]:
        """The last part."""
        return self._write() if self._records else {"parts": self._part}

    def _write(self) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist([_typed(each) for each in self._records], schema(self._record))
        name = f"part-{self._part:05d}.parquet"
        unfinished = self._folder / f".{name}.tmp"
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.rename(self._folder / name)
        self._part += 1
        self._records = []
        return {"parts": self._part}


def check_parquet() -> None:
    """Raises Problem when Parquet cannot be written here."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise Problem("Parquet needs pyarrow", "install spendgate[archive]")


def schema(record: Record) -> Any:
    """The columns of a Parquet export. Money in USD is a decimal with nine places."""
    import pyarrow as pa
    from spendgate.ledger.v1 import entry_pb2

    usd = pa.decimal128(38, 9)
    kinds = {
        **dict.fromkeys(export_rows.NUMBERS, pa.int64()),
        **dict.fromkeys((*export_focus.NUMBERS, "cost_usd", "x_CounterfactualCost"), usd),
        "book_time": pa.timestamp("us", tz="UTC"),
        "late": pa.bool_(),
    }
    empty = entry_pb2.Entry()
    empty.attempt.kind = entry_pb2.ENTRY_KIND_CALL
    empty.attempt.outcome = entry_pb2.ATTEMPT_OUTCOME_OK
    return pa.schema([(name, kinds.get(name, pa.string())) for name in record(empty)])


def _typed(record: dict[str, Any]) -> dict[str, Any]:
    from datetime import datetime
    from decimal import Decimal

    money = {*export_focus.NUMBERS, "cost_usd", "x_CounterfactualCost"}
    typed: dict[str, Any] = {name: Decimal(v) if name in money else v for name, v in record.items()}
    if "book_time" in typed:
        typed["book_time"] = datetime.fromisoformat(typed["book_time"])
    return typed


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_cell(value)
