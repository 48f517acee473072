"""What counting costs, as ratios in one run: `python -m bench.count [--data FILE.jsonl]`.

1. The engine that serves against tiktoken, on everyday texts.
2. Growth on hostile texts: a text twice as long must take about twice the time, up to 4 MB.
3. The service over its socket, 64 callers: a call a text against coalesced calls, alternating.
4. The longest time that the service's event loop stood still while hostile texts were counted.
5. With --data: a recorded conversation counted before each turn: known again, memo, neither.

`--json` prints one JSON document; without it, tables.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from bench.count_engine import everyday, growth
from bench.count_memo import conversations
from bench.count_service import callers, stalls
from services.tokenizer import vocabulary

SECONDS = 2.0
ROUNDS = 5


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="recorded conversations, one a line")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="a round of the service")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    vocabularies = vocabulary.load()
    found: dict[str, Any] = {
        "machine": platform.platform(),
        "engine": "tiktoken" if vocabularies.fallback else "fast",
        "everyday": everyday(vocabularies),
        "growth": growth(vocabularies),
        "service": callers(arguments.seconds, arguments.rounds),
        "stalls": stalls(),
    }
    if arguments.data is not None:
        found["memo"] = conversations(arguments.data, vocabularies)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['machine']}, engine: {found['engine']}")
    for name in ("everyday", "growth", "service", "stalls", "memo"):
        if name in found:
            show(name, found[name])


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """A table: the keys of the first row above, a line a row."""
    heads = list(rows[0])
    lines = [heads, *([_cell(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    print(f"\n{title}")
    for line in lines:
        cells = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join(cells))


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
