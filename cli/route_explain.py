"""`spendgate route explain`: the plan for a prompt, without calling anyone."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.place import DIR_DEFAULT, DirOption, JsonOption, TokenOption, inner_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.route_proposals import apply, proposals
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.router.v1.RouterService"
EPILOG = 'Example: spendgate route explain "Summarize this review: ..." --tenant acme'
# About four bytes a token: the plan is shown without asking the tokenizer.
BYTES_PER_TOKEN = 4
app = typer.Typer(help="Ask the router.", no_args_is_help=True)


@app.callback()
def _route() -> None:
    """Ask the router."""


@command
async def explain(
    prompt: Annotated[str, typer.Argument(help="The prompt; - reads it from standard input.")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose outcomes count.")] = "default",
    feature: Annotated[str, typer.Option(help="The caller's feature.")] = "",
    model: Annotated[str, typer.Option(help="auto, or a model's name.")] = "auto",
    input_tokens: Annotated[
        int | None, typer.Option(help="Input tokens. Default: a guess from the prompt's size.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read the prompt from a file.")] = None,
    directory: DirOption = DIR_DEFAULT,
    router: Annotated[
        str | None,
        typer.Option(
            envvar="SPENDGATE_ROUTER_ADDRESS",
            help="host:port of the router. Default: the fleet in --dir.",
        ),
    ] = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which model a prompt would go to, what else could answer it, and why."""
    from spendgate.router.v1 import router_service_pb2 as pb
    from spendgate.router.v1 import router_service_pb2_grpc as rpc

    text = _text(prompt, file)
    item = pb.RouteItem(
        tenant=tenant,
        feature=feature,
        model=model,
        text=text,
        input_tokens=input_tokens or max(len(text.encode()) // BYTES_PER_TOKEN, 1),
    )
    door = inner_door(directory, "router", router, token)
    async with talking(door, SERVICE, rpc.RouterServiceStub) as talk:
        found = await talk.call("Explain", pb.ExplainRequest(item=item))
    if as_json:
        print_json(as_dict(found))
        return
    typer.echo(found.decision.explanation)
    headers = ["model", "USD expected", "USD at most", "quality", "at least", "own outcomes"]
    print_table(headers, [_line(each) for each in found.prospects], right=" rrrrr")
    for each in found.decision.exclusions:
        typer.echo(f"not {each.model}: {each.detail}")
    if found.nearest_request_ids:
        typer.echo(f"most like: {', '.join(found.nearest_request_ids)}")
    if found.decision.HasField("plan"):
        steps = " then ".join(step.candidate.model for step in found.decision.plan.steps)
        typer.echo(f"plan: {steps} ({found.decision.plan.explanation})")


def _text(prompt: str, file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8"
            raise Problem(f"{file}: {why}", code=EXIT_USAGE) from None
    return sys.stdin.read() if prompt == "-" else prompt


def _line(prospect: Any) -> list[str]:
    candidate = prospect.candidate
    known = prospect.HasField("quality")
    return [
        candidate.model,
        usd_text(candidate.expected_cost_nanos),
        usd_text(candidate.worst_case_nanos),
        f"{prospect.quality:.2f}" if known else "",
        f"{prospect.quality_low:.2f}" if known else "",
        f"{prospect.own_share:.0%}",
    ]


app.command("explain", epilog=EPILOG)(explain)
app.command("proposals")(proposals)
app.command("apply")(apply)


def register(main: typer.Typer) -> None:
    """Adds `route`."""
    main.add_typer(app, name="route")
