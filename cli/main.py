"""`spendgate`: one door to a fleet. Each command is a file of its own."""

import importlib
import sys
from collections.abc import Sequence

import typer

from cli import budget, chat, config_file, key, models, report, report_days, trace, up
from cli.problems import EXIT_CODES_HELP

SINGLE_COMMANDS = (up, chat, models, trace)
# Command -> where it is and what it is for. Loaded when called: they bring much along.
LAZY = {
    "demo": ("cli.demo", "Run a support chatbot's day through a fleet and print what it saved."),
    "calc": ("cli.calc", "Reckon what could be saved, from a few figures, an export or the books."),
    "cost": ("cli.cost", "Print what a call costs, exactly, from the usage its provider told."),
    "estimate": ("cli.estimate", "Ask what a prompt would cost, before it is sent."),
    "compare": ("cli.compare", "Ask several models the same and see answers and costs."),
    "prices": ("cli.prices", "Show what other prices would have changed."),
    "route": ("cli.route_explain", "Ask the router what it would choose, and why."),
    "cache": ("cli.cache", "See what the cache saved and why; take answers out of it."),
    "export": ("cli.export", "Write booked rows to a file: CSV, JSON Lines, Parquet or FOCUS."),
    "batch": ("cli.batch", "Answer a file of requests that may wait, for less."),
    "alerts": ("cli.alerts", "List alerts, or watch them come."),
    "opportunities": ("cli.opportunities", "What could be saved, with evidence."),
    "anatomy": ("cli.anatomy", "Where the money went, from a naive estimate on."),
    "ledger": ("cli.ledger", "Look after the books: verify, migrate, archive, import."),
    "compression": ("cli.compression", "Test whether answers survive shorter prompts."),
    "eval": ("cli.evals", "Measure Spendgate's own parts on a file."),
}


def build(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command line. What is LAZY is loaded only when `arguments` begin with it."""
    app = typer.Typer(
        name="spendgate",
        help="Spendgate: every LLM call counted, cached, routed, budgeted and explained.",
        epilog=EXIT_CODES_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for single in SINGLE_COMMANDS:
        name = single.__name__.rpartition(".")[2]
        app.command(name, epilog=single.EPILOG)(getattr(single, name))
    report_days.register(report.app)
    app.add_typer(report.app, name="report")
    app.add_typer(budget.app, name="budget")
    app.add_typer(key.app, name="key")
    app.add_typer(config_file.app, name="config")
    for name, (module, purpose) in LAZY.items():
        if arguments[:1] == [name]:
            importlib.import_module(module).register(app)
        else:
            app.command(name, help=purpose)(_loaded_when_called)
    return app


def run() -> None:
    """The entry point of `spendgate`."""
    build(sys.argv[1:])()


def _loaded_when_called() -> None:
    """Stands in the list of commands for one of LAZY."""


if __name__ == "__main__":
    run()
