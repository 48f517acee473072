"""`spendgate ledger`: work on the books."""

import typer

from cli import ledger_import, ledger_reconcile
from cli.problems import EXIT_CODES_HELP


def register(app: typer.Typer) -> None:
    """Adds `ledger` with its commands."""
    group = typer.Typer(help="Work on the books.", no_args_is_help=True, epilog=EXIT_CODES_HELP)
    ledger_import.register(group)
    ledger_reconcile.register(group)
    app.add_typer(group, name="ledger")
