"""The router's quality, measured on task-disjoint splits of rows with known outcomes.

    python -m bench.router DATA.jsonl.gz [--escalation FILE.jsonl.gz] [--only NAME ...] [--json]

Every prior that is judged here was fitted without the rows it is judged on; the shipped one is
only used for speed and robustness. About ten minutes on one core.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog.agreement import agree
from services.router.escalate import Costs, plan_for
from services.router.learn.evaluate import (
    PAIRS,
    learned_need,
    outcomes,
    pair_report,
    pairs_of,
    pool_report,
    protocol,
    vectors_of,
)
from services.router.learn.learner import Learner
from services.router.learn.prior import Prior
from services.router.training.fit import fit_prior, packed
from services.router.training.train import rows_of

Rows = list[dict[str, Any]]
FOLDS = 3
# Whole pico-USD a token, input and output: list prices of the hosted models in the 14-task pool.
POOL = {
    "qwen2.5-7b-instruct": 200_000,
    "gemma-2-9b-it": 100_000,
    "llama-3.1-nemotron-51b-instruct": 900_000,
    "mistral-7b-instruct-v0.3": 200_000,
    "llama-3.1-8b-instruct": 200_000,
    "llama-3.3-nemotron-super-49b-v1": 900_000,
}
OUTPUT_TOKENS = 150
# Pico-USD a token, read and written, of the escalation study.
LADDER = {
    "gpt-4o-mini-2024-07-18": (150_000, 600_000),
    "gemini-1.5-flash": (75_000, 300_000),
    "claude-3-5-sonnet-20241022": (3_000_000, 15_000_000),
}
AGREEMENT_LABELS = 100


def fitted(rows: Rows, *, heads: bool = False) -> Prior:
    """A prior as it would be shipped after these rows."""
    return Prior.read(packed(fit_prior(rows, heads=heads)))


def apart(rows: Rows, held: Callable[[dict[str, Any]], bool]) -> tuple[Rows, Rows]:
    """Rows to learn from and to judge on: no question is in both."""
    judged = [row for row in rows if held(row)]
    groups = {row["group"] for row in judged}
    return [r for r in rows if not held(r) and r["group"] not in groups], judged


def of_source(rows: Rows, source: str) -> Rows:
    return [row for row in rows if row["source"] == source]


def mmlu(rows: Rows) -> Any:
    """RouteLLM's protocol: 1,500 labels, three draws; the prior has seen no MMLU."""
    learn, judged = apart(rows, lambda row: row["source"] == "mmlu")
    scores = outcomes(judged, PAIRS[0][::-1])
    prior = fitted(learn)
    return protocol(prior, vectors_of(prior, judged), scores[:, 0], scores[:, 1])


def unseen_subjects(rows: Rows) -> Any:
    """The prior judged on MMLU subjects and the tasks of other sources that it has not seen."""
    tasks = sorted({row["task"] for row in of_source(rows, "mmlu")})
    reports = []
    for fold in range(FOLDS):
        held = set(np.random.default_rng(7).permutation(tasks)[fold::FOLDS])
        learn, judged = apart(
            rows, lambda row, held=held: row["source"] == "mmlu" and row["task"] in held
        )
        prior = fitted(learn)
        scores = outcomes(judged, PAIRS[0][::-1])
        need = prior.need(vectors_of(prior, judged))
        reports.append(pair_report(need, scores[:, 0], scores[:, 1]))
    mean = {
        key: round(float(np.mean([r[key] for r in reports if r])), 4)
        for key in ("apgr", "cpt50", "cpt80")
    }
    return {"folds": reports, "mean": mean}


def pool(rows: Rows) -> Any:
    """Money at 95, 99, 100 % of the best model's quality; a third of the questions held out."""
    part = of_source(rows, "llmrouter")
    groups = sorted({row["group"] for row in part})
    models = list(POOL)
    learn, _ = apart(rows, lambda row: row["source"] == "llmrouter")
    prior = fitted(learn)
    found: dict[str, list[Any]] = {"own_labels": [], "ignoring_the_prompt": []}
    for seed in range(FOLDS):
        rng = np.random.default_rng(seed)
        held = set(rng.permutation(groups)[: len(groups) // 3])
        seen = [row for row in part if row["group"] not in held]
        rest = [row for row in part if row["group"] in held]
        vectors, others = vectors_of(prior, seen), vectors_of(prior, rest)
        scores, truth = outcomes(seen, models), outcomes(rest, models)
        learner = Learner(vectors, scores, np.ones(len(seen), np.float32), rng)
        weak, _ = prior.tiers(others)
        quality = learner.outlook(others, np.tile(weak[:, None], len(models))).quality
        tokens = np.array([row["in_tokens"] + OUTPUT_TOKENS for row in rest], dtype=np.int64)
        spend = tokens[:, None] * np.array(list(POOL.values()), dtype=np.int64)
        found["own_labels"].append(pool_report(quality, truth, spend))
        flat = np.tile(np.nanmean(scores, axis=0), (len(rest), 1))
        found["ignoring_the_prompt"].append(pool_report(flat, truth, spend))
    keys = ("spend_at_95", "spend_at_99", "spend_at_100", "quality_most")
    return {
        name: {key: round(float(np.mean([r[key] for r in reports])), 4) for key in keys}
        for name, reports in found.items()
    }


def mixed(rows: Rows) -> Any:
    """One strong/weak choice over all sources, each weighing the same, a third held out."""
    groups = sorted({row["group"] for row in rows})
    held = set(np.random.default_rng(0).permutation(groups)[: len(groups) // 3])
    learn, judged = apart(rows, lambda row: row["group"] in held)
    prior = fitted(learn)
    rng = np.random.default_rng(1)
    kept: Rows = []
    weak: list[float] = []
    strong: list[float] = []
    for source in sorted({row["source"] for row in judged}):
        part = of_source(judged, source)
        best, low = pairs_of(part)[0]
        scores = outcomes(part, [low, best])
        known = np.flatnonzero(~np.isnan(scores).any(axis=1))
        for place in rng.choice(known, 500):
            kept.append(part[place])
            weak.append(scores[place, 0])
            strong.append(scores[place, 1])
    need = prior.need(vectors_of(prior, kept))
    return pair_report(need, np.array(weak, np.float32), np.array(strong, np.float32))


def cold_start(rows: Rows) -> Any:
    """Each source judged by a prior that has seen none of it."""
    found = {}
    for source in sorted({row["source"] for row in rows}):
        learn, judged = apart(rows, lambda row, source=source: row["source"] == source)
        prior = fitted(learn)
        need = prior.need(vectors_of(prior, judged))
        for strong, weak in pairs_of(judged):
            scores = outcomes(judged, [weak, strong])
            found[f"{source}: {strong}"] = pair_report(need, scores[:, 0], scores[:, 1])
    return found


def escalation(path: Path) -> Any:
    """Two cheap answers agree, or the strong model is asked; and whether the router offers it."""
    rows = list(rows_of(path))
    found = {}
    for source in sorted({row["source"] for row in rows}):
        part = [row for row in of_source(rows, source) if set(LADDER) <= set(row["models"])]
        found[source] = _ladder(part)
    return found


def _ladder(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    one, two, strong = LADDER
    spent = always = right = best = agreed = 0
    sums = dict.fromkeys(LADDER, 0)
    seen_agreed = 0
    for number, row in enumerate(rows):
        answers = row["models"]
        picos = {
            model: row["in_tokens"] * rates[0] + answers[model]["out_tokens"] * rates[1]
            for model, rates in LADDER.items()
        }
        same = _same(answers[one]["answer"], answers[two]["answer"])
        agreed += same
        seen_agreed += same and number < AGREEMENT_LABELS
        spent += picos[one] + picos[two] + (0 if same else picos[strong])
        always += picos[strong]
        right += answers[one if same else strong]["right"]
        best += answers[strong]["right"]
        for model in LADDER:
            sums[model] += picos[model]
    mean = {model: total // len(rows) for model, total in sums.items()}
    costs = {model: Costs(each, 4 * each) for model, each in mean.items()}
    offer = plan_for(
        [(one, costs[one]), (two, costs[two])],
        (strong, costs[strong]),
        agreed_percent=100 * seen_agreed // min(AGREEMENT_LABELS, len(rows)),
    )
    return {
        "rows": len(rows),
        "agreed": round(agreed / len(rows), 3),
        "quality_of_strong": round(right / best, 4),
        "spend_of_strong": round(float(np.divide(spent, always)), 4),
        "offered": offer.plan is not None,
        "why": offer.reason,
    }


def _same(one: Any, other: Any) -> bool:
    """As the models were asked: for JSON with the answer in it. None: it could not be read."""
    if one is None or other is None:
        return False
    return agree(json.dumps({"answer": one}), json.dumps({"answer": other}))


def robust(rows: Rows) -> Any:
    """Share of prompts whose strong/weak choice changes, at three thresholds."""
    rng = np.random.default_rng(0)
    texts = [rows[n]["prompt"] for n in rng.choice(len(rows), 2_000, replace=False)]
    prior = Prior.shipped()
    before = prior.need(prior.vectors(texts))

    def typo(text: str) -> str:
        place = int(rng.integers(1, max(len(text) - 2, 2)))
        swapped = text[place + 1 : place + 2] + text[place : place + 1]
        return text[:place] + swapped + text[place + 2 :]

    noise: dict[str, Callable[[str], str]] = {
        "case": str.upper,
        "white space": lambda text: text.replace(" ", "  ") + "\n",
        "typo": typo,
        "greeting": lambda text: "Hi there, hope you are well. " + text,
        "hello": lambda text: "Hello! " + text,
    }
    found = {}
    for name, change in noise.items():
        after = prior.need(prior.vectors([change(text) for text in texts]))
        limits = np.quantile(before, [0.2, 0.5, 0.8])
        found[name] = [round(float(((after > x) != (before > x)).mean()), 4) for x in limits]
    return found


def speed(rows: Rows) -> Any:
    """Microseconds a prompt, median: text to vector, need and tiers, without an embedding."""
    prior = Prior.shipped()
    rng = np.random.default_rng(0)
    found = {}
    for size, rounds in ((1, 400), (32, 80)):
        taken = []
        for _ in range(rounds):
            texts = [rows[n]["prompt"] for n in rng.integers(0, len(rows), size)]
            began = time.perf_counter()
            vectors = prior.vectors(texts)
            prior.need(vectors)
            prior.tiers(vectors)
            taken.append((time.perf_counter() - began) * 1e6 / size)
        found[f"batch of {size}"] = {
            "p50_us": round(float(np.median(taken)), 1),
            "p95_us": round(float(np.percentile(taken, 95)), 1),
        }
    return found


def label_curve(rows: Rows) -> Any:
    """How many own labels it takes on MMLU: APGR after so many."""
    learn, judged = apart(rows, lambda row: row["source"] == "mmlu")
    prior = fitted(learn)
    vectors, scores = vectors_of(prior, judged), outcomes(judged, PAIRS[0][::-1])
    found = {}
    for labels in (50, 200, 500, 1_500):
        need, rest = learned_need(prior, vectors, scores[:, 0], scores[:, 1], labels=labels, seed=0)
        found[labels] = pair_report(need, scores[rest, 0], scores[rest, 1])
    return found


PARTS: dict[str, Callable[[Rows], Any]] = {
    "speed": speed,
    "robust": robust,
    "mmlu": mmlu,
    "pool": pool,
    "unseen_subjects": unseen_subjects,
    "mixed": mixed,
    "cold_start": cold_start,
    "label_curve": label_curve,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--escalation", type=Path)
    parser.add_argument("--only", nargs="*", choices=[*PARTS, "escalation"])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    wanted = chosen.only or [*PARTS, "escalation"]
    rows = list(rows_of(chosen.data))
    found: dict[str, Any] = {}
    for name in wanted:
        began = time.perf_counter()
        if name == "escalation":
            if chosen.escalation is None:
                continue
            found[name] = escalation(chosen.escalation)
        else:
            found[name] = PARTS[name](rows)
        if not chosen.json:
            taken = time.perf_counter() - began
            print(f"{name} ({taken:.0f} s)\n{json.dumps(found[name], indent=1)}", flush=True)
    if chosen.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
