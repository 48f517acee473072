"""`spendgate ledger archive`: moves old months out of the books into Parquet files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.books_place import DatabaseOption, books_at
from cli.place import DIR_DEFAULT, DirOption, JsonOption
from cli.problems import Problem, command
from cli.show import print_json

DAYS_KEPT_DEFAULT = 400
EPILOG = (
    "Balances and reports stay as they are: only the single rows leave the database. A month is"
    " written, read back and compared before its rows go, and may be archived while ledgers run."
    " Example: spendgate ledger archive --to archive/ --days-kept 400"
)


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command("archive", epilog=EPILOG)(archive)


@command
async def archive(
    *,
    to: Annotated[Path, typer.Option("--to", help="Folder of the files, one a month.")],
    days_kept: Annotated[
        int, typer.Option(min=32, help="Keep months that have a day within so many days.")
    ] = DAYS_KEPT_DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    database_url: DatabaseOption = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Move the rows of old months into Parquet files."""
    from dataclasses import asdict

    from catalog.money import usd_text
    from services.ledger.sql.migrations.steps import require_newest
    from services.ledger.wiring import wall_clock

    try:
        from services.ledger import archive as work
    except ImportError:
        raise Problem(
            "Parquet files need pyarrow", "install the extra: spendgate[archive]"
        ) from None
    from services.ledger.sql.retention import MonthChanged

    def progress(month: str, written: int, rows: int) -> None:
        print(f"\r{month}: {written:,} of {rows:,} rows", end="", file=sys.stderr, flush=True)
        if written == rows:
            print(file=sys.stderr)

    now_us = wall_clock()
    async with books_at(database_url, directory) as database:
        await database.prepare(require_newest)
        try:
            done = await work.archive(
                database,
                to,
                before_us=work.cut(now_us, days_kept),
                now_us=now_us,
                dry_run=dry_run,
                progress=progress,
            )
        except (work.FileDiffers, MonthChanged):
            raise Problem(
                "a month's file and its rows are not the same; no row of it was removed",
                "run it again; if it stays so, ask: spendgate ledger verify",
            ) from None
        except OSError as error:
            raise Problem(f"the files cannot be written: {error.strerror}") from None
    if as_json:
        rows = [asdict(each) | {"totals": asdict(each.totals)} for each in done]
        for row in rows:
            row["totals"]["cost_nanos"] = str(row["totals"]["cost_nanos"])
        print_json({"dry_run": dry_run, "months": rows})
        return
    if not done:
        print("No month is old enough.")
    for each in done:
        verb = "would go" if dry_run else "is"
        print(
            f"{each.month}: {each.totals.entries:,} rows, {usd_text(each.totals.cost_nanos)} USD,"
            f" {verb} in {to / each.file}"
        )
