"""`spendgate cache`: what the cache did and why, and taking answers out of it."""

import sys
from typing import Annotated, Any

import typer

from catalog.money import usd_text
from cli.place import DIR_DEFAULT, TENANT, DirOption, JsonOption, TokenOption, inner_door, talking
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.cache.v1.CacheService"
INVALIDATE_SECONDS_MAX = 300.0
BASIS_POINTS_A_PERCENT = 100

app = typer.Typer(help="See what the cache saved and why; take answers out.", no_args_is_help=True)

CacheOption = Annotated[
    str | None,
    typer.Option(
        "--cache",
        envvar="SPENDGATE_CACHE_ADDRESS",
        help="host:port of the cache. Default: the fleet in --dir.",
        show_envvar=True,
    ),
]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose answers.")]
ProjectOption = Annotated[str, typer.Option(help="Of the scope, where answers are a project's.")]
UserOption = Annotated[str, typer.Option(help="Of the scope, where answers are a user's.")]


@app.callback()
def _cache() -> None:
    """See what the cache saved and why; take answers out."""


@command
async def stats(
    *,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days back, today included.")] = 30,
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    cache: CacheOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show hits by kind, what they saved, and what re-use says of times to live."""
    from datetime import UTC, datetime, timedelta

    from spendgate.cache.v1 import cache_service_pb2 as pb

    request = pb.StatsRequest(tenant=tenant)
    request.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=days - 1))
    async with _talk(directory, cache, token) as talk:
        found = await talk.call("Stats", request)
    if as_json:
        print_json(as_dict(found))
        return
    if not found.rows:
        typer.echo("Nothing was looked up in this time.")
        return
    headers = ["feature", "model", "look-ups", "exact", "semantic", "wrong", "saved", "share",
               "tokens", "mean age"]  # fmt: skip
    lines = [_stats_line(row, row.feature or "(none)") for row in found.rows]
    print_table(headers, [*lines, _stats_line(found.total, "all")], right="  rrrrrrrr")
    if found.HasField("entry_count"):
        typer.echo(f"{found.entry_count} answers are kept.")
    for advice in found.ttl_advices:
        if advice.ttl_seconds:
            stale = f", stale from {_span(advice.stale_seconds)} on" if advice.stale_seconds else ""
            typer.echo(
                f"{advice.feature or '(none)'}: 95 % of {advice.hit_count} hits came within"
                f" {_span(advice.reuse_seconds)}{stale}; ttl_seconds: {advice.ttl_seconds}"
                " would serve them"
            )


@command
async def invalidate(
    *,
    key: Annotated[list[str] | None, typer.Option(help="An entry's key; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A label, name=value; repeatable.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="A feature; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model; repeatable.")] = None,
    since: Annotated[str, typer.Option(help="Stored from then on: 2h ago, as 2h, or a date.")] = "",
    until: Annotated[str, typer.Option(help="Stored before then: as --since.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All answers of the scope.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: only count.")] = False,
    project: ProjectOption = "",
    user: UserOption = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    cache: CacheOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the answers that match, or with --yes take them out."""
    from datetime import UTC, datetime

    from spendgate.cache.v1 import cache_service_pb2 as pb

    from cli.amounts import moment_of

    if not (everything or key or tag or feature or model or since or until):
        raise Problem("nothing says what to take out", "give a filter, or --all", code=EXIT_USAGE)
    request = pb.InvalidateRequest(
        scope=pb.Scope(tenant=tenant, project=project, user=user),
        keys=key or [],
        tags=tag or [],
        features=feature or [],
        models=model or [],
        everything=everything,
        dry_run=not yes,
    )
    for field, text in (("store_time_start", since), ("store_time_end", until)):
        if text:
            getattr(request, field).FromDatetime(moment_of(text, datetime.now(UTC)))
    async with _talk(directory, cache, token) as talk:
        found = await talk.call("Invalidate", request, INVALIDATE_SECONDS_MAX)
        while not found.complete and yes and found.removed_count:
            more = await talk.call("Invalidate", request, INVALIDATE_SECONDS_MAX)
            found.removed_count += more.removed_count
            found.matched_count += more.matched_count
            found.seen_count += more.seen_count
            found.complete = more.complete
            if not more.removed_count:
                break
    if as_json:
        print_json(as_dict(found))
    elif yes:
        typer.echo(f"{found.removed_count} answers are gone.")
    else:
        typer.echo(
            f"{found.matched_count} of {found.seen_count} answers match. Add --yes to do it."
        )
    if not found.complete and not as_json:
        typer.echo("The time was up first; there may be more.")


@command
async def explain(
    prompt: Annotated[str, typer.Argument(help="The prompt; - reads it from standard input.")],
    *,
    model: Annotated[str, typer.Option(help="As callers ask for it.")] = "auto",
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    feature: Annotated[str, typer.Option(help="The caller's feature.")] = "",
    project: ProjectOption = "",
    user: UserOption = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    cache: CacheOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the cache would answer a prompt with, what was near, and what refused it."""
    from spendgate.cache.v1 import cache_service_pb2 as pb

    request = pb.LookupRequest(items=[_asked(prompt, system)])
    item = request.items[0]
    item.scope.MergeFrom(pb.Scope(tenant=tenant, project=project, user=user))
    item.model, item.feature, item.user = model, feature, user
    async with _talk(directory, cache, token) as talk:
        (result,) = (await talk.call("Lookup", request)).results
    if result.HasField("error"):
        raise Problem(result.error.message, code=EXIT_USAGE)
    if as_json:
        print_json(as_dict(result.finding))
        return
    _show_finding(result.finding)


@command
async def report_wrong(
    entry_key: Annotated[str, typer.Argument(help="The key of the entry that was served.")],
    *,
    key: Annotated[str, typer.Option(help="The asking prompt's key. Default: an exact hit.")] = "",
    stale: Annotated[bool, typer.Option("--stale", help="It was right once.")] = False,
    project: ProjectOption = "",
    user: UserOption = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    cache: CacheOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a hit was wrong: it goes at once, and its feature becomes stricter."""
    from spendgate.cache.v1 import cache_service_pb2 as pb

    request = pb.ReportWrongHitRequest(
        scope=pb.Scope(tenant=tenant, project=project, user=user),
        entry_key=entry_key,
        key=key,
        verdict=pb.HIT_VERDICT_STALE if stale else pb.HIT_VERDICT_WRONG,
        judge=pb.HIT_JUDGE_OPERATOR,
    )
    async with _talk(directory, cache, token) as talk:
        found = await talk.call("ReportWrongHit", request)
    if as_json:
        print_json(as_dict(found))
        return
    typer.echo("The answer is gone." if found.removed else "There was no such answer.")
    if found.learned:
        typer.echo(f"Hits of its feature must now be surer by {found.stricter:.1f} log odds.")


def _talk(directory: Any, cache: str | None, token: str | None) -> Any:
    from spendgate.cache.v1 import cache_service_pb2_grpc as rpc

    return talking(inner_door(directory, "cache", cache, token), SERVICE, rpc.CacheServiceStub)


def _asked(prompt: str, system: str) -> Any:
    from spendgate.cache.v1 import cache_service_pb2 as pb
    from spendgate.chat.v1 import chat_pb2

    text = sys.stdin.read() if prompt == "-" else prompt
    item = pb.LookupItem(mode=pb.LOOKUP_MODE_SEMANTIC, explain=True, dry_run=True)
    if system:
        item.prompt.messages.add(role=chat_pb2.ROLE_SYSTEM, content=system)
    item.prompt.messages.add(role=chat_pb2.ROLE_USER, content=text)
    return item


def _show_finding(finding: Any) -> None:
    from spendgate.cache.v1 import cache_service_pb2 as pb

    outcome = pb.Outcome.Name(finding.outcome).removeprefix("OUTCOME_").lower()
    typer.echo(f"{outcome}; key {finding.key or 'none'}")
    told = finding.explanation
    if told.skipped:
        typer.echo(f"no semantic look-up: {told.skipped}")
    elif told.screened_out:
        typer.echo("nothing near")
    if told.decision:
        typer.echo(
            f"decision: {told.decision}, cosine from {told.similarity_min:.2f}"
            f" on, {told.stricter:.1f} log odds stricter"
        )
    if told.candidates:
        print_table(["entry", "cosine", "same?", ""], [_seen(each) for each in told.candidates])


def _seen(candidate: Any) -> list[str]:
    same = f"{candidate.p_same:.3f}" if candidate.HasField("p_same") else ""
    verdict = f"refused: {candidate.refused_by}" if candidate.refused_by else "served"
    return [candidate.entry_key, f"{candidate.similarity:.4f}", same, verdict]


def _stats_line(row: Any, name: str) -> list[str]:
    share = ""
    if row.HasField("saved_basis_points"):
        whole, rest = divmod(row.saved_basis_points, BASIS_POINTS_A_PERCENT)
        share = f"{whole}.{rest:02d} %"
    age = _span(row.hit_age_seconds_mean) if row.HasField("hit_age_seconds_mean") else ""
    return [
        name,
        row.model,
        str(row.lookup_count),
        str(row.exact_hit_count),
        str(row.semantic_hit_count),
        str(row.wrong_hit_count),
        usd_text(row.saved_nanos),
        share,
        str(row.saved_tokens),
        age,
    ]


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


_EXAMPLES = {
    "stats": "spendgate cache stats --days 7",
    "invalidate": "spendgate cache invalidate --feature faq --tag version=3 --yes",
    "explain": 'spendgate cache explain "Tell me France\'s capital" --model auto',
    "report-wrong": "spendgate cache report-wrong ENTRY_KEY --key KEY",
}
for _verb in (stats, invalidate, explain, report_wrong):
    _name = _verb.__name__.replace("_", "-")
    app.command(_name, epilog=f"Example: {_EXAMPLES[_name]}")(_verb)


def register(main: typer.Typer) -> None:
    """Adds `cache`."""
    main.add_typer(app, name="cache")
