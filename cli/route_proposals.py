"""`spendgate route proposals` and `apply`: a bound that would serve better, and letting it hold."""

from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.place import DIR_DEFAULT, DirOption, JsonOption, TokenOption, inner_door, talking
from cli.problems import command
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.router.v1.RouterService"
TenantOption = Annotated[str, typer.Option(help="Whose traffic.")]
RouterOption = Annotated[
    str | None,
    typer.Option(
        envvar="SPENDGATE_ROUTER_ADDRESS",
        help="host:port of the router. Default: the fleet in --dir.",
    ),
]


@command
async def proposals(
    *,
    tenant: TenantOption = "default",
    directory: DirOption = DIR_DEFAULT,
    router: RouterOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show quality against dollars on a tenant's labels, and the bound that would serve better."""
    from spendgate.router.v1 import router_service_pb2 as pb
    from spendgate.router.v1 import router_service_pb2_grpc as rpc

    door = inner_door(directory, "router", router, token)
    async with talking(door, SERVICE, rpc.RouterServiceStub) as talk:
        found = await talk.call("ListProposals", pb.ListProposalsRequest(tenant=tenant))
        known = await talk.call("Summary", pb.SummaryRequest(tenant=tenant))
    if as_json:
        curve = [as_dict(point) for point in known.curve]
        print_json({**as_dict(found), "curve": curve})
        return
    if not known.curve:
        typer.echo(f"no curve yet: {known.labels} labels of {tenant} are too few")
        return
    rows = [_line(point, "now" * _holds(point, known)) for point in known.curve]
    rows.append(_line(known.curve_baseline, f"all to {known.baseline_model}", bound="-"))
    headers = ["at least %", "quality", "95 %", "USD per 1,000", ""]
    print_table(headers, rows, right="rrrr ")
    typer.echo(f"estimated on {known.curve_prompts} labelled prompts")
    for each in found.proposals:
        saved = each.present.cost_nanos - each.expected.cost_nanos
        typer.echo(
            f"proposed: {each.proposal_id}, a bound of {each.expected.quality_percent_min} %"
            f" instead of {each.present.quality_percent_min}: {usd_text(1000 * saved)} USD less"
            f" per 1,000 calls, quality {each.expected.quality:.3f}"
            f" instead of {each.present.quality:.3f}"
        )
        typer.echo(f"apply it: spendgate route apply {each.proposal_id} --tenant {tenant}")
    if not found.proposals:
        typer.echo("nothing is proposed: no other bound would serve better")


@command
async def apply(
    proposal_id: Annotated[str, typer.Argument(help="What `route proposals` named.")],
    *,
    tenant: TenantOption = "default",
    directory: DirOption = DIR_DEFAULT,
    router: RouterOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a proposed bound hold for a tenant, wherever the policy is `target`."""
    from spendgate.router.v1 import router_service_pb2 as pb
    from spendgate.router.v1 import router_service_pb2_grpc as rpc

    request = pb.ApplyProposalRequest(tenant=tenant, proposal_id=proposal_id)
    door = inner_door(directory, "router", router, token)
    async with talking(door, SERVICE, rpc.RouterServiceStub) as talk:
        done = await talk.call("ApplyProposal", request)
    if as_json:
        print_json(as_dict(done))
        return
    typer.echo(f"version {done.policy_version} holds: a bound of {done.quality_percent_min} %")


def _holds(point: Any, known: Any) -> bool:
    return bool(point.quality_percent_min == known.quality_percent_min)


def _line(point: Any, note: str, bound: str = "") -> list[str]:
    return [
        bound or str(point.quality_percent_min),
        f"{point.quality:.3f}",
        f"{point.quality_low:.3f} to {point.quality_high:.3f}",
        usd_text(1000 * point.cost_nanos),
        note,
    ]
