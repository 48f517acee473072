"""`spendgate eval`: Spendgate's own parts, measured on a file."""

import typer

from cli import eval_cache, eval_context, eval_router


def register(app: typer.Typer) -> None:
    """Adds `eval` with its commands."""
    group = typer.Typer(help="Measure Spendgate's own parts on a file.", no_args_is_help=True)
    eval_router.register(group)
    eval_context.register(group)
    eval_cache.register(group)
    app.add_typer(group, name="eval")
