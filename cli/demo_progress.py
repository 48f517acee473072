"""The demo while it runs: what started, how far the day is, what it cost so far."""

from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from cli.demo_outcome import Outcome, Source
from cli.demo_tables import progress_words

# Where no bar can move, a line says the same every so often.
LINE_EVERY_REQUESTS = 30
WIDE_COLUMNS_MIN = 110


class DayProgress:
    """A bar with counters; plain lines where the output is no terminal."""

    def __init__(self, console: Console, requests: int) -> None:
        self._console = console
        self._requests = requests
        self._counts: Counter[str] = Counter()
        self._spent_nanos = 0
        self._done = 0
        self._clock = ""
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[clock]}", style="cyan"),
                BarColumn(bar_width=30 if console.width >= WIDE_COLUMNS_MIN else 8),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                Elapsed(),
                console=console,
            )
            self._task = self._bar.add_task(self._words(), total=requests, clock="     ")

    def __enter__(self) -> Self:
        if self._bar is not None:
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

    def tell(self, outcome: Outcome) -> None:
        """One more request has ended."""
        self._counts[_counter(outcome)] += 1
        self._spent_nanos += outcome.cost_nanos
        self._done += 1
        # Requests end in another order than they begin; the day's clock does not run backwards.
        self._clock = max(self._clock, outcome.row.time)
        words = self._words()
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=words, clock=self._clock)
        elif self._done % LINE_EVERY_REQUESTS == 0 or self._done == self._requests:
            line = f"{self._clock}  {self._done}/{self._requests}  {words}"
            self._console.print(line)

    def _words(self) -> str:
        return progress_words(self._counts, self._spent_nanos)


def _counter(outcome: Outcome) -> str:
    if outcome.hit:
        return "hit"
    return {Source.PROVIDER: "miss", Source.REFUSED: "refused"}.get(outcome.source, "failed")
