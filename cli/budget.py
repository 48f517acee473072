"""`spendgate budget`: limits on what a scope may spend."""

from enum import StrEnum
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
from cli.problems import EXIT_CODES_HELP, command
from cli.show import as_dict, print_json, print_table

PAGE_SIZE = 200


class Window(StrEnum):
    """How long a budget counts before it starts anew; calendar windows, in UTC."""

    LIFETIME = "lifetime"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


app = typer.Typer(
    help="Limits on what a tenant, project, user, key or feature may spend.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The budget's id.")]
LimitOption = Annotated[
    str, typer.Option("--limit", help="The limit in US dollars, such as 25 or 0.50.")
]


@app.command(
    epilog="Example: spendgate budget create chat-daily --limit 5 --window day --feature chat"
)
@command
async def create(
    budget_id: IdArgument,
    *,
    limit: LimitOption,
    window: Annotated[Window, typer.Option(help="When it starts anew, in UTC.")] = Window.MONTH,
    project: Annotated[str, typer.Option(help="Only this project.")] = "",
    user: Annotated[str, typer.Option(help="Only this user.")] = "",
    key_id: Annotated[str, typer.Option("--key-id", help="Only this key.")] = "",
    feature: Annotated[str, typer.Option(help="Only this feature.")] = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a budget. A request that would break it is refused before a provider is called."""
    from spendgate.ledger.v1 import budget_pb2
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import nanos_of

    scope = budget_pb2.BudgetScope(
        tenant=tenant, project=project, user=user, key_id=key_id, feature=feature
    )
    request = pb.CreateBudgetRequest(
        budget_id=budget_id,
        scope=scope,
        window=f"BUDGET_WINDOW_{window.name}",
        limit_nanos=nanos_of(limit),
    )
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("CreateBudget", request)
    _show([response.budget], as_json=as_json, single=True)


@app.command("list", epilog="Example: spendgate budget list --json")
@command
async def list_all(
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a tenant's budgets with what is spent, held and left."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        request = pb.ListBudgetsRequest(tenant=tenant, page_size=PAGE_SIZE)
        found = await talk.pages("ListBudgets", request, "budgets")
    _show(found, as_json=as_json)


@app.command(epilog="Example: spendgate budget update chat-daily --limit 10")
@command
async def update(
    budget_id: IdArgument,
    *,
    limit: LimitOption,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a budget's limit, at once and also below what is spent."""
    from spendgate.ledger.v1 import budget_pb2
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import nanos_of

    budget = budget_pb2.Budget(
        budget_id=budget_id,
        scope=budget_pb2.BudgetScope(tenant=tenant),
        limit_nanos=nanos_of(limit),
    )
    request = pb.UpdateBudgetRequest(budget=budget)
    request.update_mask.paths.append("limit_nanos")
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("UpdateBudget", request)
    _show([response.budget], as_json=as_json, single=True)


@app.command(epilog="Example: spendgate budget delete chat-daily")
@command
async def delete(
    budget_id: IdArgument,
    *,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a budget. Requests under way finish without it."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        await talk.call("DeleteBudget", pb.DeleteBudgetRequest(tenant=tenant, budget_id=budget_id))
    if as_json:
        print_json({"deleted": budget_id})
    else:
        print(f"The budget {budget_id} is gone.")


def _show(budgets: list[Any], *, as_json: bool, single: bool = False) -> None:
    if as_json:
        told = [as_dict(budget) for budget in budgets]
        print_json(told[0] if single else {"budgets": told})
        return
    if not budgets:
        print("There are no budgets. Make one with: spendgate budget create ID --limit USD")
        return
    headers = ["budget", "applies to", "window", "limit", "spent", "held", "left", "starts anew"]
    print_table(headers, [_line(budget) for budget in budgets], right="   rrrr")


def _line(budget: Any) -> list[str]:
    from spendgate.ledger.v1 import budget_pb2

    from cli.demo_money import usd_exact

    scope = ", ".join(
        f"{name.replace('_', ' ')} {getattr(budget.scope, name)}"
        for name in ("project", "user", "key_id", "feature")
        if getattr(budget.scope, name)
    )
    window = budget_pb2.BudgetWindow.Name(budget.window).removeprefix("BUDGET_WINDOW_").lower()
    ends = budget.window_end_time.ToDatetime() if budget.HasField("window_end_time") else None
    left = budget.limit_nanos - budget.settled_nanos - budget.reserved_nanos
    return [
        budget.budget_id,
        scope or "everything",
        window,
        usd_exact(budget.limit_nanos),
        usd_exact(budget.settled_nanos),
        usd_exact(budget.reserved_nanos),
        usd_exact(left),
        f"{ends:%Y-%m-%d %H:%M} UTC" if ends else "never",
    ]
