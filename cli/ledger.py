"""`spendgate ledger`: checks of the books, prices learned later, and their database."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import ledger_archive, ledger_import, ledger_migrate, ledger_reconcile
from cli.place import (
    DIR_DEFAULT,
    TENANT,
    DirOption,
    JsonOption,
    LedgerOption,
    TenantOption,
    TokenOption,
    ledger_of,
)
from cli.problems import EXIT_CODES_HELP, EXIT_USAGE, Problem, command
from cli.show import as_dict, console, print_json, print_table

PAGE_SIZE = 1000
VERIFY_SECONDS_MAX = 3600.0
ROWS_SHOWN_MAX = 20

app = typer.Typer(
    help="Check the books; price them again; look after their database.",
    no_args_is_help=True,
    epilog=EXIT_CODES_HELP,
)


def register(parent: typer.Typer) -> None:
    """Adds the group to the command line."""
    for part in (ledger_migrate, ledger_archive, ledger_import, ledger_reconcile):
        part.register(app)
    parent.add_typer(app, name="ledger")


@app.command(epilog="Example, every night: spendgate ledger verify --json || page-somebody")
@command
async def verify(
    *,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay every booked row and compare. Exit code 0: the books are right; 1: they are not."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    async with ledger_of(directory, ledger, token) as talk:
        told = await talk.call("VerifyBooks", pb.VerifyBooksRequest(), VERIFY_SECONDS_MAX)
    if as_json:
        print_json(as_dict(told))
    elif told.differences:
        rows = [[d.what, ", ".join(d.where), d.kept, d.replayed] for d in told.differences]
        print_table(["what", "where", "kept", "replayed"], rows, right="  rr")
    else:
        print("The books are right: balances and rollups are what the rows add up to.")
    if told.difference_count:
        raise Problem(
            f"the books disagree in {told.difference_count} places",
            "stop writing, keep a copy of the database, and report this",
            reason="BOOKS_DISAGREE",
        )


@app.command(epilog="Example: spendgate ledger reprice --since 30d --dry-run, then with --apply")
@command
async def reprice(
    *,
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    apply: Annotated[bool, typer.Option(help="Book the corrections.")] = False,
    since: Annotated[str, typer.Option(help="Rows from then on: 30d, 2026-11-01.")] = "",
    until: Annotated[str, typer.Option(help="Rows before then. Default: now.")] = "",
    model: Annotated[str, typer.Option(help="Only rows of this model.")] = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Price booked rows again at the prices known now for their moment."""
    from spendgate.ledger.v1 import ledger_service_pb2 as pb

    from cli.amounts import moment_of

    if dry_run == apply:
        raise Problem("what is to be done?", "give --dry-run or --apply", code=EXIT_USAGE)
    now = datetime.now(UTC)
    request = pb.RepriceRequest(tenant=tenant, model=model, apply=apply, page_size=PAGE_SIZE)
    request.end_time.FromDatetime(moment_of(until, now) if until else now)
    if since:
        request.start_time.FromDatetime(moment_of(since, now))
    found: list[Any] = []
    checked = unpriced = 0
    async with ledger_of(directory, ledger, token) as talk:
        while True:
            page = await talk.call("Reprice", request, VERIFY_SECONDS_MAX)
            found += page.repriced
            checked, unpriced = checked + page.checked_count, unpriced + page.unpriced_count
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    difference = sum(row.new_nanos - row.old_nanos for row in found)
    if as_json:
        told: dict[str, Any] = {"applied": apply, "checked": checked, "unpriced": unpriced}
        told |= {"difference_nanos": difference, "repriced": [as_dict(row) for row in found]}
        print_json(told)
        return
    _show(found, applied=apply, checked=checked, unpriced=unpriced)


def _show(found: list[Any], *, applied: bool, checked: int, unpriced: int) -> None:
    from cli.demo_money import usd_exact

    sums: dict[tuple[str, str, str], list[int]] = {}
    for row in found:
        key = (row.model, row.old_price_version, row.new_price_version)
        kept = sums.setdefault(key, [0, 0, 0])
        kept[0] += 1
        kept[1] += row.old_nanos
        kept[2] += row.new_nanos
    rows = [
        [*key, f"{count:,}", usd_exact(old), usd_exact(new), _signed(new - old)]
        for key, (count, old, new) in sorted(sums.items(), key=lambda item: -abs(item[1][2]))
    ]
    if rows:
        headers = ["model", "booked with", "now", "rows", "was", "is", "difference"]
        print_table(headers, rows[:ROWS_SHOWN_MAX], right="   rrrr")
    difference = sum(row.new_nanos - row.old_nanos for row in found)
    done = "corrected" if applied else "would be corrected"
    shown = console()
    shown.print(f"{checked:,} rows looked at, {len(found):,} {done}: {_signed(difference)}.")
    if unpriced:
        shown.print(f"{unpriced:,} rows are of models without a price; they stay as they are.")
    if found and not applied:
        shown.print("Book it with the same command and --apply.")


def _signed(nanos: int) -> str:
    from cli.demo_money import usd_exact

    return f"+{usd_exact(nanos)}" if nanos > 0 else usd_exact(nanos)
