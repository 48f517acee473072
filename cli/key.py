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
from cli.problems import EXIT_CODES_HELP, Problem, command
from cli.show import as_dict, console, print_json, print_table

PAGE_SIZE = 200


class Role(StrEnum):
    """What a key may do: call models, or also manage budgets and keys and read the books."""

    CALLER = "caller"
    ADMIN = "admin"


app = typer.Typer(
    help="Virtual keys: who may call, and for whom it is booked.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)

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
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show its secret, this once."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import span_of

    request = pb.CreateKeyRequest(
        key_id=key_id,
        tenant=tenant,
        project=project,
        user=user,
        feature=feature,
        role=f"KEY_ROLE_{role.name}",
    )
    if expires:
        request.lifetime.FromTimedelta(span_of(expires))
    async with ledger_of(directory, ledger, token) as talk:
        response = await talk.call("CreateKey", request)
    if not response.secret:
        raise Problem(
            f"the key {key_id} was made before; its secret was shown then",
            f"choose another id, or end it with: spendgate key disable {key_id}",
            reason="KEY_EXISTS",
        )
    if as_json:
        print_json({"key": as_dict(response.key), "secret": response.secret})
    else:
        shown = console()
        shown.print(f"The secret of {key_id}, shown this once:")
        shown.print(response.secret, style="bold yellow", soft_wrap=True)


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
    headers = ["key", "begins with", "role", "pinned to", "made", "works until"]
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


def _line(key: Any) -> list[str]:
    from spendgate.ledger.v1 import key_pb2

    pinned = ", ".join(
        f"{name} {getattr(key, name)}"
        for name in ("project", "user", "feature")
        if getattr(key, name)
    )
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
        f"{key.create_time.ToDatetime():%Y-%m-%d %H:%M}",
        until,
    ]
