"""`spendgate anatomy`: where the money went, from a naive estimate to what was charged."""

from datetime import UTC, datetime
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
from cli.show import as_dict, print_json, print_table

SECONDS_MAX = 300.0


def register(app: typer.Typer) -> None:
    """Adds `anatomy`."""
    epilog = "Example: spendgate anatomy --since 30d --feature chat\n\n" + EXIT_CODES_HELP
    app.command("anatomy", epilog=epilog)(anatomy)


@command
async def anatomy(
    *,
    since: Annotated[str, typer.Option(help="From then on: 30d, or a date.")] = "30d",
    until: Annotated[str, typer.Option(help="Before then: 24h, or a date.")] = "",
    feature: Annotated[str, typer.Option(help="Only this feature.")] = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where the money went: what a naive estimate leaves out, multiplier by multiplier."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    from cli.amounts import moment_of

    request = pb.AnatomyRequest(tenant=tenant, feature=feature)
    now = datetime.now(UTC)
    request.start_time.FromDatetime(moment_of(since, now))
    if until:
        request.end_time.FromDatetime(moment_of(until, now))
    async with reading_of(directory, ledger, token) as talk:
        found = (await talk.call("Anatomy", request, SECONDS_MAX)).anatomy
    if as_json:
        print_json(as_dict(found))
    else:
        _show(found)


def _show(found: Any) -> None:
    from cli.demo_money import percent, usd

    if not found.parts or not found.call_count:
        print('Nothing is booked. A first request: spendgate chat "..."')
        return
    estimate = found.parts[0].nanos
    rows = [
        [part.name, usd(part.nanos), percent(part.nanos, estimate), part.meaning]
        for part in found.parts
    ]
    rows.append(["charged", usd(found.cost_nanos), percent(found.cost_nanos, estimate), ""])
    print_table(["part", "cost", "of the estimate", "what it is"], rows, right=" rr ")
    if found.segmented_call_count < found.call_count:
        whole = found.call_count - found.segmented_call_count
        print(
            f"\n{whole:,} of {found.call_count:,} calls were not counted by segment: their whole"
            " prompts are in the naive estimate."
        )
