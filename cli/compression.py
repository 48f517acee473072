"""`spendgate compression test`: do answers stay the same when prompts are made shorter?"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.place import DIR_DEFAULT, DirOption, JsonOption, gateway_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.gateway.v1.GatewayService"
CALL_SECONDS_MAX = 600.0
EXIT_FAILED = 1
LEVELS = ("lossless", "tool_results", "wording", "extract")
PERMILLE = 1000
EPILOG = "Example: spendgate compression test prompts.jsonl --model strong --level wording"
app = typer.Typer(help="Test compression.", no_args_is_help=True)


@app.callback()
def _compression() -> None:
    """Test compression."""


@command
async def trial(
    prompts: Annotated[
        Path, typer.Argument(help="JSON lines: a string, or an object with `messages` as OpenAI's.")
    ],
    *,
    model: Annotated[str, typer.Option(help="A configured model, an alias, or auto.")] = "auto",
    level: Annotated[str, typer.Option(help=f"One of: {', '.join(LEVELS)}.")] = "wording",
    keep_percent: Annotated[
        int, typer.Option(min=0, max=99, help="For extract: tokens to keep. 0: the fleet's.")
    ] = 0,
    threshold: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Lowest relative similarity that passes.")
    ] = 0.85,
    runs: Annotated[int, typer.Option(min=2, max=5, help="Answers to each prompt, each way.")] = 2,
    feature: Annotated[str, typer.Option(help="Book it under this feature.")] = "",
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
    """Ask each prompt as it is and compressed, compare the answers. Costs what the calls cost.

    Exit code 1 when they differ by more than the answers to the same prompt do among themselves.
    """
    from spendgate.gateway.v1 import gateway_service_pb2 as pb
    from spendgate.gateway.v1 import gateway_service_pb2_grpc as rpc

    if level not in LEVELS:
        raise Problem(f"there is no level {level}", f"known: {', '.join(LEVELS)}", code=EXIT_USAGE)
    options = pb.RequestOptions(feature=feature)
    number: Any = pb.CompressionLevel.Value(f"COMPRESSION_LEVEL_{level.upper()}")
    options.compression.MergeFrom(pb.CompressionOptions(level=number, keep_percent=keep_percent))
    request = pb.TestCompressionRequest(
        model=model,
        prompts=_read(prompts),
        options=options,
        threshold_permille=round(threshold * PERMILLE),
        runs=runs,
    )
    async with talking(
        gateway_door(directory, gateway, key), SERVICE, rpc.GatewayServiceStub
    ) as talk:
        found = await talk.call("TestCompression", request, CALL_SECONDS_MAX)
    if as_json:
        print_json(as_dict(found))
    else:
        _show(found)
    if not found.passed:
        raise typer.Exit(EXIT_FAILED)


def register(app_above: typer.Typer) -> None:
    """Adds `compression` with its command."""
    app.command("test", epilog=EPILOG)(trial)
    app_above.add_typer(app, name="compression")


def _show(found: Any) -> None:
    headers = ["prompt", "tokens", "compressed", "alike", "to itself", "relative", "by"]
    rows = [
        [
            str(number),
            f"{each.original_tokens:,}",
            f"{each.sent_tokens:,}",
            _share(each.similarity_permille),
            _share(each.yardstick_permille),
            _share(each.relative_permille),
            each.method,
        ]
        for number, each in enumerate(found.trials, 1)
    ]
    print_table(headers, rows, right=" rrrrr ")
    verdict = "passed" if found.passed else "failed"
    typer.echo(
        f"{verdict}: {_share(found.relative_permille)} of the likeness that answers to the same "
        f"prompt have, {_share(found.threshold_permille)} wanted; the calls cost "
        f"${usd_text(found.cost_nanos)}, compression saved ${usd_text(found.saved_nanos)} of it"
    )


def _share(permille: int) -> str:
    return f"{permille // PERMILLE}.{permille % PERMILLE:03d}"


def _read(path: Path) -> list[Any]:
    """The prompts of a file. Raises Problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", code=EXIT_USAGE) from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8 text.", code=EXIT_USAGE) from None
    found = list(_prompts(path, text))
    if not found:
        raise Problem(f"{path} has no prompt.", code=EXIT_USAGE)
    return found


def _prompts(path: Path, text: str) -> Iterator[Any]:
    from spendgate.chat.v1 import chat_pb2

    from services.tokenizer.context.recorded import LineInvalid, read

    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if isinstance(row, str):
                row = {"messages": [{"role": "user", "content": row}]}
            messages = next(iter(read([json.dumps(row)])))
        except (ValueError, RecursionError, LineInvalid):
            raise Problem(
                f"{path}, line {number} is neither a string nor an object with `messages`.",
                code=EXIT_USAGE,
            ) from None
        yield chat_pb2.Prompt(messages=messages, sampling=chat_pb2.Sampling(temperature=0))
