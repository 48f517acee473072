"""A batch job for people: its progress while it runs, what it came to."""

from types import TracebackType
from typing import Any, Self

from cli.show import console


def state_word(batch: Any) -> str:
    """Where a job stands, as a word."""
    from spendgate.gateway.v1 import batch_pb2 as pb

    name = pb.BatchState.Name(batch.state).removeprefix("BATCH_STATE_").lower()
    return name.replace("_", " ")


class Watch:
    """A bar while a job runs; plain lines, one a change, where the output is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console()
        self._bar: Any = None
        self._task: Any = None
        self._said = ""

    def __enter__(self) -> Self:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        if self._console.is_terminal and not self._quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                Elapsed(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("validating", total=None)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, batch: Any) -> None:
        """How it stands now."""
        if self._quiet:
            return
        done = batch.progress.completed + batch.progress.failed
        total = batch.progress.total
        word = state_word(batch)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total or None, description=word)
            return
        said = f"{word}: {done:,} of {total:,} lines" if total else word
        if said != self._said:
            self._said = said
            self._console.print(said)


def print_job(batch: Any) -> None:
    """What is to be told of a job, its errors by line."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _rows(batch):
        if value:
            table.add_row(name, value)
    shown = console()
    shown.print(table)
    for error in batch.errors:
        where = f"line {error.line}" if error.line else "the job"
        what = f"{error.param}: {error.message}" if error.param else error.message
        shown.print(f"{where}: {what} ({error.code})")
    if batch.error_count > len(batch.errors):
        shown.print(f"and {batch.error_count - len(batch.errors):,} more")


def _rows(batch: Any) -> list[tuple[str, str]]:
    from cli.demo_money import usd_exact

    progress, money = batch.progress, batch.money
    ways = [
        (progress.from_cache, "from the cache"),
        (progress.duplicates, "asked before in the file"),
        (progress.by_endpoint, "at batch price"),
        (progress.by_calls, "by ordinary calls"),
    ]
    saved = [
        (money.saved_by_cache_nanos, "by the cache"),
        (money.saved_by_duplicates_nanos, "by duplicates"),
        (money.saved_by_batch_price_nanos, "by batch price"),
        (money.saved_otherwise_nanos, "otherwise"),
    ]
    parked = money.booking_parked_count
    lines = f"{progress.completed:,} answered, {progress.failed:,} failed of {progress.total:,}"
    return [
        ("job", batch.batch_id),
        ("state", state_word(batch)),
        ("lines", lines if progress.total else ""),
        ("answered", ", ".join(f"{count:,} {way}" for count, way in ways if count)),
        ("cost", usd_exact(money.cost_nanos)),
        ("not booked", f"{parked:,} lines, put aside in the gateway's outbox" if parked else ""),
        ("saved", ", ".join(f"{usd_exact(nanos)} {how}" for nanos, how in saved if nanos)),
        ("on hold", usd_exact(money.held_nanos) if money.held_nanos else ""),
        ("trace", batch.trace_id),
    ]
