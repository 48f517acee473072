"""The semantic cache's judgement and what it costs, on labelled pairs and on streams.

    python -m bench.cache FILE.jsonl[.gz] ... [--json]

A file of {"a", "b", "same", "source"} is judged pair by pair; one of {"q", "group"} is replayed,
with and without the screen, and learned from. Costs are CPU time of one thread; state the CPU
with them: without VNNI the networks take four times as long.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli.eval_cache import pair, query, read_rows
from services.cache.semantic import evaluate as ev
from services.cache.semantic.decide import default_decision
from services.cache.semantic.guards import read, refusal
from services.cache.semantic.judge import Candidate, Judge, load_judge

TIMED = 300
TARGET = 0.01


def micros(work: Callable[[], object], count: int) -> float:
    """CPU microseconds of this process for each of `count` pieces of `work`."""
    began = time.process_time()
    work()
    return round((time.process_time() - began) / count * 1e6, 1)


def costs(judge: Judge, texts: Sequence[str]) -> dict[str, float]:
    """What each step takes on texts of the file, in CPU microseconds."""
    texts = list(dict.fromkeys(texts))[:TIMED]
    pairs = list(pairwise(texts))
    decision = default_decision(owner_in_scope=True)

    def guard() -> None:
        for a, b in pairs:
            refusal(read(a), read(b))

    def verify() -> None:
        for text in texts:
            # A text against itself with a word more passes every guard.
            judge.judge(text, [Candidate(f"please {text}", 0.99)], decision)

    judge.embed(texts[:5])
    return {
        "screen": micros(lambda: [judge.screen([text]) for text in texts], len(texts)),
        "embed": micros(lambda: judge.embed(texts), len(texts)),
        "guards": micros(guard, len(pairs)),
        "guards_and_verifier": micros(verify, len(texts)),
    }


def on_pairs(judge: Judge, path: Path) -> dict[str, Any]:
    """Figures of a file of pairs."""
    rows = read_rows(path, pair)
    accepted = [
        v.accept for v in ev.judge_pairs(judge, rows, default_decision(owner_in_scope=True))
    ]
    return ev.pair_figures(rows, accepted)


def on_stream(judge: Judge, path: Path) -> dict[str, Any]:
    """Figures of a stream: fixed setting, without the screen, learned; and a miss's CPU."""
    rows = read_rows(path, query)
    decision = default_decision(owner_in_scope=True)
    found: dict[str, Any] = {}
    for name, screened in (("default", True), ("without_screen", False)):
        served = list(ev.replay(judge, rows, decision, screened=screened))
        found[name] = ev.stream_figures(rows, [each.hit for each in served])
        if screened:
            misses = [each for each in served if each.hit is None]
            reached = sum(bool(each.verdicts) for each in misses)
            found["misses_embedded"] = round(reached / len(misses), 4) if misses else None
    half = len(rows) // 2
    learned = ev.learned(judge, rows[:half], decision, TARGET, ev.quiet)
    hits = [each.hit for each in ev.replay(judge, rows, learned.decision)]
    found["learned"] = ev.stream_figures(rows, hits, since=half) | {"reason": learned.reason}
    found["cpu_micros"] = costs(judge, [row.text for row in rows])
    return found


def main() -> None:
    """Measures each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    judge = load_judge()
    found = {}
    for path in given.files:
        first = read_rows(path, dict)[0]
        found[path.name] = (on_pairs if "a" in first else on_stream)(judge, path)
        if not given.json:
            print(path.name, json.dumps(found[path.name], indent=2))
    if given.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
