"""`spendgate alerts`: what the ledger found worth telling."""

from datetime import UTC
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

WATCH_SECONDS_MAX = 10.0 * 365 * 24 * 3600


def register(app: typer.Typer) -> None:
    """Adds `alerts` with its commands."""
    group = typer.Typer(
        help="List alerts, or watch them come.", no_args_is_help=True, epilog=EXIT_CODES_HELP
    )
    group.command("list", epilog="Example: spendgate alerts list")(listing)
    group.command("watch", epilog="Example: spendgate alerts watch --after 0")(watch)
    app.add_typer(group, name="alerts")


@command
async def listing(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most this many.")] = 20,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Alerts, newest first, and whether the webhooks have them."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    async with reading_of(directory, ledger, token) as talk:
        response = await talk.call(
            "ListAlerts", pb.ListAlertsRequest(tenant=tenant, page_size=limit)
        )
    if as_json:
        print_json(as_dict(response))
    elif not response.alerts:
        print("No alerts. What is watched stands in the fleet file under alerts.")
    else:
        rows = [
            [str(alert.number), _when(alert), alert.title, alert.reason, _arrived(alert)]
            for alert in response.alerts
        ]
        print_table(["no.", "when (UTC)", "what", "why", "webhooks"], rows)


@command
async def watch(
    *,
    after: Annotated[
        int | None, typer.Option(min=0, help="Also those after this number. Default: new ones.")
    ] = None,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Alerts as they are raised, one a line, until Ctrl-C."""
    import json

    from spendgate.ledger.v1 import reading_service_pb2 as pb

    request = pb.WatchAlertsRequest(tenant=tenant, after_number=after)
    async with reading_of(directory, ledger, token) as talk:
        async for response in talk.stream("WatchAlerts", request, WATCH_SECONDS_MAX):
            alert = response.alert
            line = f"{alert.number} {_when(alert)} {alert.title}: {alert.reason}"
            print(json.dumps(as_dict(alert)) if as_json else line, flush=True)


def _when(alert: Any) -> str:
    return str(alert.event_time.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M"))


def _arrived(alert: Any) -> str:
    from spendgate.ledger.v1 import alert_pb2

    told = [
        f"{each.webhook}: "
        + alert_pb2.DeliveryState.Name(each.state).removeprefix("DELIVERY_STATE_").lower()
        + (f" ({each.last_problem})" if each.last_problem else "")
        for each in alert.deliveries
    ]
    return ", ".join(told) or "-"
