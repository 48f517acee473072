"""`spendgate calc`: what could be saved, from a few figures. Needs no fleet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from cli.calculator import options
from cli.calculator.given import PriceList, Told, bp_of, build, from_form
from cli.calculator.reckon import Reckoning, reckon
from cli.calculator.show import as_document, show
from cli.calculator.sources import Month, from_breakdown, from_files
from cli.calculator.workload import Workload, WorkloadError
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

SECONDS_MAX = 120.0
MODELS_MAX = 50
EPILOG = (
    "Example: spendgate calc --spend 1500 --model gpt-5.4=80 --model gpt-5.4-mini=20"
    " --turns 6 --cached 60\n\n" + EXIT_CODES_HELP
)


@command
async def calc(
    *,
    spend: options.Spend = "",
    requests: options.Requests = "",
    model: options.Model = None,
    price: options.Price = None,
    system: options.System = "300",
    new: options.New = "500",
    output: options.Output = "300",
    turns: options.Turns = 1,
    cached: options.Cached = "0",
    tools: options.Tools = "0",
    repeat: options.Repeat = "",
    wait: options.Wait = "0",
    cheap: options.Cheap = "",
    assume: options.Assume = None,
    hours: options.Hours = None,
    rate: options.Rate = "200",
    running: options.Running = "100",
    usage: options.Usage = None,
    provider: options.Provider = "openai",
    from_ledger: options.FromLedger = False,
    xlsx: options.Xlsx = None,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """What caching, contexts, compression, routing and batches would save, without counting twice.

    From a form, from a provider's export (--usage) or from the ledger (--from-ledger).
    """
    now = datetime.now(UTC)
    prices = PriceList(price or (), now)
    told = Told(
        turns=turns,
        cached=cached,
        tools=tools,
        repeat=repeat,
        wait=wait,
        cheap=cheap,
        assume=assume or (),
        hours=hours or (),
        rate=rate,
        running=running,
    )
    _one_source(spend or requests, usage, from_ledger)
    notes: tuple[str, ...] = ()
    if usage:
        month = from_files(usage, provider, prices, turns)
        work, notes = _of_month(told, prices, month), month.notes
    elif from_ledger:
        start = now - timedelta(days=30)
        month = await _booked(
            start, prices, tenant, directory=directory, ledger=ledger, token=token
        )
        work, notes = _of_month(told, prices, month), month.notes
    else:
        tokens = _tokens(system, new, output)
        work = from_form(told, prices, model or (), tokens, requests=requests, spend=spend)
    notes += _lacking(work, told)
    found = _reckoned(work)
    if xlsx is not None:
        _write(work, xlsx)
    if as_json:
        print_json(as_document(work, found, notes))
    else:
        show(work, found, notes)


def register(app: typer.Typer) -> None:
    """Adds `calc`."""
    app.command("calc", epilog=EPILOG)(calc)


def _one_source(form: str, usage: list[Path] | None, from_ledger: bool) -> None:
    if sum(map(bool, (form, usage, from_ledger))) > 1:
        raise Problem(
            "more than one source is told",
            "give --spend and --requests, or --usage, or --from-ledger",
            code=EXIT_USAGE,
        )


async def _booked(
    start: datetime,
    prices: PriceList,
    tenant: str,
    *,
    directory: Path,
    ledger: str | None,
    token: str | None,
) -> Month:
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    request = pb.BreakdownRequest(tenant=tenant, page_size=MODELS_MAX)
    request.start_time.FromDatetime(start)
    request.group_by.append(pb.AXIS_MODEL)
    async with reading_of(directory, ledger, token) as talk:
        response = await talk.call("Breakdown", request, SECONDS_MAX)
    return from_breakdown(response, prices, 30)


def _of_month(told: Told, prices: PriceList, month: Month) -> Workload:
    from dataclasses import replace

    # An export counts its cached tokens, so that all that is known to be sent again was cached.
    cached = "100" if month.provider_caches else told.cached
    return build(replace(told, cached=cached), prices, month.rows, month.spend_nanos)


def _lacking(work: Workload, told: Told) -> tuple[str, ...]:
    lacking = []
    if work.cheap is None:
        lacking.append("routing needs a cheaper model: name one with --cheap")
    if work.turns == 1:
        lacking.append("history is not reckoned in conversations of one turn: --turns")
    if work.tool_bp == 0:
        lacking.append("no tool results were told: --tools")
    if bp_of(told.wait) == 0:
        lacking.append("nothing was told to wait for a batch: --wait")
    return tuple(lacking)


def _tokens(system: str, new: str, output: str) -> dict[str, int]:
    from cli.amounts import count_of

    told = {"instruction_tokens": system, "new_tokens": new, "output_tokens": output}
    return {name: count_of(text) for name, text in told.items()}


def _reckoned(work: Workload) -> Reckoning:
    try:
        return reckon(work)
    except WorkloadError as error:
        raise Problem(str(error), code=EXIT_USAGE) from None


def _write(work: Workload, path: Path) -> None:
    try:
        from cli.calculator.sheet import write
    except ImportError as error:
        raise Problem(
            "workbooks need openpyxl", "install it with: pip install 'spendgate[xlsx]'"
        ) from error
    try:
        write(work, path)
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}", code=EXIT_USAGE) from error
