"""`spendgate chat`: one request, its answer, and what it cost."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.place import DIR_DEFAULT, DirOption, JsonOption, gateway_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, console, print_json

SERVICE = "spendgate.gateway.v1.GatewayService"
CALL_SECONDS_MAX = 300.0
EPILOG = 'Example: spendgate chat "What is the capital of France?" --model strong --stream'


@command
async def chat(
    text: Annotated[str, typer.Argument(help='What to ask. "-" reads standard input.')],
    *,
    model: Annotated[str, typer.Option(help="A configured model, an alias, or auto.")] = "auto",
    system: Annotated[str, typer.Option(help="Standing instructions.")] = "",
    stream: Annotated[bool, typer.Option("--stream", help="Show the answer as it comes.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither look up nor keep.")] = False,
    feature: Annotated[str, typer.Option(help="Book it under this feature.")] = "",
    user: Annotated[str, typer.Option(help="Book it under this user.")] = "",
    output_tokens_max: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Most tokens of the answer.")
    ] = None,
    cost_max: Annotated[
        str, typer.Option("--max-cost", help="Most it may cost at worst, in US dollars.")
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
    """Send one request; show answer, model, tokens, cost, saved and trace id."""
    from spendgate.gateway.v1 import gateway_service_pb2 as pb
    from spendgate.gateway.v1 import gateway_service_pb2_grpc as rpc

    asked = sys.stdin.read() if text == "-" else text
    if not asked.strip():
        raise Problem("there is nothing to ask", 'write: spendgate chat "..."', code=EXIT_USAGE)
    options = _options(feature, user, cost_max, no_cache=no_cache)
    fields = {
        "model": model,
        "prompt": _prompt(asked, system, output_tokens_max),
        "options": options,
    }
    door = gateway_door(directory, gateway, key)
    async with talking(door, SERVICE, rpc.GatewayServiceStub) as talk:
        if stream:
            request = pb.StreamCompleteRequest(**fields)
            answer, summary = await _streamed(talk, request, quiet=as_json)
        else:
            response = await talk.call("Complete", pb.CompleteRequest(**fields), CALL_SECONDS_MAX)
            answer, summary = response.choices[0].message.content, response.summary
    if as_json:
        print_json({"answer": answer, "summary": as_dict(summary)})
        return
    if not stream:
        console().print(answer, soft_wrap=True)
    _show_summary(summary, directory)


def _prompt(asked: str, system: str, output_tokens_max: int | None) -> Any:
    from spendgate.chat.v1 import chat_pb2

    prompt = chat_pb2.Prompt()
    if system:
        prompt.messages.add(role=chat_pb2.ROLE_SYSTEM, content=system)
    prompt.messages.add(role=chat_pb2.ROLE_USER, content=asked)
    if output_tokens_max is not None:
        prompt.sampling.output_tokens_max = output_tokens_max
    return prompt


def _options(feature: str, user: str, cost_max: str, *, no_cache: bool) -> Any:
    from spendgate.gateway.v1 import gateway_service_pb2 as pb

    from cli.amounts import nanos_of

    options = pb.RequestOptions(feature=feature, user=user)
    if no_cache:
        options.cache_mode = pb.CACHE_MODE_OFF
    if cost_max:
        options.cost_max_nanos = nanos_of(cost_max)
    return options


async def _streamed(talk: Any, request: Any, *, quiet: bool) -> tuple[str, Any]:
    pieces: list[str] = []
    async for event in talk.stream("StreamComplete", request, CALL_SECONDS_MAX):
        if event.WhichOneof("event") == "summary":
            if not quiet:
                print()
            return "".join(pieces), event.summary
        pieces.append(event.delta.content)
        if not quiet:
            print(event.delta.content, end="", flush=True)
    raise Problem("the stream ended without its summary", "see: spendgate trace last")


def _show_summary(summary: Any, directory: Path) -> None:
    from rich.table import Table
    from spendgate.gateway.v1 import gateway_service_pb2 as pb
    from spendgate.ledger.v1 import entry_pb2

    from cli.demo_money import usd_exact

    source = pb.AnswerSource.Name(summary.source).removeprefix("ANSWER_SOURCE_").lower()
    usage = summary.usage
    read = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
    read += usage.cache_write_1h_tokens + usage.audio_input_tokens + usage.image_input_tokens
    written = usage.output_tokens + usage.reasoning_tokens + usage.audio_output_tokens
    written += usage.image_output_tokens
    counted = summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    saved = ", ".join(
        f"{usd_exact(saving.saved_nanos)} by"
        f" {entry_pb2.SavingCause.Name(saving.cause).removeprefix('SAVING_CAUSE_').lower()}"
        for saving in summary.savings
        if saving.saved_nanos
    )
    pending = " (to be booked)" if summary.booking_pending else ""
    rows = [
        ("model", f"{summary.model} at {summary.provider}" if summary.provider else summary.model),
        ("from", source.replace("_", " ")),
        ("why", summary.route_explanation),
        ("tokens", f"{read:,} in, {written:,} out{' (counted here)' if counted else ''}"),
        ("cost", usd_exact(summary.cost_nanos) + pending),
        ("saved", saved or "$0"),
        ("budget left", _left(summary)),
        ("time", f"{summary.latency_ms:,} ms"),
        ("trace", f"{summary.trace_id}  (spendgate trace {summary.trace_id[:8]})"),
    ]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, value)
    shown = console()
    shown.print()
    shown.print(table)


def _left(summary: Any) -> str:
    from cli.demo_money import usd_exact

    if not summary.HasField("tightest"):
        return ""
    tightest = summary.tightest
    if tightest.unit > 1:
        from cli.budget_show import amount_text

        left = amount_text(tightest.left_amount, tightest.unit)
        limit = amount_text(tightest.limit_amount, tightest.unit)
        return f"{left} of {limit} ({tightest.budget_id})"
    limit = usd_exact(tightest.limit_nanos)
    return f"{usd_exact(tightest.left_nanos)} of {limit} ({tightest.budget_id})"
