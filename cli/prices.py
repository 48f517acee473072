"""`spendgate prices diff`: what other prices would have changed. Needs no fleet."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.config import ConfigError, load_config
from catalog.fleet import Fleet
from catalog.price import RATE_NAMES, ModelPrice, cost_nanos
from catalog.prices import Unpriced
from catalog.usage import BUCKETS, ImpossibleUsage, Usage
from cli.amounts import moment_of
from cli.cost import usd
from cli.place import (
    DIR_DEFAULT,
    DirOption,
    JsonOption,
    LedgerOption,
    Talk,
    TokenOption,
    ledger_of,
)
from cli.problems import EXIT_CONFIG, EXIT_USAGE, Problem, command
from cli.show import print_json, print_table

LINES_MAX = 10_000_000
PAGE_ROWS = 1_000
app = typer.Typer(help="Look at prices.", no_args_is_help=True)


@app.callback()
def _prices() -> None:
    """Look at prices."""


@command
async def diff(
    old: Annotated[Path, typer.Argument(help="The fleet file as it is.")],
    new: Annotated[Path, typer.Argument(help="The fleet file as it would be.")],
    *,
    usage: Annotated[
        Path | None,
        typer.Option(help="JSON Lines of {model, input_tokens, ...} in disjoint buckets."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Take the usage from the books of this tenant.")
    ] = None,
    since: Annotated[str, typer.Option(help="Of the books: 24h, 7d, or a date.")] = "30d",
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the prices of two fleet files, and what each makes of a month's usage: of a file's
    rows, or of what the ledger has booked."""
    now = datetime.now(UTC)
    before, after = _fleet(old), _fleet(new)
    names = sorted({*before.config.models, *after.config.models})
    changes = [
        change
        for name in names
        if (change := _change(name, _price(before, name, now), _price(after, name, now)))
    ]
    result: dict[str, Any] = {"changes": changes}
    if usage is not None and tenant is not None:
        raise Problem("give either --usage or --tenant", code=EXIT_USAGE)
    used = _read(usage) if usage is not None else None
    if tenant is not None:
        async with ledger_of(directory, ledger, token) as talk:
            used = await _booked(talk, tenant, moment_of(since, now))
    if used is not None:
        result["traffic"] = _traffic(used, before, after, now)
    if as_json:
        print_json(result)
        return
    rows = [
        [each["model"], name, str(pair[0]), str(pair[1])]
        for each in changes
        for name, pair in each["rates"].items()
    ]
    print_table(["model", "USD/M of", "old", "new"], rows, right="  rr")
    if "traffic" in result:
        traffic = result["traffic"]
        typer.echo(
            f"{traffic['calls']:,} calls: {traffic['old_usd']} USD before,"
            f" {traffic['new_usd']} after; {traffic['unpriced_calls']:,} without a price"
        )


def _fleet(path: Path) -> Fleet:
    try:
        return Fleet.of(load_config(path))
    except ConfigError as error:
        raise Problem(str(error), code=EXIT_CONFIG) from None


def _price(fleet: Fleet, name: str, at: datetime) -> ModelPrice | None:
    if name not in fleet.config.models:
        return None
    try:
        return fleet.book.price(name, at)
    except Unpriced:
        return None


def _change(name: str, old: ModelPrice | None, new: ModelPrice | None) -> dict[str, Any] | None:
    rates = {
        rate.removesuffix("_picos"): [_rate(old, rate), _rate(new, rate)]
        for rate in RATE_NAMES
        if _rate(old, rate) != _rate(new, rate)
    }
    if not rates:
        return None
    return {
        "model": name,
        "rates": rates,
        "old_version": old.version if old else None,
        "new_version": new.version if new else None,
    }


def _rate(price: ModelPrice | None, rate: str) -> str | None:
    if price is None:
        return None
    return f"{Decimal(getattr(price.rates, rate)).scaleb(-6).normalize():f}"


def _read(path: Path) -> list[tuple[str, Usage]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[:LINES_MAX]
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    return [_used(line, number) for number, line in enumerate(lines, 1)]


async def _booked(talk: Talk, tenant: str, start: datetime) -> list[tuple[str, Usage]]:
    """What the ledger's rows used, from `start` on, newest first; at most LINES_MAX rows."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    request = pb.ListEntriesRequest(tenant=tenant, page_size=PAGE_ROWS)
    found: list[tuple[str, Usage]] = []
    while True:
        page = await talk.call("ListEntries", request)
        for entry in page.entries:
            if entry.book_time.ToDatetime(UTC) < start or len(found) == LINES_MAX:
                return found
            told = entry.attempt.usage
            if told.ByteSize():
                usage = Usage(**{bucket: getattr(told, bucket) for bucket in BUCKETS})
                found.append((entry.attempt.model_used, usage))
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def _traffic(
    calls_used: Sequence[tuple[str, Usage]], before: Fleet, after: Fleet, at: datetime
) -> dict[str, Any]:
    calls = unpriced = old_nanos = new_nanos = 0
    for model, used in calls_used:
        old, new = _price(before, model, at), _price(after, model, at)
        calls += 1
        if old is None or new is None:
            unpriced += 1
            continue
        old_nanos += cost_nanos(old, used)
        new_nanos += cost_nanos(new, used)
    return {
        "calls": calls,
        "unpriced_calls": unpriced,
        "old_usd": usd(old_nanos),
        "new_usd": usd(new_nanos),
        "change_usd": usd(new_nanos - old_nanos),
    }


def _used(line: str, number: int) -> tuple[str, Usage]:
    try:
        row = json.loads(line)
        return str(row["model"]), Usage(**{key: int(row.get(key, 0)) for key in BUCKETS})
    except (ValueError, KeyError, TypeError, AttributeError, ImpossibleUsage):
        raise Problem(f"line {number} is no usage of a model", code=EXIT_USAGE) from None


app.command("diff")(diff)


def register(main: typer.Typer) -> None:
    """Adds `prices`."""
    main.add_typer(app, name="prices")
