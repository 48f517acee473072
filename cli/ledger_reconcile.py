"""`spendgate ledger reconcile`: a provider's own numbers against the books."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.place import (
    DIR_DEFAULT,
    TENANT,
    DirOption,
    JsonOption,
    LedgerOption,
    TenantOption,
    TokenOption,
    reading_of,
)
from cli.problems import EXIT_FAILED, EXIT_USAGE, Problem, command
from cli.show import as_dict, print_json, print_table

SECONDS_MAX = 300.0
LINES_MAX = 10_000
FILE_BYTES_MAX = 256 * 2**20
EPILOG = (
    "Example: spendgate ledger reconcile usage.json costs.json --provider openai\n\n"
    "Exit codes: 0 they agree; 1 they do not, or it failed; 2 wrong usage; 3 no fleet answers."
)


def register(group: typer.Typer) -> None:
    """Adds `reconcile`."""
    group.command("reconcile", epilog=EPILOG)(reconcile)


@command
async def reconcile(
    files: Annotated[
        list[Path], typer.Argument(help="Pages of the provider's usage and cost API, as JSON.")
    ],
    *,
    provider: Annotated[str, typer.Option(help="Whose: openai or anthropic.")],
    only: Annotated[
        str, typer.Option("--only", help="Only this configured provider. Default: any.")
    ] = "",
    tolerance: Annotated[
        int, typer.Option(min=1, max=1000, help="Thousandths that two amounts may be apart.")
    ] = 5,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a provider's usage or cost export against the books: drift by day and model, and why."""
    from spendgate.ledger.v1 import insight_pb2
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    lines = read_files(files, provider, only)
    request = pb.ReconcileRequest(tenant=tenant, lines=lines, tolerance_permille=tolerance)
    async with reading_of(directory, ledger, token) as talk:
        response = await talk.call("Reconcile", request, SECONDS_MAX)
    if as_json:
        print_json(as_dict(response))
    else:
        _show(response)
    if any(drift.cause != insight_pb2.DRIFT_CAUSE_NONE for drift in response.drifts):
        raise typer.Exit(EXIT_FAILED)


def read_files(files: list[Path], shape: str, provider: str) -> list[Any]:
    """The lines in the files. Raises Problem."""
    from cli.provider_files import Lines, Unreadable, messages, read

    lines = Lines()
    for path in files:
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise Problem(f"{path} is over {FILE_BYTES_MAX} bytes")
            read(path.read_text(encoding="utf-8"), shape, lines)
        except OSError as error:
            raise Problem(f"{path} cannot be read: {error.strerror}", code=EXIT_USAGE) from error
        except (Unreadable, UnicodeDecodeError) as error:
            step = "export pages of the usage or costs API as JSON"
            raise Problem(f"{path} {error}", step, code=EXIT_USAGE) from error
    made = messages(lines, provider)
    if not made:
        raise Problem("the files hold no line", code=EXIT_USAGE)
    if len(made) > LINES_MAX:
        raise Problem(f"the files hold over {LINES_MAX:,} lines", "give fewer days at once")
    return made


def _show(response: Any) -> None:
    from spendgate.ledger.v1 import insight_pb2

    from cli.demo_money import usd

    rows = []
    for drift in response.drifts:
        cause = insight_pb2.DriftCause.Name(drift.cause).removeprefix("DRIFT_CAUSE_").lower()
        told = drift.provider.HasField("cost_nanos")
        rows.append(
            [
                drift.provider.day,
                drift.provider.model or "(all)",
                usd(drift.provider.cost_nanos, 4) if told else "-",
                usd(drift.booked.cost_nanos, 4),
                usd(drift.cost_drift_nanos, 4) if drift.HasField("cost_drift_nanos") else "-",
                "agrees" if cause == "none" else cause.replace("_", " "),
                "" if cause == "none" else drift.explanation,
            ]
        )
    print_table(
        ["day", "model", "provider says", "booked", "drift", "cause", "why"], rows, right="  rrr"
    )
    if response.HasField("provider_cost_nanos"):
        drift = response.booked_cost_nanos - response.provider_cost_nanos
        print(
            f"\nIn all {usd(response.provider_cost_nanos, 4)} there,"
            f" {usd(response.booked_cost_nanos, 4)} here: {usd(drift, 4)} apart."
        )
