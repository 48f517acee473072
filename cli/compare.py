"""`spendgate compare`: the same prompt by several models, side by side with what each cost."""

from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.amounts import nanos_of
from cli.estimate import prompt_of
from cli.place import DIR_DEFAULT, DirOption, JsonOption, gateway_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, console, print_json, print_table

SERVICE = "spendgate.gateway.v1.CompareService"
CALL_SECONDS_MAX = 300.0
EXIT_ALL_FAILED = 1
EPILOG = 'Example: spendgate compare "Name three rivers." --model cheap --model strong'


@command
async def compare(
    text: Annotated[str, typer.Argument(help='What to ask. "-" reads standard input.')],
    *,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A model to ask; give several.")
    ] = None,
    system: Annotated[str, typer.Option(help="Standing instructions.")] = "",
    feature: Annotated[str, typer.Option(help="Book it under this feature.")] = "",
    output_tokens_max: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Most tokens of each answer.")
    ] = None,
    cost_max: Annotated[
        str, typer.Option("--max-cost", help="Most each may cost at worst, in US dollars.")
    ] = "",
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
    """Ask several models at once. Costs what the calls cost; one that fails stops no other.

    Exit code 1 when none answered.
    """
    from spendgate.gateway.v1 import compare_pb2 as pb
    from spendgate.gateway.v1 import compare_pb2_grpc as rpc
    from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

    if not models:
        raise Problem("no model is named", "add --model NAME, several times", code=EXIT_USAGE)
    options = gateway_pb.RequestOptions(feature=feature)
    if cost_max:
        options.cost_max_nanos = nanos_of(cost_max)
    request = pb.CompareRequest(
        models=models, prompt=prompt_of(text, system, output_tokens_max), options=options
    )
    async with talking(
        gateway_door(directory, gateway, key), SERVICE, rpc.CompareServiceStub
    ) as talk:
        found = await talk.call("Compare", request, CALL_SECONDS_MAX)
    if as_json:
        print_json(as_dict(found))
    else:
        _show(found)
    if all(each.HasField("error") for each in found.results):
        raise typer.Exit(EXIT_ALL_FAILED)


def _show(found: Any) -> None:
    shown = console()
    rows = []
    for each in found.results:
        if each.HasField("error"):
            shown.print(f"── {each.model}\n{each.error.message}\n", soft_wrap=True)
            rows.append([each.model, "failed", "", "", ""])
            continue
        summary, usage = each.response.summary, each.response.summary.usage
        answers = "\n".join(choice.message.content for choice in each.response.choices)
        shown.print(f"── {each.model}\n{answers}\n", soft_wrap=True)
        read = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
        rows.append(
            [
                each.model,
                summary.model,
                f"{read:,} in, {usage.output_tokens + usage.reasoning_tokens:,} out",
                f"{summary.latency_ms:,} ms",
                f"${usd_text(summary.cost_nanos)}",
            ]
        )
    rows.append(["all", "", "", "", f"${usd_text(found.cost_nanos)}"])
    print_table(["asked", "answered by", "tokens", "time", "cost"], rows, right="   rr")


def register(app: typer.Typer) -> None:
    """Adds `compare`."""
    app.command("compare", epilog=EPILOG)(compare)
