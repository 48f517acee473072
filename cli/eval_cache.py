"""`spendgate eval cache`: the semantic cache's judge on labelled pairs, or on a stream."""

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cli.place import JsonOption
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import print_json, print_table
from services.cache.semantic import evaluate as ev
from services.cache.semantic.decide import Decision, default_decision
from services.cache.semantic.judge import Judge, load_judge

ROWS_MAX = 1_000_000
PROGRESS_SECONDS = 5.0
EPILOG = "Example: spendgate eval cache --pairs pairs.jsonl --json --scores-out scores.jsonl"
_Row = TypeVar("_Row")


def register(app: typer.Typer) -> None:
    """Adds `cache` to the commands of `eval`."""
    app.command("cache", epilog=EPILOG)(cache)


@command
def cache(
    *,
    pairs: Annotated[
        Path | None, typer.Option(help='JSON lines {"a", "b", "same": 0|1, "source"}, .gz or not.')
    ] = None,
    stream: Annotated[
        Path | None, typer.Option(help='JSON lines {"q", "group"}, replayed in order.')
    ] = None,
    scores_out: Annotated[
        Path | None, typer.Option(help='With --pairs: write {"i", "accept", "p_same"} a row here.')
    ] = None,
    verdicts_out: Annotated[
        Path | None, typer.Option(help='With --stream: write {"i", "hit_i"} a row here.')
    ] = None,
    learn: Annotated[
        bool,
        typer.Option(help="With --stream: learn on the first half, report on the second."),
    ] = False,
    wrong_hit_rate_max: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="The target of --learn.")
    ] = 0.01,
    shared_scope: Annotated[
        bool,
        typer.Option(
            "--shared-scope", help='Many users share the scope: "my" and "now" are exact only.'
        ),
    ] = False,
    screen: Annotated[
        bool, typer.Option(help="With --stream: the cheap look before the embedding.")
    ] = True,
    threads: Annotated[int, typer.Option(min=1, max=64, help="CPU threads.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure what the semantic cache would serve, with the judge the service runs.

    With one fixed setting, as a feature with nothing learned has it.
    """
    if (pairs is None) == (stream is None):
        raise Problem("Name either --pairs or --stream.", code=EXIT_USAGE)
    decision = default_decision(owner_in_scope=not shared_scope)
    progress = Told()
    if pairs is not None:
        rows = read_rows(pairs, pair)
        found = _pairs(load_judge(threads), rows, decision, progress, scores_out)
    else:
        queries = read_rows(_named(stream), query)
        target = wrong_hit_rate_max if learn else None
        found = _stream(
            load_judge(threads),
            queries,
            decision,
            progress,
            verdicts_out=verdicts_out,
            target=target,
            screened=screen,
        )
    progress.end()
    if as_json:
        print_json(found)
    else:
        _show(found)


def _pairs(
    judge: Judge,
    rows: Sequence[ev.Pair],
    decision: Decision,
    progress: "Told",
    scores_out: Path | None,
) -> dict[str, Any]:
    verdicts = list(ev.judge_pairs(judge, rows, decision, progress))
    if scores_out is not None:
        # A pair that was refused before the verifier was asked is sure to be refused: 0.
        _write(
            scores_out,
            (
                {"i": n, "accept": v.accept, "p_same": round(v.p_same or 0.0, 6)}
                for n, v in enumerate(verdicts)
            ),
        )
    return ev.pair_figures(rows, [v.accept for v in verdicts])


def _stream(
    judge: Judge,
    queries: Sequence[ev.Query],
    decision: Decision,
    progress: "Told",
    *,
    verdicts_out: Path | None,
    target: float | None,
    screened: bool,
) -> dict[str, Any]:
    first = 0
    if target is not None:
        first = len(queries) // 2
        learned = ev.learned(judge, queries[:first], decision, target, progress)
        decision = learned.decision
        progress.say(learned.reason)
    hits = [s.hit for s in ev.replay(judge, queries, decision, progress, screened=screened)]
    if verdicts_out is not None:
        _write(verdicts_out, ({"i": n, "hit_i": hit} for n, hit in enumerate(hits)))
    return ev.stream_figures(queries, hits, since=first)


class Told:
    """Progress on standard error, at most a line every few seconds; none for short work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Tells how far it is, now and then."""
        now = self._clock()
        if now - self._last >= PROGRESS_SECONDS:
            self._last = now
            self.say(f"{what}: {done:,} of {of:,}")

    def say(self, text: str) -> None:
        """A line of its own."""
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """No more to tell."""
        self._last = float("inf")


def _named(path: Path | None) -> Path:
    if path is None:
        raise Problem("Name a file.", code=EXIT_USAGE)
    return path


def read_rows(path: Path, parse: Callable[[dict[str, Any]], _Row]) -> list[_Row]:
    """The rows of a file. Raises Problem."""
    try:
        return list(_rows(path, parse))
    except OSError as error:
        why = error.strerror or "it is no gzip file"
        raise Problem(f"{path} cannot be read: {why}.", code=EXIT_USAGE) from None
    except (UnicodeDecodeError, EOFError):
        raise Problem(f"{path} is not UTF-8 text, or cut short.", code=EXIT_USAGE) from None


def _rows(path: Path, parse: Callable[[dict[str, Any]], _Row]) -> Iterator[_Row]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    found = 0
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if found >= ROWS_MAX:
                raise Problem(f"{path} has over {ROWS_MAX:,} rows.", code=EXIT_USAGE)
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("is not an object")
                yield parse(row)
            except ValueError as error:
                why = "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
                raise Problem(f"{path}, line {number}: {why}.", code=EXIT_USAGE) from None
            found += 1
    if not found:
        raise Problem(f"{path} has no rows.", code=EXIT_USAGE)


def pair(row: dict[str, Any]) -> ev.Pair:
    """A row of a pairs file. Raises ValueError."""
    if row.get("same") not in (0, 1):
        raise ValueError("`same` must be 0 or 1")
    return ev.Pair(_text(row, "a"), _text(row, "b"), bool(row["same"]), str(row.get("source", "")))


def query(row: dict[str, Any]) -> ev.Query:
    """A row of a stream file. Raises ValueError."""
    if "group" not in row:
        raise ValueError("has no `group`")
    return ev.Query(_text(row, "q"), row["group"])


def _text(row: dict[str, Any], name: str) -> str:
    if not isinstance(row.get(name), str):
        raise ValueError(f"has no text in `{name}`")
    return str(row[name])


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    try:
        with path.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}.", code=EXIT_USAGE) from None


def _show(found: dict[str, Any]) -> None:
    if "all" not in found:
        headers = ["queries", "hit rate", "precision"]
        print_table(headers, [[f"{found['n']:,}", *map(_cell, list(found.values())[1:])]])
        return
    named = [("all", found["all"]), *found["by_source"].items()]
    print_table(
        ["source", "pairs", "precision", "recall", "wrong accepted"],
        [[name, f"{row['n']:,}", *map(_cell, list(row.values())[1:])] for name, row in named],
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
