"""The judge, measured: on labelled pairs, and on streams of questions replayed in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.cache.prose import CaseFolding, fold, settle
from services.cache.semantic.calibrate import Calibration, Result
from services.cache.semantic.decide import CANDIDATES_MAX, Decision
from services.cache.semantic.judge import Candidate, Floats, Judge, Verdict

EMBED_ROWS = 512
BLOCK_ROWS = 256
SCREEN_NEAREST = 5

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two prompts; `same` where one's answer may be served for the other."""

    a: str
    b: str
    same: bool
    source: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question of a stream; equal groups are the same question."""

    text: str
    group: Any


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a stream's query: the entry served, or None, and the verdicts on the way."""

    hit: int | None
    verdicts: tuple[tuple[int, Verdict], ...]


def quiet(_what: str, _done: int, _of: int) -> None:
    """No progress."""


def judge_pairs(
    judge: Judge, pairs: Sequence[Pair], decision: Decision, progress: Progress = quiet
) -> Iterator[Verdict]:
    """A verdict on each pair: would `b`'s answer be served for `a`."""
    vectors = _embedded(judge, [text for pair in pairs for text in (pair.a, pair.b)], progress)
    for place, pair in enumerate(pairs):
        if exact(pair.a) == exact(pair.b):
            yield Verdict(True, 1.0, 1.0, None)
        else:
            similarity = float(vectors[pair.a] @ vectors[pair.b])
            yield judge.judge(pair.a, [Candidate(pair.b, similarity)], decision)[0]
        progress("judging", place + 1, len(pairs))


def pair_figures(pairs: Sequence[Pair], accepted: Sequence[bool]) -> dict[str, Any]:
    """Precision, recall and the share of wrong pairs accepted, of all and by source."""
    sources = sorted({pair.source for pair in pairs})
    both = list(zip(pairs, accepted, strict=True))
    by_source = {
        name: _figures([(pair.same, ok) for pair, ok in both if pair.source == name])
        for name in sources
    }
    return {"all": _figures([(pair.same, ok) for pair, ok in both]), "by_source": by_source}


def _figures(found: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    taken = sum(ok for _, ok in found)
    right = sum(same and ok for same, ok in found)
    same = sum(same for same, _ in found)
    return {
        "n": len(found),
        "precision": _share(right, taken),
        "recall": _share(right, same),
        "wrong_accepted": _share(taken - right, len(found) - same),
    }


def _share(part: int, of: int) -> float | None:
    return round(part / of, 5) if of else None


def replay(
    judge: Judge,
    queries: Sequence[Query],
    decision: Decision,
    progress: Progress = quiet,
    *,
    screened: bool = True,
) -> Iterator[Served]:
    """Each query in order against all before it; every query is inserted."""
    texts = [query.text for query in queries]
    vectors = _embedded(judge, texts, progress)
    rows = np.stack([vectors[text] for text in texts])
    cheap = judge.screen(texts)
    known: dict[str, int] = {}
    for start in range(0, len(texts), BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, len(texts))
        near = rows[start:end] @ rows[:end].T
        coarse = cheap[start:end] @ cheap[:end].T
        for place in range(start, end):
            text = texts[place]
            twin = known.setdefault(exact(text), place)
            if twin != place:
                yield Served(twin, ())
            else:
                row, rough = near[place - start, :place], coarse[place - start, :place]
                nearest = _candidates(judge, texts, place, row, rough if screened else None)
                found = [(n, float(row[n])) for n in nearest]
                yield _serve(judge, texts, text, found, decision)
            progress("replaying", place + 1, len(texts))


def stream_figures(
    queries: Sequence[Query], hits: Sequence[int | None], *, since: int = 0
) -> dict[str, Any]:
    """How often an earlier answer was served, and how often it was the right one; of the queries
    from `since` on, whose hits may be entries before it."""
    served = [(n, hit) for n, hit in enumerate(hits) if n >= since and hit is not None]
    right = sum(queries[n].group == queries[hit].group for n, hit in served)
    count = len(hits) - since
    return {
        "n": count,
        "hit_rate": _share(len(served), count),
        "precision": _share(right, len(served)),
    }


def learned(
    judge: Judge, queries: Sequence[Query], base: Decision, target: float, progress: Progress
) -> Result:
    """A calibration from a stream's own outcomes: each first candidate that guards let through,
    served or not, with whether it was right, as shadow comparisons would tell."""
    calibration = Calibration()
    for place, served in enumerate(replay(judge, queries, base, progress)):
        for entry, verdict in served.verdicts[:1]:
            if verdict.features is not None:
                right = queries[entry].group == queries[place].group
                calibration.observe(verdict.features, right=right)
    return calibration.settle(target, owner_in_scope=base.owner_in_scope)


def exact(text: str) -> str:
    """What the exact cache takes a lone question for."""
    return fold(settle(text), CaseFolding.SAFE, lambda: ())


def _candidates(
    judge: Judge, texts: Sequence[str], place: int, row: Floats, rough: Floats | None
) -> list[int]:
    """Places of the nearest, nearest first; with the screen, of those it lets through."""
    if rough is None:
        return _largest(row, CANDIDATES_MAX)
    first = _largest(rough, SCREEN_NEAREST)
    worth = judge.worth_embedding(
        texts[place], [Candidate(texts[n], float(rough[n])) for n in first]
    )
    kept = sorted((first[n] for n in worth), key=lambda n: -float(row[n]))
    return kept[:CANDIDATES_MAX]


def _serve(
    judge: Judge, texts: Sequence[str], text: str, found: Sequence[tuple[int, float]], by: Decision
) -> Served:
    verdicts = judge.judge(text, [Candidate(texts[n], near) for n, near in found], by)
    looked_at = tuple((n, v) for (n, _), v in zip(found, verdicts, strict=True))
    return Served(next((n for n, v in looked_at if v.accept), None), looked_at)


def _largest(row: Floats, count: int) -> list[int]:
    if len(row) > count:
        some = np.argpartition(-row, count)[:count]
        return [int(n) for n in some[np.argsort(-row[some], kind="stable")]]
    return [int(n) for n in np.argsort(-row, kind="stable")]


def _embedded(judge: Judge, texts: Sequence[str], progress: Progress) -> dict[str, Floats]:
    unlike = list(dict.fromkeys(texts))
    found: dict[str, Floats] = {}
    for start in range(0, len(unlike), EMBED_ROWS):
        part = unlike[start : start + EMBED_ROWS]
        found.update(zip(part, judge.embed(part), strict=True))
        progress("embedding", min(start + EMBED_ROWS, len(unlike)), len(unlike))
    return found
