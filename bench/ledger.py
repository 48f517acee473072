"""The ledger measured on this machine: `python -m bench.ledger`, or `make bench-ledger`.

Bookings on one hot budget and on a thousand, on SQLite and on a PostgreSQL made for the purpose,
by group commit and by a transaction a call in turns; then a month's report from the rollups against
a scan of its entries, at two sizes of books.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.ledger_bookings import Comparison, compare
from bench.ledger_reports import read
from tests.postgres import PostgresServer, why_not

BUDGETS = (1, 1000)
SIZES = (100_000, 1_000_000)
SIZES_FULL = (1_000_000, 10_000_000)


async def run(args: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Everything that `args` ask for."""
    result: dict[str, Any] = {"bookings": [], "reports": []}
    with tempfile.TemporaryDirectory(prefix="spendgate-bench-") as name:
        folder = Path(name)
        if "bookings" in args.only:
            for comparison in await _bookings(folder, args, tell):
                shown = asdict(comparison) | {"times": round(comparison.times, 1)}
                result["bookings"].append(shown)
        if "reports" in args.only:
            for size in SIZES_FULL if args.full else SIZES:
                reading = await read(folder, size, args.report_rounds, tell)
                result["reports"].append(asdict(reading) | {"times": round(reading.times)})
    return result


async def _bookings(
    folder: Path, args: argparse.Namespace, tell: Callable[[str], None]
) -> list[Comparison]:
    found = []
    for budgets in BUDGETS:
        tell(f"sqlite, {budgets} budgets")
        url = f"sqlite:///{folder / f'{budgets}.db'}"
        found.append(await _compare("sqlite", url, budgets, args))
    if why_not():
        tell(f"postgresql is left out: {why_not()}")
        return found
    with PostgresServer() as server:
        for budgets in BUDGETS:
            tell(f"postgresql, {budgets} budgets")
            found.append(await _compare("postgresql", server.new_database(), budgets, args))
    return found


async def _compare(name: str, url: str, budgets: int, args: argparse.Namespace) -> Comparison:
    return await compare(
        name, url, budgets=budgets, callers=args.callers, pairs=args.pairs, rounds=args.rounds
    )


def table_of(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    if result["bookings"]:
        lines.append("Reserve + settle        grouped/s   p50 ms   p99 ms    naive/s   times")
    for each in result["bookings"]:
        what = f"{each['database']}, {each['budgets']:,} budget{'s'[: each['budgets'] > 1]}"
        grouped, naive = each["grouped"], each["naive"]
        lines.append(
            f"{what:<23}{grouped['pairs_per_second']:>10,.0f}{grouped['p50_ms']:>9.1f}"
            f"{grouped['p99_ms']:>9.1f}{naive['pairs_per_second']:>11,.0f}{each['times']:>7.1f}x"
        )
    if result["reports"]:
        lines.append(
            "\nA month's report        rollups ms (CPU)     scan ms (CPU)    times   RSS MiB"
        )
    for each in result["reports"]:
        what = f"{each['entries']:,} entries"
        memory = f"{each['rss_mib_before']} > {each['rss_mib_after']}"
        lines.append(
            f"{what:<23}{each['report_ms']:>11.1f} ({each['report_cpu_ms']:,.0f})"
            f"{each['scan_ms']:>13,.0f} ({each['scan_cpu_ms']:,.0f})"
            f"{each['times']:>8,}x{memory:>12}"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs it and prints it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ledger", description="The ledger, measured on this machine."
    )
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--full", action="store_true", help="reports on 1 M and 10 M entries")
    parser.add_argument("--pairs", type=int, default=3000, help="bookings a round (3000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind (3)")
    parser.add_argument("--report-rounds", type=int, default=15, help="reports at each size (15)")
    parser.add_argument("--callers", type=int, default=64, help="callers at once (64)")
    parser.add_argument(
        "--only", nargs="+", choices=("bookings", "reports"), default=["bookings", "reports"]
    )
    args = parser.parse_args()

    def tell(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    result = asyncio.run(run(args, tell))
    print(json.dumps(result, indent=2) if args.json else table_of(result))


if __name__ == "__main__":
    main()
