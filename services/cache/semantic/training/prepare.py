"""Gathers the verifier's training pairs: `python -m services.cache.semantic.training.prepare
ROWS.jsonl.gz ... --held HELD.jsonl --out pairs.pkl`.

ROWS are labelled pairs {"a", "b", "same", "source"} whose licence allows shipping (card.md names
them); HELD are pairs none of whose texts may be trained on. To them come the project's own pairs
and word-order pairs made of the permitted texts. Pairs that a guard refuses are mostly left out:
the verifier never sees them at work.
"""

import argparse
import gzip
import json
import pickle
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.cache.semantic.align import align
from services.cache.semantic.guards import read, refusal
from services.cache.semantic.training.own_pairs import own_pairs
from services.cache.semantic.training.swaps import exchanged, turned
from services.cache.semantic.wordpiece import WordPiece

PIECES_MAX = 62
SEED = 9
HELD_SOURCES = ("webquestions", "edit-webquestions", "gptcache-mock", "mock-more", "snips")
KEPT = {"simplequestions": 0.7, "wikisql": 0.7}
REFUSED_KEPT = {0: 0.12, 1: 0.25}
FAR_KEPT, FAR_OVERLAP = 0.25, 0.2
EXCHANGED_MAX = 9_000
EXCHANGED_WORDS = (4, 22)
NO_PROSE = ("nl-rx", "thingpedia", "instruction-paraphrases")

Row = tuple[str, str, int, str]


def rows_of(path: Path) -> Iterator[Row]:
    """The pairs of a file, gzip or not."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["a"], row["b"], int(row["same"]), row["source"]


def word_order(rows: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    """Pairs made by rule of the rows' texts."""
    few, many = EXCHANGED_WORDS
    texts = sorted({t for r in rows if r[3] not in NO_PROSE for t in r[:2]})
    texts = [t for t in texts if few <= len(t.split()) <= many]
    rng.shuffle(texts)
    count = 0
    for text in texts:
        other = turned(text)
        if other is not None:
            yield text, other, 1, "own-and"
        other = exchanged(text, rng) if count < EXCHANGED_MAX else None
        if other is not None:
            count += 1
            yield text, other, 0, "own-swap"


def wanted(row: Row, rng: random.Random) -> bool:
    """Whether a pair is worth its time in training."""
    a, b, same, source = row
    if rng.random() > KEPT.get(source, 1):
        return False
    one, other = read(a), read(b)
    if refusal(one, other) is not None:
        return rng.random() <= REFUSED_KEPT[same]
    overlap = len(one.stems & other.stems) / max(1, len(one.stems | other.stems))
    return bool(same) or overlap >= FAR_OVERLAP or rng.random() <= FAR_KEPT


def encoded(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """(ids of a, ids of b, marks of a, marks of b, same, source) of each pair."""
    pieces = WordPiece.shipped()
    found = []
    for a, b, same, source in rows:
        one, other = pieces.ids(a, PIECES_MAX), pieces.ids(b, PIECES_MAX)
        if one and other:
            found.append((one, other, *align(one, other), same, source))
    return found


def main() -> None:
    """Writes (training pairs, held pairs)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--held", action="append", default=[], type=Path)
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311
    rows = [row for path in given.rows for row in rows_of(path)]
    held = [row for path in given.held for row in rows_of(path)]
    held += [row for row in rows if row[3] in HELD_SOURCES]
    own = list(own_pairs())
    unseen = {text for row in held for text in row[:2]}
    kept = [r for r in rows if r[3] not in HELD_SOURCES and not unseen & {r[0], r[1]}]
    kept += [*word_order(kept, rng), *(row for row in own if row[3] == "own")]
    held += [row for row in own if row[3] != "own"]
    kept = [row for row in kept if wanted(row, rng)]
    given.out.write_bytes(pickle.dumps((encoded(kept), encoded(held))))


if __name__ == "__main__":
    main()
