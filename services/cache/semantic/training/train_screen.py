r"""Learns screen.npz: a 256-d vector for each word piece so that the cosine of two texts' sums is
MiniLM's cosine of the texts.

    python -m services.cache.semantic.training.train_screen \
        TEXTS.json VECTORS.npy MODEL_DIR screen.npz MINUTES

TEXTS.json is a list of texts, VECTORS.npy their MiniLM vectors. It begins with MiniLM's own input
vectors turned to 256 numbers, and is taught on batches of near neighbours: far texts need no care.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from services.cache.semantic.wordpiece import WordPiece

DIMENSIONS = 256
PIECES_MAX = 62
BATCH = 384
NEIGHBOURS = 6
FLOOR = 0.5
"""Cosines below it need not be told apart."""


def start(model: str) -> torch.Tensor:
    """MiniLM's input vectors on their 256 widest axes, rare pieces longer."""
    words = load_file(str(Path(model) / "model.safetensors"))["embeddings.word_embeddings.weight"]
    words = words.float() - words.float().mean(0)
    _, _, axes = torch.linalg.svd(words[1000:], full_matrices=False)
    return words @ axes[:DIMENSIONS].T


def neighbours(vectors: torch.Tensor) -> torch.Tensor:
    """The nearest of each text."""
    found = []
    for part in vectors.split(1024):
        found.append((part @ vectors.T).topk(NEIGHBOURS + 1).indices[:, 1:])
    return torch.cat(found)


def main() -> None:
    """Trains for MINUTES and writes the table as int8."""
    texts_file, vectors_file, model, out, minutes = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    texts = json.loads(Path(texts_file).read_text())
    target = torch.from_numpy(np.load(vectors_file)[: len(texts)]).float()
    texts = texts[: len(target)]
    ids = [torch.tensor(row or [100]) for row in WordPiece.shipped().many(texts, PIECES_MAX)]
    near = neighbours(target)
    seen = torch.zeros(30522)
    for row in ids:
        seen[row] += 1
    table = start(model)
    table = table * (1e-3 / (1e-3 + seen / seen.sum()))[:, None].sqrt()
    bag = torch.nn.EmbeddingBag.from_pretrained(table, mode="sum", freeze=False)
    opt = torch.optim.Adam(bag.parameters(), lr=2e-3)
    began, end, step, losses = time.time(), float(minutes) * 60, 0, []
    while (gone := time.time() - began) < end:
        for group in opt.param_groups:
            group["lr"] = 2e-3 * (1 - gone / end)
        seed = torch.randint(len(texts), (BATCH // 4,))
        more = near[seed, torch.randint(NEIGHBOURS, (3, len(seed)))].reshape(-1)
        rows = torch.cat([seed, more]).unique()
        flat = torch.cat([ids[n] for n in rows])
        starts = torch.tensor([0, *[len(ids[n]) for n in rows]]).cumsum(0)[:-1]
        got = torch.nn.functional.normalize(bag(flat, starts), dim=-1)
        want = target[rows] @ target[rows].T
        have = got @ got.T
        care = (want.clamp(min=FLOOR) - have.clamp(min=FLOOR)) ** 2 * (1 + 8 * (want > 0.7))
        loss = care.sum() / len(rows) + 0.02 * ((want - have) ** 2).sum() / len(rows)
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
        losses.append(loss.item())
        if step % 200 == 0:
            sys.stdout.write(f"{step} {gone:.0f} s {np.mean(losses[-200:]):.4f}\n")
            sys.stdout.flush()
    rows = bag.weight.detach().numpy()
    scale = np.abs(rows).max(1) / 127
    table8 = np.round(rows / np.maximum(scale, 1e-12)[:, None]).astype(np.int8)
    np.savez_compressed(out, table=table8, step=scale.astype(np.float32))


if __name__ == "__main__":
    main()
