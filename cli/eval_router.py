"""`spendgate eval router`: scores prompts and, where outcomes are known, the scores themselves."""

import gzip
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.router.learn.evaluate import (
    LEARN_ROWS_MIN,
    outcomes,
    pair_report,
    pairs_of,
    protocol,
    vectors_of,
)
from services.router.learn.prior import Prior

ROWS_MAX = 1_000_000


class BadRow(Exception):
    """A line of the file cannot be used. `line` counts from 1; the text says why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file, gzip or not. Raises OSError, BadRow."""
    return list(_rows(path))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if number > ROWS_MAX:
                raise BadRow(number, f"a file takes {ROWS_MAX:,} rows")
            try:
                row = json.loads(line)
            except ValueError:
                raise BadRow(number, "is not JSON") from None
            _checked(number, row)
            yield row


def _checked(number: int, row: Any) -> None:
    if not isinstance(row, dict):
        raise BadRow(number, "is not an object")
    for key in ("id", "prompt"):
        if not isinstance(row.get(key), str):
            raise BadRow(number, f"has no text in {key}")
    scores = row.get("scores", {})
    good = isinstance(scores, dict) and all(
        isinstance(score, int | float) and 0 <= score <= 1 for score in scores.values()
    )
    if not good:
        raise BadRow(number, "scores must be numbers from 0 to 1 by model")


def scored(prior: Prior, rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], Any]:
    """Each row's answer as --scores-out writes it, and the rows' vectors."""
    vectors = vectors_of(prior, rows)
    need = prior.need(vectors)
    names = list(prior.names)
    quality: Any = prior.quality(vectors, names) if names else [[] for _ in rows]
    answers = [
        {
            "id": row["id"],
            "p_strong": round(float(share), 6),
            "quality": {
                name: round(float(score), 5) for name, score in zip(names, line, strict=True)
            },
        }
        for row, share, line in zip(rows, need, quality, strict=True)
    ]
    return answers, vectors


def report(prior: Prior, rows: Sequence[dict[str, Any]], vectors: Any) -> list[dict[str, Any]]:
    """One entry a source and pair of models: the prior alone, and after own labels."""
    entries = []
    need = prior.need(vectors)
    for source in sorted({row.get("source", "") for row in rows if row.get("scores")}):
        places = [
            n for n, row in enumerate(rows) if row.get("scores") and row.get("source", "") == source
        ]
        part = [rows[n] for n in places]
        for strong, weak in pairs_of(part):
            scores = outcomes(part, [weak, strong])
            entry = {"source": source, "strong": strong, "weak": weak}
            entry["prior"] = pair_report(need[places], scores[:, 0], scores[:, 1])
            if len(part) >= LEARN_ROWS_MIN:
                entry["own_labels"] = protocol(prior, vectors[places], scores[:, 0], scores[:, 1])
            entries.append(entry)
    return entries


def run(
    data: Annotated[Path, typer.Option(help="JSON Lines, .gz or not: id, prompt, scores...")],
    scores_out: Annotated[
        Path | None, typer.Option(help="Write {id, p_strong, quality} a row here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score prompts with the router's predictor; with outcomes, say how good that is."""
    try:
        rows = read_rows(data)
    except (OSError, BadRow, UnicodeDecodeError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        typer.echo(f"eval router: {data}: {why}", err=True)
        raise typer.Exit(2) from None
    if not rows:
        typer.echo(f"eval router: {data}: has no rows", err=True)
        raise typer.Exit(2)
    prior = Prior.shipped()
    began = time.perf_counter()
    answers, vectors = scored(prior, rows)
    micros = (time.perf_counter() - began) * 1e6 / len(rows)
    if scores_out is not None:
        with scores_out.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(answer) + "\n" for answer in answers)
    result = {
        "rows": len(rows),
        "micros_per_row": round(micros, 1),
        "sources": report(prior, rows, vectors),
    }
    typer.echo(json.dumps(result, indent=2) if as_json else _table(result))


def _table(result: dict[str, Any]) -> str:
    lines = [f"{result['rows']:,} prompts, {result['micros_per_row']:.0f} us each"]
    if not result["sources"]:
        lines.append("no outcomes in the file: nothing to compare with")
    for entry in result["sources"]:
        lines.append(f"{entry['source']}: {entry['strong']} over {entry['weak']}")
        for name, words in (("prior", "shipped prior"), ("own_labels", "own labels   ")):
            found = entry.get(name)
            if found:
                lines.append(
                    f"  {words}  APGR {found['apgr']:.3f}  CPT50 {found['cpt50']:.0%}"
                    f"  CPT80 {found['cpt80']:.0%}"
                )
        prior = entry["prior"]
        if prior is not None and not prior["pays"]:
            lines.append("  routing by the prior alone does not pay here for certain")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Adds `router` to the commands of `eval`."""
    app.command("router")(run)
