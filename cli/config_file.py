"""`spendgate config`: the fleet file, checked before anything starts."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.place import JsonOption
from cli.problems import EXIT_CODES_HELP, EXIT_CONFIG, Problem, command
from cli.show import print_json

FILE_DEFAULT = Path("spendgate.yaml")

app = typer.Typer(
    help="The fleet file: providers, models, prices.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)


@app.command(epilog="Example: spendgate config check spendgate.yaml")
@command
def check(
    file: Annotated[
        Path, typer.Argument(help="The fleet file.", envvar="SPENDGATE_CONFIG")
    ] = FILE_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Check a fleet file: every problem with its place, without starting anything."""
    from datetime import UTC, datetime

    from catalog.config import ConfigError
    from catalog.fleet import load_fleet
    from catalog.prices import Unpriced

    try:
        fleet = load_fleet(file)
    except ConfigError as error:
        if as_json:
            print_json({"ok": False, "file": str(file), "problems": error.problems})
            raise typer.Exit(EXIT_CONFIG) from None
        step = "mend these and check again; the keys and their meaning: spendgate config schema"
        raise Problem(str(error), step, code=EXIT_CONFIG, reason="CONFIG_INVALID") from error
    now = datetime.now(UTC)
    unpriced = []
    for name in fleet.config.models:
        try:
            fleet.book.price(name, now)
        except Unpriced:
            unpriced.append(name)
    unset = sorted(
        variable
        for whole in fleet.config.providers.values()
        for provider in whole.places()
        for variable in provider.secret_names()
        if not os.environ.get(variable)
    )
    _show(file, fleet.config, unpriced, unset, as_json=as_json)


@app.command(epilog="Example: spendgate config schema > spendgate.schema.json")
@command
def schema(as_json: JsonOption = True) -> None:
    """Print the JSON Schema of the fleet file, for editors. It is always JSON."""
    from catalog.config import json_schema

    print_json(json_schema())


def _show(file: Path, config: Any, unpriced: list[str], unset: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": True,
                "file": str(file),
                "providers": sorted(config.providers),
                "models": sorted(config.models),
                "baseline_model": config.baseline_model,
                "unpriced_models": unpriced,
                "unset_variables": unset,
            }
        )
        return
    print(f"{file}: good; {len(config.providers)} providers, {len(config.models)} models.")
    if unpriced:
        print(
            f"  without a price: {', '.join(unpriced)}; their calls are counted, not costed,"
            " and refused where a budget applies"
        )
    for name in unset:
        print(f"  not set in this shell: {name}, which holds a provider's key")
