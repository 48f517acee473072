"""`spendgate ledger migrate`: brings the ledger's tables to the newest revision."""

import typer

from cli.books_place import DatabaseOption, books_at
from cli.place import DIR_DEFAULT, DirOption, JsonOption
from cli.problems import command
from cli.show import print_json

EPILOG = (
    "Before the replicas of a new version start: stop the old ones, run this once, start the new"
    " ones. All of it happens in one transaction, or nothing. An embedded ledger does it itself."
)


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command("migrate", epilog=EPILOG)(migrate)


@command
async def migrate(
    *,
    database_url: DatabaseOption = None,
    directory: DirOption = DIR_DEFAULT,
    check: bool = typer.Option(False, "--check", help="Change nothing; fail unless up to date."),
    as_json: JsonOption = False,
) -> None:
    """Make the ledger's tables, or bring them to what this version needs."""
    from services.ledger.sql.migrations.steps import current, newest, require_newest, upgrade
    from services.ledger.sql.partitions import make_months
    from services.ledger.wiring import wall_clock

    before: list[str | None] = []

    def work(connection) -> None:  # type: ignore[no-untyped-def]  # sqlalchemy is loaded late
        before.append(current(connection))
        if check:
            require_newest(connection)
            return
        upgrade(connection)
        make_months(connection, wall_clock())

    async with books_at(database_url, directory) as database:
        await database.prepare(work)
    if as_json:
        print_json({"from": before[-1], "to": newest()})
    elif before[-1] == newest():
        print(f"The tables are at revision {newest()}, the newest.")
    else:
        print(f"The tables are at revision {newest()} now; before: {before[-1] or 'none'}.")
