"""`spendgate report`: what was spent and saved, by whom."""

from datetime import UTC, datetime
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
    ledger_of,
)
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, print_json, print_table

DIMENSIONS = ("feature", "model", "user", "project", "provider", "kind")
DIMENSIONS_MAX = 3
EPILOG = "Example: spendgate report --by feature,model --since 7d"


@command
async def report(
    *,
    by: Annotated[
        str, typer.Option(help=f"Group by up to three of: {', '.join(DIMENSIONS)}.")
    ] = "feature",
    since: Annotated[str, typer.Option(help="From then on: 24h, 7d, or a date.")] = "",
    until: Annotated[str, typer.Option(help="Before then: 24h, 7d, or a date.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many groups.")] = 50,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sum what was booked: requests, cache hits, tokens, spent, saved by cause."""
    names = dimensions(by)
    request = _request(names, tenant, since, until, limit)
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("Report", request)
    if as_json:
        print_json(as_dict(response))
        return
    if not response.rows:
        print('Nothing is booked yet. A first request: spendgate chat "..."')
        return
    _show(names, response, Path(directory))


def dimensions(text: str) -> list[str]:
    """The names in "feature,model". Raises Problem."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or len(names) > DIMENSIONS_MAX or len(set(names)) != len(names):
        what = f"{unknown[0]!r} is no dimension" if unknown else f"{text!r} cannot be grouped by"
        step = f"give up to {DIMENSIONS_MAX} different ones of: {', '.join(DIMENSIONS)}"
        raise Problem(what, step, code=EXIT_USAGE)
    return names


def _request(names: list[str], tenant: str, since: str, until: str, limit: int) -> Any:
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import moment_of

    request = pb.ReportRequest(
        tenant=tenant,
        group_by=[f"DIMENSION_{name.upper()}" for name in names],
        page_size=limit,
    )
    now = datetime.now(UTC)
    if since:
        request.start_time.FromDatetime(moment_of(since, now))
    if until:
        request.end_time.FromDatetime(moment_of(until, now))
    return request


def _show(names: list[str], response: Any, directory: Path) -> None:
    from cli.demo_money import percent, usd

    causes = sorted(
        {saving.cause for row in (*response.rows, response.total) for saving in row.savings}
    )
    headers = [
        *(names or ["all"]),
        "requests",
        "hits",
        "errors",
        "tokens in",
        "tokens out",
        "spent",
    ]
    headers += [f"saved by {_cause(cause)}" for cause in causes] + ["without Spendgate", "mean ms"]

    def line(values: list[str], row: Any) -> list[str]:
        saved = {saving.cause: int(saving.saved_nanos) for saving in row.savings}
        return [
            *values,
            f"{row.request_count:,}",
            f"{row.hit_count:,}",
            f"{row.error_count:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            usd(int(row.cost_nanos)),
            *(usd(saved.get(cause, 0)) for cause in causes),
            usd(int(row.counterfactual_nanos)),
            f"{row.latency_mean_ms:,}",
        ]

    keys = max(1, len(names))
    rows = [line([value or "-" for value in row.values] or ["all"], row) for row in response.rows]
    if names:
        rows.append(line(["total", *[""] * (keys - 1)], response.total))
    print_table(headers, rows, right=" " * keys + "r" * (len(headers) - keys))
    whole = int(response.total.counterfactual_nanos)
    if whole > 0:
        saved = percent(whole - int(response.total.cost_nanos), whole)
        print(f"\n{saved} saved of what it would have cost without Spendgate.")
    if response.next_page_token:
        print(f"Only the {len(response.rows)} dearest groups are shown: --limit shows more.")


def _cause(cause: int) -> str:
    from spendgate.ledger.v1 import entry_pb2

    return str(entry_pb2.SavingCause.Name(cause)).removeprefix("SAVING_CAUSE_").lower()
