"""`spendgate ledger import`: usage that went around the gateway."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
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
    reading_of,
)
from cli.problems import EXIT_FAILED, EXIT_USAGE, Problem, command
from cli.show import print_json

ITEMS_MAX = 256
LINE_BYTES_MAX = 64 * 1024
PROBLEMS_SHOWN_MAX = 20
SECONDS_MAX = 60.0
REQUIRED = ("event_id", "time", "model", "usage")
WHO = ("project", "user", "key_id", "feature", "session", "tags")
KNOWN = frozenset((*REQUIRED, *WHO, "source", "tenant", "provider", "latency_ms"))
EPILOG = (
    'Example line: {"source": "nightly", "event_id": "42", "time": "2026-11-01T03:00:00Z",'
    ' "model": "gpt-5.4", "feature": "digest", "usage": {"input_tokens": 900, "output_tokens": 80}}'
)


def register(group: typer.Typer) -> None:
    """Adds `import`."""
    group.command("import", epilog=EPILOG)(import_)


class BadLine(Exception):
    """A line is no event. Contents are never quoted."""


@command
async def import_(
    file: Annotated[Path, typer.Argument(help="JSON Lines, an event a line.")],
    *,
    source: Annotated[
        str, typer.Option(help="Who tells it, where a line does not say. Default: the file's name.")
    ] = "",
    budgets: Annotated[
        bool, typer.Option("--budgets", help="Charge the budgets that apply now.")
    ] = False,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Book usage that went around the gateway, at the prices of its own time.

    An event is booked once, by its source and id: importing a file again, or one that overlaps,
    changes nothing. Lines that cannot be booked are told and the others go in.
    """
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    problems: list[str] = []
    booked = nanos = 0
    async with reading_of(directory, ledger, token) as talk:
        for batch in _batches(file, source or file.stem, tenant, budgets, problems):
            request = pb.ImportUsageRequest(items=[item for _, item in batch])
            response = await talk.call("ImportUsage", request, SECONDS_MAX)
            for (number, _), result in zip(batch, response.results, strict=True):
                if result.HasField("error"):
                    problems.append(f"line {number}: {result.error.message}")
                else:
                    booked += 1
                    nanos += result.entry.cost_nanos
    _tell(booked, nanos, problems, as_json=as_json)
    if problems:
        raise typer.Exit(EXIT_FAILED)


def _tell(booked: int, nanos: int, problems: list[str], *, as_json: bool) -> None:
    from cli.demo_money import usd

    if as_json:
        print_json({"booked": booked, "costNanos": str(nanos), "problems": problems})
        return
    print(f"{booked:,} events are in the books, {usd(nanos, 4)} in all.")
    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        print(f"  {problem}")
    if len(problems) > PROBLEMS_SHOWN_MAX:
        print(f"  and {len(problems) - PROBLEMS_SHOWN_MAX:,} more")


def _batches(
    file: Path, source: str, tenant: str, budgets: bool, problems: list[str]
) -> Iterator[list[tuple[int, Any]]]:
    """(line number, event) in batches; what is wrong with a line goes to `problems`."""
    batch: list[tuple[int, Any]] = []
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    event = event_of(line, source, tenant)
                except BadLine as error:
                    problems.append(f"line {number}: {error}")
                    continue
                event.charges_budgets = budgets
                batch.append((number, event))
                if len(batch) == ITEMS_MAX:
                    yield batch
                    batch = []
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}", code=EXIT_USAGE) from error
    if batch:
        yield batch


def event_of(line: bytes, source: str, tenant: str) -> Any:
    """The event in a line. Raises BadLine."""
    from google.protobuf import json_format
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    if len(line) > LINE_BYTES_MAX:
        raise BadLine(f"is over {LINE_BYTES_MAX} bytes")
    try:
        told = json.loads(line)
    except ValueError:
        raise BadLine("is no JSON") from None
    if not isinstance(told, dict):
        raise BadLine("is no JSON object")
    missing = [name for name in REQUIRED if name not in told]
    unknown = sorted(told.keys() - KNOWN)
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has the unknown key {unknown[0]}"
        raise BadLine(what)
    event = pb.UsageEvent()
    try:
        event.event_time.FromDatetime(_time(told["time"]))
        content = {
            "source": told.get("source") or source,
            "event_id": str(told["event_id"]),
            "model": told["model"],
            "provider": told.get("provider", ""),
            "latency_ms": told.get("latency_ms", 0),
            "usage": told["usage"],
            "attribution": {
                "tenant": told.get("tenant") or tenant,
                **{name: told[name] for name in WHO if name in told},
            },
        }
        json_format.ParseDict(content, event)
    except (json_format.ParseError, TypeError, ValueError, OverflowError):
        raise BadLine("has a value of the wrong kind") from None
    return event


def _time(value: Any) -> datetime:
    """RFC 3339, or seconds since 1970."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
