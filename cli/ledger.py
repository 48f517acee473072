"""`spendgate ledger`: the books' own chores, on their database and not through a fleet."""

import typer

from cli import ledger_archive, ledger_migrate


def register(app: typer.Typer) -> None:
    """Adds `ledger` with its commands."""
    group = typer.Typer(
        help="Look after the ledger's database.", no_args_is_help=True, rich_markup_mode=None
    )
    ledger_migrate.register(group)
    ledger_archive.register(group)
    app.add_typer(group, name="ledger")
