"""`spendgate batch`: files of requests that may wait, answered for less."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.batch_show import Watch, print_job, state_word
from cli.place import DIR_DEFAULT, DirOption, JsonOption, Talk, gateway_door, talking
from cli.problems import (
    EXIT_CODES_HELP,
    EXIT_FAILED,
    EXIT_OVER_BUDGET,
    EXIT_USAGE,
    Problem,
    command,
)
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.gateway.v1.BatchService"
PIECE_BYTES = 2**19
UPLOAD_SECONDS_MAX = 600.0
RESULTS_SECONDS_MAX = 600.0
LOOK_SECONDS, LOOK_SECONDS_MAX = 0.2, 5.0

GatewayOption = Annotated[
    str | None,
    typer.Option(envvar="SPENDGATE_GATEWAY", help="host:port. Default: the fleet in --dir."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(envvar="SPENDGATE_KEY", help="Virtual key. Default: the fleet's local one."),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the results to this file.")
]
IdArgument = Annotated[str, typer.Argument(help="The job, as submit named it.")]


def register(app: typer.Typer) -> None:
    """Adds `batch` with its commands."""
    group = typer.Typer(
        help="Answer a file of requests that may wait, for less.",
        no_args_is_help=True,
        epilog=EXIT_CODES_HELP,
    )
    group.command("submit", epilog="Example: spendgate batch submit in.jsonl --wait -o out.jsonl")(
        submit
    )
    group.command("status", epilog="Example: spendgate batch status batch_... --wait")(status)
    group.command("results", epilog="Example: spendgate batch results batch_... -o out.jsonl")(
        results
    )
    group.command("cancel", epilog="Example: spendgate batch cancel batch_...")(cancel)
    group.command("list", epilog="Example: spendgate batch list")(listing)
    app.add_typer(group, name="batch")


@command
async def submit(
    file: Annotated[Path, typer.Argument(help="JSON Lines, as OpenAI's Batch API takes them.")],
    *,
    wait: WaitOption = False,
    out: OutOption = None,
    within_hours: Annotated[
        int | None, typer.Option(min=1, help="How long it may take. Default: the fleet file's.")
    ] = None,
    feature: Annotated[str, typer.Option(help="Book it under this feature.")] = "",
    gateway: GatewayOption = None,
    key: KeyOption = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Hand a file in. With --wait, show how it goes on and write its results."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    if not file.is_file():
        raise Problem(f"{file} is no file", "name one with a request a line", code=EXIT_USAGE)
    if out is not None and not wait:
        raise Problem(
            "results come later", "add --wait, or use: spendgate batch results", code=EXIT_USAGE
        )
    # Sent again by the channel, it is the same submission.
    spec = pb.BatchSpec(request_id=str(uuid.uuid4()))
    spec.options.feature = feature
    if within_hours is not None:
        spec.completion.seconds = within_hours * 3_600
    async with _batches(directory, gateway, key) as talk:
        made = await talk.call("SubmitBatch", _pieces(file, spec), UPLOAD_SECONDS_MAX)
        batch = made.batch
        if wait:
            batch = await _waited(talk, batch, quiet=as_json)
            if out is not None:
                await _write(talk, batch, out)
    _print(batch, as_json=as_json)
    if not wait and not as_json:
        print(f"see how it goes: spendgate batch status {batch.batch_id} --wait")
    _check(batch)


@command
async def status(
    batch_id: IdArgument,
    *,
    wait: WaitOption = False,
    gateway: GatewayOption = None,
    key: KeyOption = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """How far a job is, what it cost and what it saved."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    async with _batches(directory, gateway, key) as talk:
        batch = (await talk.call("GetBatch", pb.GetBatchRequest(batch_id=batch_id))).batch
        if wait:
            batch = await _waited(talk, batch, quiet=as_json)
    _print(batch, as_json=as_json)
    _check(batch)


@command
async def results(
    batch_id: IdArgument,
    *,
    out: OutOption = None,
    gateway: GatewayOption = None,
    key: KeyOption = None,
    directory: DirOption = DIR_DEFAULT,
) -> None:
    """The lines of a job that has ended: those answered, then those that failed. Without --out
    on standard output."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    async with _batches(directory, gateway, key) as talk:
        batch = (await talk.call("GetBatch", pb.GetBatchRequest(batch_id=batch_id))).batch
        if not batch.HasField("end_time"):
            raise Problem(
                f"the job is {state_word(batch)}: it has no results yet",
                f"wait for it: spendgate batch status {batch_id} --wait",
            )
        if out is not None:
            await _write(talk, batch, out)
            return
        async for line in _lines(talk, batch):
            print(line.decode())


@command
async def cancel(
    batch_id: IdArgument,
    *,
    gateway: GatewayOption = None,
    key: KeyOption = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """End a job early. What was answered stays, and is paid."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    async with _batches(directory, gateway, key) as talk:
        told = await talk.call("CancelBatch", pb.CancelBatchRequest(batch_id=batch_id))
    _print(told.batch, as_json=as_json)


@command
async def listing(
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most this many.")] = 20,
    gateway: GatewayOption = None,
    key: KeyOption = None,
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """The key's tenant's jobs, newest first."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    from cli.demo_money import usd_exact

    async with _batches(directory, gateway, key) as talk:
        response = await talk.call("ListBatches", pb.ListBatchesRequest(page_size=limit))
    if as_json:
        print_json(as_dict(response))
        return
    rows = [
        [
            batch.batch_id,
            state_word(batch),
            f"{batch.progress.completed + batch.progress.failed:,} of {batch.progress.total:,}",
            usd_exact(batch.money.cost_nanos),
        ]
        for batch in response.batches
    ]
    print_table(["job", "state", "lines", "cost"], rows, right="  rr")


def _batches(directory: Path, gateway: str | None, key: str | None) -> Any:
    from spendgate.gateway.v1 import batch_pb2_grpc as rpc

    return talking(gateway_door(directory, gateway, key), SERVICE, rpc.BatchServiceStub)


async def _pieces(file: Path, spec: Any) -> AsyncIterator[Any]:
    from spendgate.gateway.v1 import batch_pb2 as pb

    yield pb.SubmitBatchRequest(spec=spec)
    with file.open("rb") as lines:
        while piece := await asyncio.to_thread(lines.read, PIECE_BYTES):
            yield pb.SubmitBatchRequest(lines=piece)


async def _waited(talk: Talk, batch: Any, *, quiet: bool) -> Any:
    """The job once it has ended; its progress is shown meanwhile."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    pause = LOOK_SECONDS
    with Watch(quiet=quiet) as watch:
        while not batch.HasField("end_time"):
            watch.tell(batch)
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, LOOK_SECONDS_MAX)
            request = pb.GetBatchRequest(batch_id=batch.batch_id)
            batch = (await talk.call("GetBatch", request)).batch
        watch.tell(batch)
    return batch


async def _lines(talk: Talk, batch: Any) -> AsyncIterator[bytes]:
    from spendgate.gateway.v1 import batch_pb2 as pb

    request = pb.BatchResultsRequest(batch_id=batch.batch_id)
    async for response in talk.stream("BatchResults", request, RESULTS_SECONDS_MAX):
        for line in response.lines:
            yield line


async def _write(talk: Talk, batch: Any, out: Path) -> None:
    """The results as a file: whole, or not at all."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            async for line in _lines(talk, batch):
                file.write(line + b"\n")
        part.replace(out)
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _print(batch: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(batch))
    else:
        print_job(batch)


def _check(batch: Any) -> None:
    """Raises Problem for a job that was not begun."""
    if state_word(batch) == "failed":
        count = batch.error_count
        over = batch.errors[0].code == "budget_exceeded"
        raise Problem(
            f"the job was not begun, nothing was spent: {count:,} error{'s' * (count != 1)}",
            "mend what is named above and submit it again",
            code=EXIT_OVER_BUDGET if over else EXIT_FAILED,
            reason="BATCH_FAILED",
        )
