"""`spendgate budget`: limits on what a scope may spend."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.budget_show import show
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
from cli.problems import EXIT_CODES_HELP, EXIT_USAGE, Problem, command
from cli.show import print_json

PAGE_SIZE = 200


class Window(StrEnum):
    """How long a budget counts before it starts anew; calendar windows, in its time zone."""

    LIFETIME = "lifetime"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Unit(StrEnum):
    """What a budget counts."""

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"


class Mode(StrEnum):
    """What happens to a request that would break a budget: it is refused; goes on and is told;
    goes on with the cheapest model; goes on and is only counted."""

    HARD = "hard"
    SOFT = "soft"
    DOWNGRADE = "downgrade"
    SHADOW = "shadow"


# As ledger.v1.BudgetUnit names them.
_UNITS = {Unit.USD: "NANO_USD", Unit.TOKENS: "TOKENS", Unit.REQUESTS: "REQUESTS"}

app = typer.Typer(
    help="Limits on what tenants, projects, users, keys, features, models and tags may spend.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The budget's id.")]
LimitOption = Annotated[
    str,
    typer.Option("--limit", help="The limit in US dollars, such as 25 or 0.50; or in --unit."),
]


@app.command(
    epilog="Examples: spendgate budget create chat-daily --limit 5 --window day --feature chat;"
    " spendgate budget create fair-use --limit 200k --unit tokens --rolling 24h --each user"
)
@command
async def create(
    budget_id: IdArgument,
    *,
    limit: LimitOption,
    window: Annotated[Window, typer.Option(help="When it starts anew.")] = Window.MONTH,
    rolling: Annotated[
        str, typer.Option(help="Instead of a window: always the last 24h, 7d, ...")
    ] = "",
    time_zone: Annotated[
        str, typer.Option(help='Where its days begin, such as "Europe/Berlin". Default: UTC.')
    ] = "",
    unit: Annotated[Unit, typer.Option(help="What it counts.")] = Unit.USD,
    mode: Annotated[Mode, typer.Option(help="What happens when it would be broken.")] = Mode.HARD,
    project: Annotated[str, typer.Option(help="Only this project.")] = "",
    user: Annotated[str, typer.Option(help="Only this user.")] = "",
    key_id: Annotated[str, typer.Option("--key-id", help="Only this key.")] = "",
    feature: Annotated[str, typer.Option(help="Only this feature.")] = "",
    model: Annotated[str, typer.Option(help="Only what this model uses.")] = "",
    provider: Annotated[str, typer.Option(help="Only what this provider is paid.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only calls with this tag.")
    ] = None,
    each: Annotated[
        list[str] | None,
        typer.Option(
            help="One limit for each: project, user, key_id, feature, session, model, provider or"
            " tag:NAME."
        ),
    ] = None,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a budget. A request that would break it is refused before a provider is called."""
    from spendgate.ledger.v1 import budget_pb2
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import pairs_of, span_of

    scope = budget_pb2.BudgetScope(
        tenant=tenant,
        project=project,
        user=user,
        key_id=key_id,
        feature=feature,
        model=model,
        provider=provider,
        tags=pairs_of(tag or ()),
        each=each or (),
    )
    request = pb.CreateBudgetRequest(
        budget_id=budget_id,
        scope=scope,
        window=f"BUDGET_WINDOW_{'ROLLING' if rolling else window.name}",
        unit=f"BUDGET_UNIT_{_UNITS[unit]}",
        mode=f"BUDGET_MODE_{mode.name}",
        time_zone=time_zone,
        limit_amount=_amount_of(limit, unit),
    )
    if rolling:
        request.rolling.FromTimedelta(span_of(rolling))
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("CreateBudget", request)
    show([response.budget], as_json=as_json, single=True)


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
    show(found, as_json=as_json)


@app.command("show", epilog="Example: spendgate budget show fair-use")
@command
async def show_one(
    budget_id: IdArgument,
    *,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a budget; one with a limit for each value with those who used most."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        request = pb.GetBudgetRequest(tenant=tenant, budget_id=budget_id)
        response = await talk.call("GetBudget", request)
    show([response.budget], as_json=as_json, single=True)


@app.command(epilog="Example: spendgate budget update chat-daily --limit 10 --mode soft")
@command
async def update(
    budget_id: IdArgument,
    *,
    limit: Annotated[
        str, typer.Option(help="The limit, in what the budget counts: 25, 0.50, 200k.")
    ] = "",
    mode: Annotated[Mode | None, typer.Option(help="What happens when it would be broken.")] = None,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a budget's limit or mode, at once and also below what is spent."""
    from spendgate.ledger.v1 import budget_pb2
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    if not limit and mode is None:
        raise Problem("nothing to change", "give --limit, --mode or both", code=EXIT_USAGE)
    async with ledger_of(directory, ledger, token) as talk:
        asked = pb.GetBudgetRequest(tenant=tenant, budget_id=budget_id)
        budget = (await talk.call("GetBudget", asked)).budget
        request = pb.UpdateBudgetRequest(budget=budget)
        if limit:
            word = budget_pb2.BudgetUnit.Name(budget.unit).removeprefix("BUDGET_UNIT_")
            unit = next(unit for unit, name in _UNITS.items() if name == word)
            request.budget.limit_amount = _amount_of(limit, unit)
            request.update_mask.paths.append("limit_amount")
        if mode is not None:
            request.budget.MergeFrom(budget_pb2.Budget(mode=f"BUDGET_MODE_{mode.name}"))
            request.update_mask.paths.append("mode")
        response = await talk.call("UpdateBudget", request)
    show([response.budget], as_json=as_json, single=True)


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


def _amount_of(text: str, unit: Unit) -> int:
    """An amount in the unit as the ledger counts it. Raises Problem."""
    from cli.amounts import count_of, nanos_of

    return nanos_of(text) if unit is Unit.USD else count_of(text)
