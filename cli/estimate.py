"""`spendgate estimate`: what a prompt would cost, before it is sent. Nothing is booked."""

import sys
from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.place import DIR_DEFAULT, DirOption, JsonOption, gateway_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, console, print_json, print_table

SERVICE = "spendgate.gateway.v1.EstimateService"
EPILOG = 'Example: spendgate estimate "Sum up the Iliad." --model strong --max-tokens 500'


@command
async def estimate(
    text: Annotated[str, typer.Argument(help='What to ask. "-" reads standard input.')],
    *,
    model: Annotated[str, typer.Option(help="A configured model, an alias, or auto.")] = "auto",
    system: Annotated[str, typer.Option(help="Standing instructions.")] = "",
    feature: Annotated[str, typer.Option(help="The feature it would be booked under.")] = "",
    output_tokens_max: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Most tokens of the answer.")
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(envvar="SPENDGATE_GATEWAY", help="host:port. Default: the fleet in --dir."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="SPENDGATE_KEY", help="Virtual key. Default: the fleet's local one."),
    ] = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Count and route a prompt, and show between what and what it would cost.

    For the cost of a call that was made, from the usage its provider told: spendgate cost.
    """
    from spendgate.gateway.v1 import estimate_pb2 as pb
    from spendgate.gateway.v1 import estimate_pb2_grpc as rpc
    from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

    request = pb.EstimateRequest(
        model=model,
        prompt=prompt_of(text, system, output_tokens_max),
        options=gateway_pb.RequestOptions(feature=feature),
    )
    async with talking(
        gateway_door(directory, gateway, key), SERVICE, rpc.EstimateServiceStub
    ) as talk:
        found = await talk.call("Estimate", request)
    if as_json:
        print_json(as_dict(found))
        return
    _show(found)


def prompt_of(text: str, system: str, output_tokens_max: int | None) -> Any:
    """The prompt of a text, or of standard input for "-". Raises Problem when it is empty."""
    from spendgate.chat.v1 import chat_pb2

    asked = sys.stdin.read() if text == "-" else text
    if not asked.strip():
        raise Problem("there is nothing to ask", 'write: "..."', code=EXIT_USAGE)
    prompt = chat_pb2.Prompt()
    if system:
        prompt.messages.add(role=chat_pb2.ROLE_SYSTEM, content=system)
    prompt.messages.add(role=chat_pb2.ROLE_USER, content=asked)
    if output_tokens_max is not None:
        prompt.sampling.output_tokens_max = output_tokens_max
    return prompt


def _show(found: Any) -> None:
    exact = "exact"
    if not found.input_exact:
        exact = f"estimated, at most {found.input_error_permille / 10:g}% more"
    console().print(f"{found.input_tokens:,} tokens in ({exact})")
    rows = [_row("routed", found.routed)]
    if found.HasField("cheapest"):
        rows.append(_row("cheapest", found.cheapest))
    headers = ["", "model", "tokens out", "at least", "at most", "at least, cached", "at most"]
    print_table(headers, rows, right="  rrrrr")
    if found.route_explanation:
        console().print(f"why: {found.route_explanation}")


def _row(name: str, cost: Any) -> list[str]:
    amounts = (
        cost.cost_min_nanos,
        cost.cost_max_nanos,
        cost.cached_cost_min_nanos,
        cost.cached_cost_max_nanos,
    )
    return [
        name,
        f"{cost.model} at {cost.provider}",
        f"1 to {cost.output_tokens_max:,}",
        *(f"${usd_text(nanos)}" for nanos in amounts),
    ]


def register(app: typer.Typer) -> None:
    """Adds `estimate`."""
    app.command("estimate", epilog=EPILOG)(estimate)
