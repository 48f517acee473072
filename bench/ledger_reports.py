"""A month's report from the rollups against a full scan of its entries, at two sizes of books.

The rows are made by SQL, not through the ledger, and summed up as the ledger would; the report is
asked for over gRPC, as a caller does it.
"""

import asyncio
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
from pydantic import SecretStr
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc
from sqlalchemy import JSON, Table, Text

from chassis.server import running
from services.ledger.settings import LedgerSettings
from services.ledger.sql import schema
from services.ledger.sql.migrations.steps import upgrade
from services.ledger.wiring import build, open_database

TENANT = "acme"
# 2026-03-01 and 2026-04-01, UTC.
MONTH_US = (1_772_323_200_000_000, 1_775_001_600_000_000)
CHUNK_ROWS = 500_000
USERS, FEATURES, MODELS = 40, 5, 4
_STEP = "n * 7919"
# What a row of number n holds; every other column holds nothing.
ENTRY = {
    "entry_no": "n",
    "entry_id": "printf('e%010d', n)",
    "owner_id": "printf('h%010d', n)",
    "request_id": "printf('r%010d', n)",
    "tenant": f"'{TENANT}'",
    "project": "'web'",
    "user_id": f"'u' || ({_STEP} % {USERS})",
    "feature": f"'f' || ({_STEP} % {FEATURES})",
    "model_used": f"'m' || ({_STEP} % {MODELS})",
    "provider": "'somewhere'",
    "kind": "1",
    "outcome": "1",
    "attempt_number": "1",
    "usage_source": "1",
    "input_tokens": "900 + n % 200",
    "output_tokens": "90 + n % 20",
    "cost_nanos": "1000000 + n % 1000",
    "counterfactual_nanos": "1000000 + n % 1000",
    "latency_ms": "800 + n % 100",
    "counts_request": "1",
    "counterfactuals": "'[]'",
    "price_version": "'p1'",
    "book_us": "{start} + n * {gap}",
}
ROLLUP_SUMS = {
    "request_count": "count(*)",
    "attempt_count": "count(*)",
    **{
        name: f"sum({name})"
        for name in (
            "input_tokens",
            "output_tokens",
            "cost_nanos",
            "counterfactual_nanos",
            "latency_ms",
        )
    },
}
ROLLUP_KEY = {
    "hour_us": "book_us - book_us % 3600000000",
    **{name: name for name in ("tenant", "project", "user_id", "feature", "provider", "kind")},
    "model": "model_used",
}


Timed = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """How long a month's report took, both ways, on books of so many entries."""

    entries: int
    rollup_rows: int
    file_mib: int
    report_ms: float
    scan_ms: float
    # The same in CPU of this process, which what else the machine does leaves alone.
    report_cpu_ms: float
    scan_cpu_ms: float
    rss_mib_before: int
    rss_mib_after: int

    @property
    def times(self) -> float:
        """How many times as long the scan takes."""
        return self.scan_ms / self.report_ms


async def read(folder: Path, entries: int, rounds: int, tell: Callable[[str], None]) -> Reading:
    """Makes the books in `folder`, then asks both ways; medians over the rounds."""
    path = folder / f"books-{entries}.db"
    await _prepare(path)
    await asyncio.to_thread(_fill, path, entries, tell)
    settings = LedgerSettings(
        database_url=f"sqlite:///{path}", key_pepper=SecretStr("a pepper of no worth")
    )
    async with (
        running("ledger", settings, build) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = rpc.LedgerServiceStub(channel)
        await _report(stub)
        before = _rss_mib()
        tell(f"{entries:,} entries: asking the rollups")
        reports = [await _report(stub) for _ in range(rounds)]
        after = _rss_mib()
    tell(f"{entries:,} entries: scanning the entries")
    scans = [await asyncio.to_thread(_scan, path) for _ in range(max(1, rounds // 5))]
    if {cost for _, _, cost in reports} != {cost for _, _, cost in scans}:
        raise SystemExit("the report and the scan do not agree")
    with closing(sqlite3.connect(path)) as file:
        (rows,) = file.execute("SELECT count(*) FROM rollup_hour").fetchone()
    size = path.stat().st_size // 2**20
    return Reading(
        entries,
        rows,
        size,
        median(took for took, _, _ in reports),
        median(took for took, _, _ in scans),
        report_cpu_ms=median(cpu for _, cpu, _ in reports),
        scan_cpu_ms=median(cpu for _, cpu, _ in scans),
        rss_mib_before=before,
        rss_mib_after=after,
    )


async def _prepare(path: Path) -> None:
    database = open_database(f"sqlite:///{path}", wait_seconds=30)
    await database.prepare(upgrade)
    await database.close()


def _fill(path: Path, entries: int, tell: Callable[[str], None]) -> None:
    start, end = MONTH_US
    values = _values(schema.entry, ENTRY)
    values["book_us"] = ENTRY["book_us"].format(start=start, gap=(end - start) // (entries + 1))
    with closing(sqlite3.connect(path)) as file:
        # Nobody misses these books: speed instead of safety.
        file.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN")
        for first, last in _chunks(entries):
            file.execute(
                f"WITH RECURSIVE number(n) AS (SELECT {first} UNION ALL"  # our own
                f" SELECT n + 1 FROM number WHERE n < {last})"
                f" INSERT INTO entry ({', '.join(values)})"
                f" SELECT {', '.join(values.values())} FROM number"
            )
            tell(f"{entries:,} entries: {last:,} made")
        _sum_up(file)
        file.commit()
        file.execute("PRAGMA journal_mode=WAL")


def _sum_up(file: sqlite3.Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if not table.name.startswith("rollup_"):
            continue
        keys = {n: e for n, e in ROLLUP_KEY.items() if n in table.columns}
        keys |= {"day_us": "book_us - book_us % 86400000000"} if "day_us" in table.columns else {}
        columns = _values(table, keys | ROLLUP_SUMS)
        file.execute(
            f"INSERT INTO {table.name} ({', '.join(columns)})"  # our own
            f" SELECT {', '.join(columns.values())} FROM entry GROUP BY {', '.join(keys.values())}"
        )


def _values(table: Table, known: dict[str, str]) -> dict[str, str]:
    """An expression for each column that may not be empty."""
    values = {}
    for column in table.columns:
        nothing = "'{}'" if isinstance(column.type, JSON) else "0"
        nothing = "''" if isinstance(column.type, Text) else nothing
        if column.name in known or not column.nullable:
            values[column.name] = known.get(column.name, nothing)
    return values


def _chunks(entries: int) -> Iterator[tuple[int, int]]:
    for first in range(1, entries + 1, CHUNK_ROWS):
        yield first, min(entries, first + CHUNK_ROWS - 1)


async def _report(stub: rpc.LedgerServiceStub) -> Timed:
    """Milliseconds, those of CPU, and what it says the month cost."""
    request = pb.ReportRequest(
        tenant=TENANT, group_by=[pb.DIMENSION_MODEL, pb.DIMENSION_FEATURE], page_size=1000
    )
    request.start_time.FromMicroseconds(MONTH_US[0])
    request.end_time.FromMicroseconds(MONTH_US[1])
    watch = _watch()
    answer = await stub.Report(request, timeout=600)
    return *watch(), int(answer.total.cost_nanos)


def _scan(path: Path) -> Timed:
    watch = _watch()
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute(
            "SELECT model_used, feature, count(*), sum(input_tokens), sum(output_tokens),"
            " sum(cost_nanos), sum(latency_ms) FROM entry NOT INDEXED"
            " WHERE tenant = ? AND book_us >= ? AND book_us < ? GROUP BY model_used, feature",
            (TENANT, *MONTH_US),
        ).fetchall()
    return *watch(), sum(row[5] for row in rows)


def _watch() -> Callable[[], tuple[float, float]]:
    """Tells the milliseconds from now, and those of CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    return lambda: (1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu))


def _rss_mib() -> int:
    """The most memory this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
