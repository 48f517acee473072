"""From rows of public outcomes to the arrays of the prior. numpy only; about two minutes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.router.learn import features
from services.router.learn.linear import fit_linear
from services.router.learn.prior import VECTOR_LIMIT, PriorArrays, need_parts
from services.router.learn.trees import Trees, fit_trees

Floats = NDArray[np.float32]
Row = Mapping[str, Any]

TOPICS = 20
FOLDS = 3
PIECE_SHRINK = 10.0
TREE_SHRINK = 50.0
HEAD_ROWS_MIN = 150
HEAD_TREES_PER_TASK, HEAD_TREES_MIN, HEAD_TREES_MAX = 8, 12, 96
RATE = 0.06
DEPTH = 3
TREES = 120
LEVEL_TREES = 240

# Models whose scores tell what a strong or a weak model makes of a prompt. Of a row those count
# that answered it, so that both means are of the same prompt.
STRONG = frozenset(
    {
        "gpt-4-1106-preview",
        "gemini-1.5-pro-002",
        "llama-3.1-70b-instruct",
        "jamba-1.5-large",
        "qwen1.5-110b",
        "qwen1.5-72b-chat",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-sonnet-20240620",
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-05-13",
        "gemini-1.5-pro",
        "mistral-large-2",
        "llama-3.1-nemotron-51b-instruct",
        "llama-3.3-nemotron-super-49b-v1",
    }
)
WEAK = frozenset(
    {
        "mixtral-8x7b-instruct-v0.1",
        "gemini-1.5-flash-002",
        "llama-3.1-8b-instruct",
        "phi-3-mini-4k-instruct",
        "qwen1.5-7b-chat",
        "claude-3-haiku-20240307",
        "gpt-4o-mini-2024-07-18",
        "gemini-1.5-flash",
        "gpt-3.5-turbo-0125",
        "gemma-2-9b-it",
        "qwen2.5-7b-instruct",
        "mistral-7b-instruct-v0.3",
    }
)


@dataclass(frozen=True, slots=True)
class Labels:
    """Outcomes as arrays: `scores` is prompts x `models`, NaN where a model was not asked."""

    models: Sequence[str]
    scores: Floats
    weak: Floats
    strong: Floats
    level: Floats
    tasks: NDArray[np.str_]
    folds: NDArray[np.int64]
    weights: Floats

    @property
    def gain(self) -> Floats:
        """How much better the strong ones did."""
        return self.strong - self.weak


def labels_of(rows: Sequence[Row]) -> Labels:
    """The outcomes of rows that hold `scores`, `source`, `task` and `group`."""
    models = sorted({model for row in rows for model in row["scores"]})
    place = {model: n for n, model in enumerate(models)}
    scores = np.full((len(rows), len(models)), np.nan, dtype=np.float32)
    for line, row in zip(scores, rows, strict=True):
        for model, score in row["scores"].items():
            line[place[model]] = score
    level = np.nanmean(scores, axis=1)
    _, source, sizes = np.unique(
        [row["source"] for row in rows], return_inverse=True, return_counts=True
    )
    weights = 1 / np.sqrt(sizes[source])
    folds = [int(hashlib.sha256(row["group"].encode()).hexdigest()[:8], 16) for row in rows]
    return Labels(
        models,
        scores,
        _mean_of(scores, models, WEAK, level),
        _mean_of(scores, models, STRONG, level),
        level,
        np.array([f"{row['source']}/{row['task']}" for row in rows]),
        np.array(folds) % FOLDS,
        (weights / weights.mean()).astype(np.float32),
    )


def fit_prior(rows: Sequence[Row], seed: int = 0, *, heads: bool = True) -> PriorArrays:
    """The arrays of a prior. `heads` False leaves out the named models, for quick studies."""
    rng = np.random.default_rng(seed)
    labels = labels_of(rows)
    encoded = features.encoded([row["prompt"] for row in rows])
    count = features.numbers(encoded)
    centre, scale = count.mean(0), count.std(0) + 1e-3
    pieces = features.pieces(encoded)
    projection, topic = _topics(pieces, labels)
    shift, wide = topic.mean(0), topic.std(0) + 1e-6
    projection, topic = projection / wide, (topic - shift) / wide
    step = np.abs(projection).max(0) / 127
    vectors = np.clip(np.hstack([(count - centre) / scale, topic]), -VECTOR_LIMIT, VECTOR_LIMIT)
    vectors = vectors.astype(np.float32)
    return PriorArrays(
        centre=centre,
        scale=scale,
        projection=np.round(projection / step).astype(np.int8),
        step=step.astype(np.float32),
        shift=(shift / wide).astype(np.float32),
        **_need(vectors, labels, count.shape[1], rng),
        **_tiers(vectors, labels, rng),
        **_heads(vectors, labels, rng, heads=heads),
    )


def packed(arrays: PriorArrays) -> bytes:
    """The file. Numbers that need no more are kept in half precision."""
    out = BytesIO()
    kept = {}
    for name in arrays.__slots__:
        value = getattr(arrays, name)
        small = value.dtype in {np.dtype(np.float32), np.dtype(np.float64)}
        kept[name] = value.astype(np.float16) if small and value.ndim > 1 else value
        if name.endswith("_columns"):
            kept[name] = value.astype(np.int8)
    np.savez_compressed(out, **kept)
    return out.getvalue()


def _mean_of(
    scores: Floats, models: Sequence[str], chosen: frozenset[str], otherwise: Floats
) -> Floats:
    columns = [n for n, model in enumerate(models) if model in chosen]
    if not columns:
        return otherwise
    asked = ~np.isnan(scores[:, columns])
    total = np.nansum(scores[:, columns], axis=1)
    mean = np.where(asked.any(1), total / np.maximum(asked.sum(1), 1), otherwise)
    return mean.astype(np.float32)


def _topics(pieces: Floats, labels: Labels) -> tuple[Floats, Floats]:
    """A projection of hashed pieces onto what tells tasks and outcomes apart.

    The second array is the projection of each row by the other folds' rows: what trees are to be
    grown on, so that they trust it no more than they may on prompts nobody has seen.
    """
    tasks = (labels.tasks[:, None] == np.unique(labels.tasks)[None]).astype(np.float32)
    scores = labels.scores - np.nanmean(labels.scores, axis=0)
    targets = np.hstack(
        [
            np.nan_to_num(scores) / np.sqrt(scores.shape[1]),
            (labels.gain - labels.gain.mean())[:, None],
            3 * (tasks - tasks.mean(0)) / np.sqrt(tasks.shape[1]),
        ]
    ).astype(np.float32)
    ones = np.ones(len(pieces), dtype=np.float32)
    whole = fit_linear(pieces, targets, PIECE_SHRINK, ones)
    found = whole.predict(pieces)
    turn = np.linalg.svd(found - found.mean(0), full_matrices=False)[2][:TOPICS].T
    topic = np.empty((len(pieces), turn.shape[1]), dtype=np.float32)
    for fold in range(FOLDS):
        inside = labels.folds == fold
        others = fit_linear(pieces[~inside], targets[~inside], PIECE_SHRINK, ones[~inside])
        topic[inside] = pieces[inside] @ (others.slopes @ turn)
    return (whole.slopes @ turn).astype(np.float32), topic


def _need(
    vectors: Floats, labels: Labels, numbers: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    gain = labels.gain - np.average(labels.gain, weights=labels.weights)
    # The trees ask only about the numbers: they carry over to subjects nobody has labelled.
    trees = _grown(vectors[:, :numbers], gain, labels.weights, TREES, rng)
    line = fit_linear(vectors[:, numbers:], gain[:, None], 1000.0, labels.weights)
    slopes = np.concatenate([np.zeros(numbers, np.float32), line.slopes[:, 0]])
    grown, topic, _ = need_parts(vectors, trees, slopes)
    parts = [(float(part.mean()), float(part.std()) + 1e-6) for part in (grown, topic)]
    return {
        "need_columns": trees.columns,
        "need_edges": trees.edges,
        "need_leaves": trees.leaves,
        "need_slopes": slopes,
        "need_parts": np.array(parts, dtype=np.float32),
    }


def _tiers(vectors: Floats, labels: Labels, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    grown, offsets = [], []
    for target in (labels.level, labels.weak, labels.strong):
        offsets.append(np.average(target, weights=labels.weights))
        grown.append(_grown(vectors, target - offsets[-1], labels.weights, LEVEL_TREES, rng))
    return {
        "tier_columns": np.concatenate([trees.columns for trees in grown]),
        "tier_edges": np.concatenate([trees.edges for trees in grown]),
        "tier_leaves": np.concatenate([trees.leaves for trees in grown]),
        "tier_offsets": np.array(offsets, dtype=np.float32),
    }


def _heads(
    vectors: Floats, labels: Labels, rng: np.random.Generator, *, heads: bool
) -> dict[str, NDArray[Any]]:
    asked = (~np.isnan(labels.scores)).sum(0)
    chosen = [n for n, rows in enumerate(asked) if heads and rows >= HEAD_ROWS_MIN]
    fitted = []
    for column in chosen:
        rows = np.flatnonzero(~np.isnan(labels.scores[:, column]))
        beyond = labels.scores[rows, column] - labels.level[rows]
        line = fit_linear(vectors[rows], beyond[:, None], 1000.0, labels.weights[rows])
        rest = beyond - line.predict(vectors[rows])[:, 0]
        tasks = HEAD_TREES_PER_TASK * len(set(labels.tasks[rows]))
        count = min(max(tasks, HEAD_TREES_MIN), HEAD_TREES_MAX)
        own = _grown(vectors[rows], rest, labels.weights[rows], count, rng)
        fitted.append((line, _filled(own)))
    trees = [each[1] for each in fitted]
    lines = [each[0] for each in fitted]
    width = vectors.shape[1]

    def stacked(parts: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
        return np.stack(parts) if parts else np.zeros((0, *shape), dtype=np.float32)

    return {
        "heads": np.array([labels.models[n] for n in chosen], dtype=np.str_),
        "head_columns": stacked([t.columns for t in trees], (0, DEPTH)).astype(np.int16),
        "head_edges": stacked([t.edges for t in trees], (0, DEPTH)),
        "head_leaves": stacked([t.leaves for t in trees], (0, 2**DEPTH)),
        "head_slopes": stacked([line.slopes[:, 0] for line in lines], (width,)),
        "head_offsets": np.array([line.offset[0] for line in lines], dtype=np.float32),
    }


def _filled(trees: Trees) -> Trees:
    """With trees that add nothing, so that all heads are arrays of one shape."""
    missing = ((0, HEAD_TREES_MAX - len(trees.leaves)), (0, 0))
    return Trees(
        np.pad(trees.columns, missing), np.pad(trees.edges, missing), np.pad(trees.leaves, missing)
    )


def _grown(
    rows: Floats, target: Floats, weights: Floats, count: int, rng: np.random.Generator
) -> Trees:
    return fit_trees(
        rows,
        target.astype(np.float32),
        weights,
        count=count,
        depth=DEPTH,
        rate=RATE,
        ridge=TREE_SHRINK,
        rng=rng,
    )
