"""`spendgate`: one door to a fleet. Each command is a file of its own."""

import importlib
import sys
from collections.abc import Sequence

import typer

from cli import budget, chat, config_file, key, models, report, trace, up
from cli.problems import EXIT_CODES_HELP

SINGLE_COMMANDS = (up, chat, report, models, trace)
DEMO_HELP = "Run a support chatbot's day through a fleet and print what it saved."


def build(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command line. The demo's parts are loaded only when `arguments` begin with it."""
    app = typer.Typer(
        name="spendgate",
        help="Spendgate: every LLM call counted, cached, routed, budgeted and explained.",
        epilog=EXIT_CODES_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for module in SINGLE_COMMANDS:
        name = module.__name__.rpartition(".")[2]
        app.command(name, epilog=module.EPILOG)(getattr(module, name))
    app.add_typer(budget.app, name="budget")
    app.add_typer(key.app, name="key")
    app.add_typer(config_file.app, name="config")
    if arguments[:1] == ["demo"]:
        importlib.import_module("cli.demo").register(app)
    else:
        app.command("demo", help=DEMO_HELP)(_demo_is_elsewhere)
    return app


def run() -> None:
    """The entry point of `spendgate`."""
    build(sys.argv[1:])()


def _demo_is_elsewhere() -> None:
    """Stands in the list of commands; the real one is mounted when it is called."""


if __name__ == "__main__":
    run()
