"""`spendgate export`: booked rows in a file, resumable."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.place import (
    DIR_DEFAULT,
    TENANT,
    DirOption,
    JsonOption,
    LedgerOption,
    TenantOption,
    TokenOption,
    reading_of,
)
from cli.problems import EXIT_CODES_HELP, EXIT_USAGE, Problem, command
from cli.show import print_json

if TYPE_CHECKING:
    from cli.export_writers import Writer
    from cli.place import Talk

FORMATS = ("csv", "jsonl", "parquet", "focus", "focus-parquet")
SECONDS_MAX = 24.0 * 3600


def register(app: typer.Typer) -> None:
    """Adds `export`."""
    epilog = "Example: spendgate export rows.csv --since 30d\n\n" + EXIT_CODES_HELP
    app.command("export", epilog=epilog)(export)


@command
async def export(
    out: Annotated[
        Path, typer.Argument(help="The file; for Parquet a folder that parts are put in.")
    ],
    *,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "csv",
    since: Annotated[str, typer.Option(help="From then on: 30d, or a date. Default: all.")] = "",
    until: Annotated[str, typer.Option(help="Before then: a date. Default: now.")] = "",
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, over what is there.")
    ] = False,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write booked rows to a file: CSV, JSON Lines, Parquet, or FOCUS 1.2 for FinOps tools.

    Beside the file a cursor is kept (FILE.cursor). The same command goes on where it was: after a
    break, or another day for the rows that have come since.
    """
    if form not in FORMATS:
        raise Problem(
            f"{form!r} is no format", f"give one of: {', '.join(FORMATS)}", code=EXIT_USAGE
        )
    request = _request(tenant, since, until)
    cursor = Cursor(out, {"format": form, "tenant": tenant, "since": since, "until": until})
    if restart:
        cursor.forget()
    state = cursor.read()
    if state is None and _taken(out):
        raise Problem(
            f"{out} is there already, without a cursor to go on from",
            "choose another file, or begin anew with --restart",
        )
    rows = await _export(
        cursor, state or {}, request, out, form=form, where=(directory, ledger, token)
    )
    if as_json:
        print_json({"file": str(out), "format": form, "rows": rows})
    else:
        print(f"{rows:,} rows in {out}")


class Cursor:
    """Where an export is, in a file beside it. Written whole or not at all."""

    def __init__(self, out: Path, question: dict[str, str]) -> None:
        self._path = out.with_name(out.name + ".cursor")
        self._question = question

    def read(self) -> dict[str, Any] | None:
        """The last state, None at the beginning. Raises Problem when it is of another export."""
        try:
            told = json.loads(self._path.read_text())
            question, state = told["question"], told["state"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise Problem(f"{self._path} cannot be read", "begin anew with --restart") from None
        if question != self._question:
            raise Problem(
                f"{self._path} is of another export (its format, tenant or period differ)",
                "choose another file, or begin anew with --restart",
            )
        return dict(state)

    def write(self, state: dict[str, Any]) -> None:
        """Keeps a state. Raises Problem."""
        unfinished = self._path.with_name(self._path.name + ".tmp")
        try:
            unfinished.write_text(json.dumps({"question": self._question, "state": state}))
            unfinished.replace(self._path)
        except OSError as error:
            raise Problem(f"{self._path} cannot be written: {error.strerror}") from error

    def forget(self) -> None:
        """Begins anew."""
        self._path.unlink(missing_ok=True)


def _request(tenant: str, since: str, until: str) -> Any:
    from datetime import UTC, datetime

    from spendgate.ledger.v1 import reading_service_pb2 as pb

    from cli.amounts import moment_of

    request = pb.ExportEntriesRequest(tenant=tenant)
    now = datetime.now(UTC)
    if since:
        # A full day, so that the same words mean the same rows when the export goes on.
        start = moment_of(since, now).replace(minute=0, second=0, microsecond=0)
        request.start_time.FromDatetime(start)
    if until:
        request.end_time.FromDatetime(moment_of(until, now))
    return request


async def _export(
    cursor: Cursor,
    state: dict[str, Any],
    request: Any,
    out: Path,
    *,
    form: str,
    where: tuple[Path, str | None, str | None],
) -> int:
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    if state.get("request"):
        # The period stays that of the first run: "30d" would begin later today.
        request = pb.ExportEntriesRequest.FromString(bytes.fromhex(state["request"]))
    asked = request.SerializeToString().hex()
    request.cursor = state.get("cursor", "")
    writer = _writer(out, form, state.get("file", {}))
    rows = int(state.get("rows", 0))
    async with reading_of(*where) as talk:
        kept = await _pump(talk, request, writer, cursor, {"request": asked, "rows": rows})
    kept["file"] = await asyncio.to_thread(writer.close)
    cursor.write(kept)
    return int(kept["rows"])


async def _pump(
    talk: "Talk", request: Any, writer: "Writer", cursor: Cursor, state: dict[str, Any]
) -> dict[str, Any]:
    """Writes pieces as they come; the state after the last one."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    state["cursor"] = request.cursor
    columns = (TextColumn("{task.completed:,} rows"), BarColumn(), TimeRemainingColumn())
    # On standard error: standard output is for the result.
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("export", total=None)
        done = 0
        async for piece in talk.stream("ExportEntries", request, SECONDS_MAX):
            await asyncio.to_thread(writer.add, piece.entries)
            done += len(piece.entries)
            state |= {"cursor": piece.cursor, "rows": state["rows"] + len(piece.entries)}
            kept = await asyncio.to_thread(writer.keep)
            if kept is not None:
                cursor.write({**state, "file": kept})
            progress.update(
                task, completed=done, total=done - len(piece.entries) + piece.left_count
            )
    return state


def _taken(out: Path) -> bool:
    return any(out.iterdir()) if out.is_dir() else out.exists()


def _writer(out: Path, form: str, state: dict[str, Any]) -> "Writer":
    from cli import export_focus, export_rows
    from cli.export_writers import ParquetWriter, TextWriter

    record = export_focus.record if form.startswith("focus") else export_rows.record
    try:
        if form.endswith("parquet"):
            return ParquetWriter(out, record, state)
        return TextWriter(out, record, "jsonl" if form == "jsonl" else "csv", state)
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}") from error
