"""`spendgate ledger`: the books' own chores, on their database or through a fleet."""

import typer

from cli import ledger_archive, ledger_import, ledger_migrate, ledger_reconcile
from cli.problems import EXIT_CODES_HELP


def register(app: typer.Typer) -> None:
    """Adds `ledger` with its commands."""
    group = typer.Typer(help="Look after the books.", no_args_is_help=True, epilog=EXIT_CODES_HELP)
    for part in (ledger_migrate, ledger_archive, ledger_import, ledger_reconcile):
        part.register(group)
    app.add_typer(group, name="ledger")
