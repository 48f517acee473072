"""`spendgate report`: what was spent and saved, by whom."""

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
from cli.problems import EXIT_CODES_HELP, EXIT_USAGE, Problem, command
from cli.show import as_dict, print_json, print_table

AXES = (
    "feature",
    "model",
    "user",
    "project",
    "provider",
    "kind",
    "key",
    "session",
    "day",
    "hour",
)
TAG_PREFIX = "tag:"
AXES_MAX = 3
FORMATS = ("table", "csv", "jsonl", "json")
SECONDS_MAX = 120.0
EPILOG = "Example: spendgate report --by feature,model --since 7d\n\n" + EXIT_CODES_HELP

app = typer.Typer(
    help="Sum what was booked; daily and monthly reports.",
    invoke_without_command=True,
    epilog=EPILOG,
)


@app.callback()
def report(
    context: typer.Context,
    *,
    by: Annotated[
        str, typer.Option(help=f"Group by up to three of: {', '.join(AXES)}, {TAG_PREFIX}NAME.")
    ] = "feature",
    since: Annotated[str, typer.Option(help="From then on: 24h, 7d, or a date.")] = "",
    until: Annotated[str, typer.Option(help="Before then: 24h, 7d, or a date.")] = "",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only rows that equal this: feature=chat, tag:team=blue."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many groups.")] = 50,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "table",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sum what was booked: requests, cache hits, errors, tokens, spent, saved, latency."""
    if context.invoked_subcommand is not None:
        return
    _summed(
        by=by,
        since=since,
        until=until,
        only=only or [],
        limit=limit,
        form=form,
        tenant=tenant,
        directory=directory,
        ledger=ledger,
        token=token,
        as_json=as_json,
    )


@command
async def _summed(
    *,
    by: str,
    since: str,
    until: str,
    only: list[str],
    limit: int,
    form: str,
    tenant: str,
    directory: Path,
    ledger: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    form = "json" if as_json else form
    if form not in FORMATS:
        raise Problem(
            f"{form!r} is no format", f"give one of: {', '.join(FORMATS)}", code=EXIT_USAGE
        )
    request = question(by, only, tenant=tenant, since=since, until=until, limit=limit)
    async with reading_of(directory, ledger, token) as talk:
        response = await talk.call("Breakdown", request, SECONDS_MAX)
    names = split(by)
    if form == "table":
        _table(names, response)
    elif form == "json":
        print_json(
            {
                "rows": [flat(row) for row in response.rows],
                "total": flat(response.total),
                "nextPageToken": response.next_page_token,
                "behind": response.behind,
            }
        )
    else:
        from cli.report_rows import print_rows

        print_rows(names, response, form)


def split(by: str) -> list[str]:
    """The names in "feature,model". Raises Problem."""
    names = [name.strip() for name in by.split(",") if name.strip()]
    names = [name if name.startswith(TAG_PREFIX) else name.lower() for name in names]
    unknown = [name for name in names if name not in AXES and not _is_tag(name)]
    tags = [name for name in names if _is_tag(name)]
    if unknown or len(names) > AXES_MAX or len(set(names)) != len(names) or len(tags) > 1:
        what = f"{unknown[0]!r} is no dimension" if unknown else f"{by!r} cannot be grouped by"
        step = (
            f"give up to {AXES_MAX} different ones of: {', '.join(AXES)},"
            f" and one {TAG_PREFIX}NAME at most"
        )
        raise Problem(what, step, code=EXIT_USAGE)
    return names


def question(
    by: str, only: list[str], *, tenant: str, since: str = "", until: str = "", limit: int = 50
) -> Any:
    """The BreakdownRequest. Raises Problem."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    from cli.amounts import moment_of

    names = split(by)
    request = pb.BreakdownRequest(
        tenant=tenant, group_by=[_axis(name) for name in names], page_size=limit
    )
    for text in only:
        name, sign, value = text.partition("=")
        split(name)
        if not sign or name in ("day", "hour"):
            raise Problem(
                f"{text!r} is no filter", "write for instance feature=chat", code=EXIT_USAGE
            )
        request.only.add(axis=_axis(name), value=_kind(value) if name == "kind" else value)
        names.append(name)
    tags = {name.removeprefix(TAG_PREFIX) for name in names if _is_tag(name)}
    if len(tags) > 1:
        raise Problem("two tags at once", "group or filter by one tag", code=EXIT_USAGE)
    request.tag_name = next(iter(tags), "")
    now = datetime.now(UTC)
    if since:
        request.start_time.FromDatetime(moment_of(since, now))
    if until:
        request.end_time.FromDatetime(moment_of(until, now))
    return request


def flat(row: Any) -> dict[str, Any]:
    """A group as one object, as LedgerService.Report has it, with latencies."""
    told = as_dict(row)
    return {**told.pop("sums"), **told}


def _is_tag(name: str) -> bool:
    return name.startswith(TAG_PREFIX) and len(name) > len(TAG_PREFIX)


def _axis(name: str) -> str:
    return "AXIS_TAG" if _is_tag(name) else f"AXIS_{name.upper()}"


def _kind(value: str) -> str:
    prefix = "ENTRY_KIND_"
    return value if value.startswith(prefix) else prefix + value.upper()


def _table(names: list[str], response: Any) -> None:
    from cli.demo_money import percent
    from cli.report_rows import causes_of, cells, headers

    if not response.rows or not response.total.sums.request_count:
        print('Nothing is booked yet. A first request: spendgate chat "..."')
        return
    causes = causes_of(response)
    titles = [*(names or ["all"]), *headers(causes)]
    keys = max(1, len(names))
    rows = [
        [*([value or "-" for value in row.sums.values] or ["all"]), *cells(row, causes)]
        for row in response.rows
    ]
    if names:
        rows.append(["total", *[""] * (keys - 1), *cells(response.total, causes)])
    print_table(titles, rows, right=" " * keys + "r" * (len(titles) - keys))
    total = response.total.sums
    whole = int(total.counterfactual_nanos)
    if whole > 0:
        saved = percent(whole - int(total.cost_nanos), whole)
        print(f"\n{saved} saved of what it would have cost without Spendgate.")
    if response.next_page_token:
        print(f"Only the {len(response.rows)} dearest groups are shown: --limit shows more.")
    if response.behind:
        print("The last moments are not in sums by key, tag and latency yet.")
