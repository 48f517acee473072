"""`spendgate demo`: a support chatbot's day through a fleet of its own, and what it saved."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis.errors import RemoteError
from chassis.settings import PREFIX
from cli.demo_call import Ask, GrpcDoor
from cli.demo_figures import Figures, count_day
from cli.demo_http import HttpDoor
from cli.demo_ledger import LedgerDesk
from cli.demo_outcome import Outcome, Source
from cli.demo_progress import DayProgress
from cli.demo_rows import Day, first_rows, load_day
from cli.demo_run import CALLERS, DayRun
from cli.demo_show import ShownTrace, demo_json, pick_traces, print_day
from cli.demo_tables import BudgetPlan, Setting, opening
from cli.demo_upstream import (
    LOCAL,
    Upstream,
    UpstreamUnusable,
    find_upstream,
    reports_budget_nanos,
    worst_case_nanos,
)
from cli.embedded.folder import FolderProblem
from cli.embedded.plan import Options, PlanProblem
from cli.embedded.redis import RedisUnavailable
from cli.embedded.supervisor import Change, Fleet, News, StartFailed, running_fleet
from cli.place import JsonOption
from cli.problems import EXIT_USAGE, Problem, command, from_status
from cli.show import print_json

TENANT = "brambletarn"
KEY_ID = "demo"
REPORTS = "reports"
TENANT_LIMIT_NANOS = 1_000_000_000
# As the gateway's hold_tokens_margin.
HOLD_TOKENS_MARGIN = 64
BOOKING_SECONDS_MAX = 10.0
BOOKING_POLL_SECONDS = 0.2

EXIT_TERMINATED = 128 + signal.SIGTERM
WIDTH_WITHOUT_TERMINAL = 100
EPILOG = "Example: spendgate demo --json"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo was asked for."""

    upstream: str = LOCAL
    as_json: bool = False
    keep: bool = False
    requests: int | None = None
    callers: int = CALLERS


@dataclass(frozen=True, slots=True)
class Stage:
    """What all parts of a run work with."""

    options: DemoOptions
    day: Day
    upstream: Upstream
    console: Console


def register(app: typer.Typer) -> None:
    """Puts the command on the command line."""
    app.command("demo", epilog=EPILOG)(demo)


@command
async def demo(
    *,
    upstream: Annotated[
        str, typer.Option(help="Who answers: local, openai, or a provider of spendgate.yaml.")
    ] = LOCAL,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the fleet's folder: its books and logs.")
    ] = False,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Run only the day's first requests.")
    ] = None,
    callers: Annotated[
        int, typer.Option(min=1, max=16, help="Requests under way at once.")
    ] = CALLERS,
    as_json: JsonOption = False,
) -> None:
    """Run a support chatbot's day through a fleet of its own; print what it saved.

    A small model on this machine answers, at the prices of well-known ones.
    With --upstream a real provider answers and bills, at most a dollar.
    """
    options = DemoOptions(upstream, as_json, keep, requests, callers)
    figures = await run_demo(options, os.environ, Path.cwd())
    if figures.problems:
        raise Problem("the demo did not hold what it promises", "; ".join(figures.problems))


async def run_demo(options: DemoOptions, environ: Mapping[str, str], folder: Path) -> Figures:
    """Run the demo and print it. Nothing it started is left when it ends, however it ends.

    Raises Problem when it cannot run.
    """
    console = Console(stderr=options.as_json, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    with _until_terminated() as terminated:
        try:
            day = first_rows(load_day(), options.requests)
            upstream = find_upstream(options.upstream, environ, folder, datetime.now(UTC))
            stage = Stage(options, day, upstream, console)
            with _folder(options, console) as place:
                return await _in_folder(stage, place, _own_environ(environ, upstream))
        except UpstreamUnusable as error:
            raise Problem(str(error), code=EXIT_USAGE) from error
        except (FolderProblem, PlanProblem, RedisUnavailable, StartFailed) as error:
            raise Problem(str(error)) from error
        except RemoteError as error:
            raise from_status(error, "the demo's own ledger") from error
        except asyncio.CancelledError:
            if terminated():
                raise Problem("told to stop", code=EXIT_TERMINATED) from None
            raise


@contextmanager
def _until_terminated() -> Iterator[Callable[[], bool]]:
    """SIGTERM ends the run the way Ctrl-C does: by cancelling it, so that everything is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    told: list[bool] = []

    def stop() -> None:
        told.append(True)
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        yield lambda: bool(told)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@contextmanager
def _announced_stop(console: Console) -> Iterator[None]:
    """Says at once that a stop was heard: the fleet takes a moment to go."""
    try:
        yield
    except asyncio.CancelledError:
        console.print("stopping the fleet", style="yellow")
        raise


@contextmanager
def _folder(options: DemoOptions, console: Console) -> Iterator[Path]:
    """A folder that is gone afterwards, unless it was asked for or its logs say what failed."""
    place = Path(tempfile.mkdtemp(prefix=f"spendgate-demo-{os.getpid()}-"))
    keep = options.keep
    try:
        yield place
    except StartFailed:
        keep = True
        raise
    finally:
        if keep:
            console.print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)


async def _in_folder(stage: Stage, place: Path, environ: Mapping[str, str]) -> Figures:
    console, upstream = stage.console, stage.upstream
    config = place / "spendgate.yaml"
    config.write_text(upstream.config_text)
    setting = _setting(stage.day, upstream)
    console.print(opening(setting))
    fleet_options = Options(directory=place / "fleet", config=config, environ=environ)
    async with AsyncExitStack() as stack:
        began = time.monotonic()
        with console.status("starting the fleet") as status:
            tell = _Teller(console)
            tell.status = status.update
            fleet = await stack.enter_async_context(running_fleet(fleet_options, tell.tell))
            tell.status = None
        started = time.monotonic() - began
        console.print(tell.started(started), style="dim")
        stack.enter_context(_announced_stop(console))
        desk = await stack.enter_async_context(
            LedgerDesk(fleet.ledger, fleet.internal_token, TENANT)
        )
        key = await desk.create_key(KEY_ID)
        for plan in setting.budgets:
            await desk.create_budget(plan)
        began = time.monotonic()
        outcomes = await _run_day(stage, fleet, key)
        wall_seconds = round(time.monotonic() - began)
        figures = await _figures(desk, outcomes, wall_seconds)
        traces = [
            ShownTrace(outcome, await fleet.traces.whole(outcome.trace_id))
            for outcome in pick_traces(outcomes)
        ]
    if stage.options.as_json:
        print_json(demo_json(figures, setting, traces))
    else:
        print_day(console, figures, setting, traces)
    return figures


def _setting(day: Day, upstream: Upstream) -> Setting:
    reports_nanos = reports_budget_nanos(
        day, upstream, feature=REPORTS, tokens_margin=HOLD_TOKENS_MARGIN
    )
    budgets = [BudgetPlan("shop", "", TENANT_LIMIT_NANOS)]
    if reports_nanos:
        budgets.append(BudgetPlan("reports", REPORTS, reports_nanos))
    return Setting(
        place="five services, Redis and SQLite in a folder of their own",
        upstream=upstream.name,
        small_model=upstream.small_model,
        strong_model=upstream.manner.strong_model,
        prices=upstream.prices,
        budgets=budgets,
        worst_case_nanos=worst_case_nanos(day, upstream) if upstream.bills else None,
    )


def _own_environ(environ: Mapping[str, str], upstream: Upstream) -> dict[str, str]:
    """The environment without Spendgate's own settings: the demo touches no fleet but its own.
    Its traces may be seen elsewhere."""
    kept = {*upstream.variables, "SPENDGATE_OTLP_ENDPOINT"}
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(PREFIX) or name in kept
    }


class _Teller:
    """Hears what becomes of the fleet's parts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ready: list[News] = []
        self.status: Callable[[str], None] | None = None

    def tell(self, news: News) -> None:
        """Keeps who is ready; says at once who died."""
        if news.change is Change.READY:
            self._ready.append(news)
            if self.status is not None:
                names = ", ".join(part.name for part in self._ready)
                self.status(f"starting the fleet: {names}")
        elif news.change is Change.DIED:
            line = f"{news.name} {news.detail}"
            self._console.print(line, style="yellow")

    def started(self, seconds: float) -> str:
        """One line on the start."""
        parts = ", ".join(sorted(part.name for part in self._ready))
        return f"  started in {seconds:.1f} s: {parts}"


async def _run_day(stage: Stage, fleet: Fleet, key: str) -> list[Outcome]:
    """The whole day through both doors."""
    async with (
        GrpcDoor(fleet.gateway, key) as grpc_door,
        HttpDoor(fleet.http, key) as http_door,
    ):

        async def send(ask: Ask) -> Outcome:
            return await (http_door if ask.row.door == "http" else grpc_door).send(ask)

        with DayProgress(stage.console, len(stage.day.rows)) as progress:
            run = DayRun(
                stage.day,
                send,
                manner=stage.upstream.manner,
                tell=progress.tell,
                callers=stage.options.callers,
            )
            return await run.run()


async def _figures(desk: LedgerDesk, outcomes: Sequence[Outcome], wall_seconds: int) -> Figures:
    """The figures once the ledger has booked every answer, at most BOOKING_SECONDS_MAX later."""
    answered = sum(o.hit or o.source is Source.PROVIDER for o in outcomes)
    give_up = time.monotonic() + BOOKING_SECONDS_MAX
    while True:
        by_feature, total = await desk.report(ledger_pb.DIMENSION_FEATURE)
        if total.requests - total.errors >= answered or time.monotonic() > give_up:
            break
        await asyncio.sleep(BOOKING_POLL_SECONDS)
    by_model, _ = await desk.report(ledger_pb.DIMENSION_MODEL)
    return count_day(
        outcomes,
        total=total,
        by_feature=by_feature,
        by_model=by_model,
        wall_seconds=wall_seconds,
    )
