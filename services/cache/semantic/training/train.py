"""Trains the verifier: `python -m services.cache.semantic.training.train pairs.pkl MODEL_DIR
verifier.pt --minutes 90`.

pairs.pkl is prepare's. MODEL_DIR holds MiniLM's model.safetensors. One thread, bf16 products;
a running mean of the weights is saved every eight minutes, so that it can be stopped at any time.
"""

import argparse
import os
import pickle
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as fn

from services.cache.semantic.training.net import Verifier, load_base

BATCH = 64
BATCHES_SORTED = 60
RATE = 1.2e-4
HEAD_TIMES = 5.0
WARM_STEPS = 100
RATE_LEAST = 0.03
SMOOTH = 0.02
MEAN_KEEPS = 0.998
SAVE_SECONDS = 480
BEGIN, END, MARK, OTHER = 101, 102, 6, 3
# Easy kinds less often, natural rewordings more.
WEIGHTS = {
    ("aug-repeat", 1): 0.4, ("own-and", 1): 0.6, ("mqr", 1): 1.8, ("nl-rx", 0): 0.4,
    ("nl-rx", 1): 0.4, ("edit-opentrivia", 1): 0.5, ("edit-wikitablequestions", 1): 0.5,
    ("edit-nq", 1): 0.5, ("edit-mqr", 1): 0.5, ("nq-open", 1): 3.0,
    ("instruction-paraphrases", 0): 1.3, ("instruction-paraphrases", 1): 1.3,
}  # fmt: skip

Row = tuple[Any, ...]


def epoch(rows: Sequence[Row], rng: random.Random) -> list[list[Row]]:
    """Batches of like lengths, in a random order; rows as often as their weight says."""
    picked: list[Row] = []
    for row in rows:
        weight = WEIGHTS.get((row[5], row[4]), 1.0)
        picked += [row] * (int(weight) + (rng.random() < weight % 1))
    rng.shuffle(picked)
    found = []
    for start in range(0, len(picked), BATCH * BATCHES_SORTED):
        part = picked[start : start + BATCH * BATCHES_SORTED]
        part.sort(key=lambda row: len(row[0]) + len(row[1]))
        batches = [part[n : n + BATCH] for n in range(0, len(part), BATCH)]
        rng.shuffle(batches)
        found += batches
    return found


def collated(rows: Sequence[Row], rng: random.Random | None) -> tuple[torch.Tensor, ...]:
    """The network's inputs; with `rng`, a and b change places half the time."""
    wide = max(len(row[0]) + len(row[1]) for row in rows) + 3
    ids = np.zeros((len(rows), wide), np.int64)
    seg = np.zeros_like(ids)
    marks = np.full_like(ids, MARK)
    keep = np.zeros((len(rows), wide), np.float32)
    for place, (a, b, of_a, of_b, *_) in enumerate(rows):
        if rng is not None and rng.random() < 0.5:
            a, b, of_a, of_b = b, a, of_b, of_a  # noqa: PLW2901
        end = len(a) + len(b) + 3
        ids[place, :end] = [BEGIN, *a, END, *b, END]
        seg[place, len(a) + 2 : end] = 1
        marks[place, 1 : len(a) + 1] = of_a
        marks[place, len(a) + 2 : end - 1] = np.asarray(of_b) + OTHER
        keep[place, :end] = 1
    return tuple(map(torch.from_numpy, (ids, seg, marks, keep)))


def report(net: Verifier, rows: Sequence[Row]) -> str:
    """The area under the curve by source; where a source has one label, the share told right."""
    found = defaultdict(list)
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(rows), 128):
            part = rows[start : start + 128]
            for row, logit in zip(part, net(*collated(part, None)).tolist(), strict=True):
                found[row[5]].append((logit, row[4]))
    return " ".join(f"{name} {_area(seen):.3f}" for name, seen in sorted(found.items()))


def _area(seen: Sequence[tuple[float, int]]) -> float:
    right = np.array([logit for logit, same in seen if same])
    wrong = np.array([logit for logit, same in seen if not same])
    if not len(right) or not len(wrong):
        return float(np.mean([(logit > 0) == bool(same) for logit, same in seen]))
    return float((right[:, None] > wrong[None, :]).mean())


def steps(rows: Sequence[Row], seconds: float) -> Iterator[tuple[list[Row], float]]:
    """Batches with the share of the time that is gone, until it is."""
    rng = random.Random(1)  # noqa: S311
    began = time.monotonic()
    while True:
        for batch in epoch(rows, rng):
            gone = (time.monotonic() - began) / seconds
            if gone >= 1:
                return
            yield batch, gone


def train(
    net: Verifier, rows: Sequence[Row], held: Sequence[Row], out: Path, seconds: float
) -> None:
    """Trains and saves the running mean of the weights as `ema`."""
    rng = random.Random(2)  # noqa: S311
    heads = [p for n, p in net.named_parameters() if n.startswith(("head", "align"))]
    body = [
        p
        for n, p in net.named_parameters()
        if p.requires_grad and not n.startswith(("head", "align"))
    ]
    optimiser = torch.optim.AdamW([{"params": body}, {"params": heads}], weight_decay=0.01)
    mean = Verifier()
    mean.load_state_dict(net.state_dict())
    means = [p for n, p in mean.named_parameters()]
    saved = time.monotonic()
    for step, (batch, gone) in enumerate(steps(rows, seconds), 1):
        rate = RATE * min(1, step / WARM_STEPS) * max(RATE_LEAST, 1 - gone)
        for group, times in zip(optimiser.param_groups, (1.0, HEAD_TIMES), strict=True):
            group["lr"] = rate * times
        same = torch.tensor([row[4] for row in batch], dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(*collated(batch, rng))
        loss = fn.binary_cross_entropy_with_logits(logits.float(), same * (1 - 2 * SMOOTH) + SMOOTH)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(body + heads, 1.0)
        optimiser.step()
        keeps = min(MEAN_KEEPS, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(means, list(net.parameters()), 1 - keeps)
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            save(mean, out)
            sys.stdout.write(f"step {step}: {report(mean, held)}\n")
    save(mean, out)


def save(net: Verifier, out: Path) -> None:
    """Whole or not at all."""
    part = out.with_suffix(".part")
    torch.save({"ema": net.state_dict()}, part)
    os.replace(part, out)


def main() -> None:
    """Trains for the time given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=90)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows, held = pickle.loads(given.pairs.read_bytes())  # noqa: S301
    net = Verifier()
    load_base(net, given.model)
    net.freeze()
    watched = random.Random(3).sample(held, min(2_500, len(held)))  # noqa: S311
    train(net, rows, watched, given.out, given.minutes * 60)


if __name__ == "__main__":
    main()
