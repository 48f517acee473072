"""How good a router is on rows with known outcomes. Used by `spendgate eval router` and the bench.

A row is a mapping with `prompt` and, to be scored, `source`, `scores` {model: 0..1} and
`in_tokens`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.router.learn.curve import apgr_interval, curve
from services.router.learn.learner import Learner
from services.router.learn.prior import Prior

Floats = NDArray[np.float32]
Row = Mapping[str, Any]

BATCH = 32
OUTPUT_TOKENS_ASSUMED = 150
PAIR_ROWS_MIN = 40
LEARN_ROWS_MIN = 400
LABELS = 1_500
DRAWS = 3
WEIGHTS = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 300)])

# The pairs that published studies score (strong, weak). A source with none of them is scored on
# its best model and the middle one.
PAIRS = (
    ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"),
    ("gemini-1.5-pro-002", "gemini-1.5-flash-002"),
    ("llama-3.1-70b-instruct", "llama-3.1-8b-instruct"),
    ("claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"),
    ("o1-mini-2024-09-12", "gpt-4o-mini-2024-07-18"),
    ("llama-3.1-nemotron-51b-instruct", "gemma-2-9b-it"),
)


def vectors_of(prior: Prior, rows: Sequence[Row]) -> Floats:
    """Vectors in batches of BATCH, as the service makes them."""
    starts = range(0, len(rows), BATCH)
    parts = [prior.vectors([row["prompt"] for row in rows[n : n + BATCH]]) for n in starts]
    return np.vstack(parts)


def outcomes(rows: Sequence[Row], models: Sequence[str]) -> Floats:
    """Rows x models, NaN where a model was not asked."""
    nothing = float("nan")
    scores = [[row["scores"].get(model, nothing) for model in models] for row in rows]
    return np.array(scores, dtype=np.float32).reshape(len(rows), len(models))


def pairs_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The pairs, strong first, to score these rows on."""
    counts: dict[str, list[float]] = {}
    for row in rows:
        for model, score in row["scores"].items():
            counts.setdefault(model, []).append(score)
    asked = {m: float(np.mean(s)) for m, s in counts.items() if len(s) >= PAIR_ROWS_MIN}
    found = [pair for pair in PAIRS if set(pair) <= set(asked)]
    if found or len(asked) < 2:
        return found
    ranked = sorted(asked, key=lambda model: -asked[model])
    return [(ranked[0], ranked[len(ranked) // 2])]


def pair_report(need: Floats, weak: Floats, strong: Floats, seed: int = 0) -> dict[str, Any] | None:
    """APGR with its interval, CPT(50), CPT(80); None when strong is no better or rows are few."""
    known = ~np.isnan(weak + strong)
    if known.sum() < PAIR_ROWS_MIN:
        return None
    need64, weak64, strong64 = (part[known].astype(np.float64) for part in (need, weak, strong))
    found = curve(need64, weak64, strong64)
    if found is None:
        return None
    interval = apgr_interval(need64, weak64, strong64, np.random.default_rng(seed))
    return {
        "rows": int(known.sum()),
        "apgr": round(found.apgr, 4),
        "apgr_interval": None if interval is None else [round(end, 4) for end in interval],
        "cpt50": round(found.cpt50, 4),
        "cpt80": round(found.cpt80, 4),
        "pays": interval is not None and interval[0] > 0.5,
    }


def pool_report(quality: Floats, scores: Floats, spend: NDArray[np.int64]) -> dict[str, Any]:
    """What a pool costs at 95, 99 and 100 % of its best model's quality.

    All three are rows x models; `spend` is whole numbers of money. The router takes the model
    with the highest quality less a weight times spend, for a range of weights.
    """
    best = int(scores.mean(axis=0).argmax())
    lines = np.arange(len(scores))
    unit = spend.mean()
    points = []
    for weight in WEIGHTS:
        chosen = (quality - weight * spend / unit).argmax(axis=1)
        points.append(
            (spend[lines, chosen].sum() / spend[:, best].sum(), scores[lines, chosen].mean())
        )
    spent, reached = np.array(points).T
    reached = reached / scores[:, best].mean()

    def least(share: float) -> float | None:
        able = spent[reached >= share]
        return round(float(able.min()), 4) if len(able) else None

    return {
        "rows": len(scores),
        "spend_at_95": least(0.95),
        "spend_at_99": least(0.99),
        "spend_at_100": least(1.0),
        "quality_most": round(float(reached.max()), 4),
    }


def learned_need(
    prior: Prior, vectors: Floats, weak: Floats, strong: Floats, *, labels: int, seed: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Need as a tenant's learner tells it after `labels` labels; and the rows it did not see."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(vectors))
    seen, rest = order[:labels], order[labels:]
    scores = np.stack([weak, strong], axis=1)
    learner = Learner(vectors[seen], scores[seen], np.ones(labels, np.float32), rng)
    outlook = learner.outlook(vectors[rest], np.stack(prior.tiers(vectors[rest]), axis=1))
    return outlook.quality[:, 1] - outlook.quality[:, 0], rest


def protocol(
    prior: Prior, vectors: Floats, weak: Floats, strong: Floats, labels: int = LABELS
) -> dict[str, Any] | None:
    """RouteLLM's protocol: a draw of labels, all other rows as test; the mean of DRAWS draws."""
    known = ~np.isnan(weak + strong)
    vectors, weak, strong = vectors[known], weak[known], strong[known]
    labels = min(labels, len(vectors) // 2)
    if labels < LEARN_ROWS_MIN // 2:
        return None
    reports = []
    for seed in range(DRAWS):
        need, rest = learned_need(prior, vectors, weak, strong, labels=labels, seed=seed)
        found = curve(
            need.astype(np.float64), weak[rest].astype(np.float64), strong[rest].astype(np.float64)
        )
        if found is None:
            return None
        reports.append((found.apgr, found.cpt50, found.cpt80))
    apgr, cpt50, cpt80 = np.mean(reports, axis=0)
    return {
        "labels": labels,
        "draws": DRAWS,
        "apgr": round(float(apgr), 4),
        "apgr_spread": round(float(np.std([report[0] for report in reports])), 4),
        "cpt50": round(float(cpt50), 4),
        "cpt80": round(float(cpt80), 4),
    }
