"""`spendgate key`: virtual keys, which callers use instead of a provider's."""

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
from cli.problems import EXIT_CODES_HELP, EXIT_USAGE, Problem, command
from cli.show import as_dict, console, print_json, print_table

PAGE_SIZE = 200


class Role(StrEnum):
    """What a key may do: call models; also manage budgets and keys and read the books; or only read
    them."""

    CALLER = "caller"
    ADMIN = "admin"
    VIEWER = "viewer"


app = typer.Typer(
    help="Virtual keys: who may call, and for whom it is booked.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)

_WINDOWS = ("lifetime", "hour", "day", "week", "month")
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--model", help='A model it may call; "gpt-*": all that begin so. Default all.'),
]
RequestsOption = Annotated[int | None, typer.Option(help="Requests a minute; 0: no limit.")]
TokensOption = Annotated[int | None, typer.Option(help="Tokens a minute; 0: no limit.")]
ParallelOption = Annotated[int | None, typer.Option(help="Calls at once; 0: no limit.")]
TagsOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="A tag on everything it calls."),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not its secret.")]


@app.command(epilog="Example: spendgate key create shop-backend --project shop --expires 90d")
@command
async def create(
    key_id: IdArgument,
    *,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.CALLER,
    project: Annotated[str, typer.Option(help="Pin the project.")] = "",
    user: Annotated[str, typer.Option(help="Pin the user.")] = "",
    feature: Annotated[str, typer.Option(help="Pin the feature.")] = "",
    expires: Annotated[
        str, typer.Option(help="How long it works: 24h, 90d. Default: for ever.")
    ] = "",
    model: ModelsOption = None,
    requests_per_minute: RequestsOption = None,
    tokens_per_minute: TokensOption = None,
    parallel_calls_max: ParallelOption = None,
    tag: TagsOption = None,
    budget: Annotated[
        str, typer.Option(metavar="USD/WINDOW", help="Also make a budget for it, such as 5/day.")
    ] = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show its secret, this once."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import pairs_of, span_of

    request = pb.CreateKeyRequest(
        key_id=key_id,
        tenant=tenant,
        project=project,
        user=user,
        feature=feature,
        role=f"KEY_ROLE_{role.name}",
        allowed_models=model or (),
        tags=pairs_of(tag or ()),
    )
    _set_limits(request.limits, requests_per_minute, tokens_per_minute, parallel_calls_max)
    own_budget = _budget_of(tenant, key_id, budget) if budget else None
    if expires:
        request.lifetime.FromTimedelta(span_of(expires))
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("CreateKey", request)
        if own_budget is not None:
            await talk.call("CreateBudget", own_budget)
    if not response.secret:
        raise Problem(
            f"the key {key_id} was made before; its secret was shown then",
            f"choose another id, or end it with: spendgate key disable {key_id}",
            reason="KEY_EXISTS",
        )
    _show_secret(response, as_json=as_json)


@app.command("list", epilog="Example: spendgate key list")
@command
async def list_all(
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a tenant's keys. Secrets are never shown again."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        request = pb.ListKeysRequest(tenant=tenant, page_size=PAGE_SIZE)
        found = await talk.pages("ListKeys", request, "keys")
    if as_json:
        print_json({"keys": [as_dict(key) for key in found]})
        return
    if not found:
        print("There are no keys. Make one with: spendgate key create ID")
        return
    headers = ["key", "begins with", "role", "pinned to", "models", "limits", "made"]
    headers.append("works until")
    print_table(headers, [_line(key) for key in found])


@app.command(epilog="Example: spendgate key disable shop-backend")
@command
async def disable(
    key_id: IdArgument,
    *,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key for good. Gateways forget it within seconds."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("DisableKey", pb.DisableKeyRequest(tenant=tenant, key_id=key_id))
    if as_json:
        print_json(as_dict(response.key))
    else:
        print(f"The key {key_id} opens nothing any more.")


@app.command(epilog="Example: spendgate key rotate shop-backend --grace 24h")
@command
async def rotate(
    key_id: IdArgument,
    *,
    grace: Annotated[
        str, typer.Option(help="How long the secret so far works on: 1h, 7d. Default: not at all.")
    ] = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret and show it, this once."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import span_of

    request = pb.RotateKeyRequest(tenant=tenant, key_id=key_id)
    if grace:
        request.grace.FromTimedelta(span_of(grace))
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("RotateKey", request)
    _show_secret(response, as_json=as_json)


@app.command(epilog="Example: spendgate key update shop-backend --requests-per-minute 60")
@command
async def update(
    key_id: IdArgument,
    *,
    model: ModelsOption = None,
    requests_per_minute: RequestsOption = None,
    tokens_per_minute: TokensOption = None,
    parallel_calls_max: ParallelOption = None,
    tag: TagsOption = None,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a key may do. Gateways know within seconds. What is not given stays."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import pairs_of

    limits = (requests_per_minute, tokens_per_minute, parallel_calls_max)
    async with ledger_of(directory, ledger, token) as talk:
        asked = pb.ListKeysRequest(tenant=tenant, page_size=PAGE_SIZE)
        found = await talk.pages("ListKeys", asked, "keys")
        known = next((key for key in found if key.key_id == key_id), None)
        request = pb.UpdateKeyRequest(key=known)
        request.key.tenant, request.key.key_id = tenant, key_id
        if model is not None:
            request.key.allowed_models[:] = [name for name in model if name]
            request.update_mask.paths.append("allowed_models")
        if tag is not None:
            request.key.ClearField("tags")
            request.key.tags.update(pairs_of(tag))
            request.update_mask.paths.append("tags")
        if any(limit is not None for limit in limits):
            _set_limits(request.key.limits, *limits)
            request.update_mask.paths.append("limits")
        if not request.update_mask.paths:
            raise Problem("nothing to change", "see: spendgate key update --help", code=EXIT_USAGE)
        response = await talk.call("UpdateKey", request)
    if as_json:
        print_json(as_dict(response.key))
    else:
        print(f"The key {key_id} is changed.")


def _show_secret(response: Any, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": as_dict(response.key), "secret": response.secret})
        return
    shown = console()
    shown.print(f"The secret of {response.key.key_id}, shown this once:")
    shown.print(response.secret, style="bold yellow", soft_wrap=True)


def _set_limits(limits: Any, requests: int | None, tokens: int | None, calls: int | None) -> None:
    if requests is not None:
        limits.requests_per_minute = requests
    if tokens is not None:
        limits.tokens_per_minute = tokens
    if calls is not None:
        limits.parallel_calls_max = calls


def _limits_text(limits: Any) -> str:
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (limits.requests_per_minute, "requests/min"),
            (limits.tokens_per_minute, "tokens/min"),
            (limits.parallel_calls_max, "at once"),
        )
        if number
    ]
    return ", ".join(parts) or "-"


def _budget_of(tenant: str, key_id: str, text: str) -> Any:
    """A budget of a key's own, of a text such as "5/day". Raises Problem."""
    from spendgate.ledger.v1 import budget_pb2
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import nanos_of

    limit, _, window = text.partition("/")
    if window not in _WINDOWS:
        raise Problem(f"{text!r} is no budget", "write for instance 5/day", code=EXIT_USAGE)
    return pb.CreateBudgetRequest(
        budget_id=f"key-{key_id}",
        scope=budget_pb2.BudgetScope(tenant=tenant, key_id=key_id),
        window=f"BUDGET_WINDOW_{window.upper()}",
        limit_nanos=nanos_of(limit),
    )


def _line(key: Any) -> list[str]:
    from spendgate.ledger.v1 import key_pb2

    pinned = ", ".join(
        f"{name} {getattr(key, name)}"
        for name in ("project", "user", "feature")
        if getattr(key, name)
    )
    pinned = ", ".join(filter(None, [pinned, *(f"{n}={v}" for n, v in sorted(key.tags.items()))]))
    until = "for ever"
    if key.HasField("disable_time"):
        until = f"disabled {key.disable_time.ToDatetime():%Y-%m-%d %H:%M}"
    elif key.HasField("expire_time"):
        until = f"{key.expire_time.ToDatetime():%Y-%m-%d %H:%M} UTC"
    return [
        key.key_id,
        f"{key.hint}…" if key.hint else "",
        key_pb2.KeyRole.Name(key.role).removeprefix("KEY_ROLE_").lower(),
        pinned or "-",
        ", ".join(key.allowed_models) or "all",
        _limits_text(key.limits) if key.HasField("limits") else "-",
        f"{key.create_time.ToDatetime():%Y-%m-%d %H:%M}",
        until,
    ]
