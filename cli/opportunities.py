"""`spendgate opportunities`: what could be saved, with evidence."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
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
from cli.problems import EXIT_CODES_HELP, command
from cli.show import as_dict, print_json

SECONDS_MAX = 300.0
DAYS_DEFAULT = "30d"


def register(app: typer.Typer) -> None:
    """Adds `opportunities`."""
    epilog = "Example: spendgate opportunities --since 30d\n\n" + EXIT_CODES_HELP
    app.command("opportunities", epilog=epilog)(opportunities)


@command
async def opportunities(
    *,
    since: Annotated[str, typer.Option(help="From then on: 30d, or a date.")] = DAYS_DEFAULT,
    dedicated: Annotated[
        str, typer.Option(help="What a deployment of your own costs a month, in USD.")
    ] = "1500",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """What could be saved, most first: evidence, dollars a month, the setting that does it."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    from cli.amounts import moment_of, nanos_of

    request = pb.OpportunitiesRequest(tenant=tenant, dedicated_month_nanos=nanos_of(dedicated))
    now = datetime.now(UTC)
    request.end_time.FromDatetime(now + timedelta(seconds=1))
    request.start_time.FromDatetime(moment_of(since, now))
    async with reading_of(directory, ledger, token) as talk:
        response = await talk.call("Opportunities", request, SECONDS_MAX)
    if as_json:
        print_json(as_dict(response))
    else:
        print(as_lines(response))


def as_lines(response: Any) -> str:
    """For people."""
    from cli.demo_money import usd

    lines: list[str] = []
    for place, each in enumerate(response.opportunities, start=1):
        low, high = usd(each.month_nanos_low, 2), usd(each.month_nanos_high, 2)
        lines += [
            f"{place}. {title_of(each)}: {usd(each.month_nanos, 2)} a month ({low} to {high})",
            f"   seen:    {each.evidence}",
            f"   do:      {each.setting}",
            f"   reckoned: {each.method}",
        ]
        if each.request_ids:
            lines.append(f"   look at: {', '.join(each.request_ids)}")
        lines.append("")
    if not lines:
        lines = [f"Nothing was found in {usd(response.cost_nanos, 2)} of spending.", ""]
    lines += [f"Not looked for: {each}" for each in response.lacking]
    return "\n".join(lines).rstrip()


def rows_of(found: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of a table."""
    from cli.demo_money import usd

    headers = ["what", "seen", "do", "a month", "from - to"]
    rows = [
        [
            title_of(each),
            each.evidence,
            each.setting,
            usd(each.month_nanos, 2),
            f"{usd(each.month_nanos_low, 2)} - {usd(each.month_nanos_high, 2)}",
        ]
        for each in found
    ]
    return headers, rows


def title_of(each: Any) -> str:
    """ "repeats: feature faq"."""
    from spendgate.ledger.v1 import insight_pb2

    kind = insight_pb2.OpportunityKind.Name(each.kind).removeprefix("OPPORTUNITY_KIND_")
    return f"{kind.lower().replace('_', ' ')}: {each.subject}"
