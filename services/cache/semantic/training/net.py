"""The verifier's network: MiniLM-L6 over both texts, told which word pieces the two share.

The marks of `align` enter after the frozen layers. The head sees the begin mark's state, the two
texts' means (their difference and product) and the strongest state of each kind.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as fn

HIDDEN, HEADS, INNER, LAYERS = 384, 12, 1536, 6
PIECES, PLACES, MARKS = 30522, 512, 7
FROZEN = 2
_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "n1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "n2": "output.LayerNorm",
}


class Layer(nn.Module):
    """One layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.n1 = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.up = nn.Linear(HIDDEN, INNER)
        self.down = nn.Linear(INNER, HIDDEN)
        self.n2 = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(n, t, 384) to the same; `mask` is added to the attention."""
        n, t, _ = x.shape
        q, k, v = (
            part(x).view(n, t, HEADS, HIDDEN // HEADS).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        y = fn.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.n1(x + self.o(y.transpose(1, 2).reshape(n, t, HIDDEN)))
        return self.n2(x + self.down(fn.gelu(self.up(x))))


class Verifier(nn.Module):
    """A logit that two texts may share an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(PIECES, HIDDEN)
        self.places = nn.Embedding(PLACES, HIDDEN)
        self.kinds = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.align = nn.Embedding(MARKS, HIDDEN)
        nn.init.zeros_(self.align.weight)
        self.head1 = nn.Linear(HIDDEN * 4, 256)
        self.head2 = nn.Linear(256, 1)

    def forward(
        self, ids: torch.Tensor, seg: torch.Tensor, align: torch.Tensor, keep: torch.Tensor
    ) -> torch.Tensor:
        """Ids, text (0 or 1), marks, and 1 for what is no padding, each (n, t), to (n,) logits."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.places(places)[None] + self.kinds(seg))
        mask = ((1.0 - keep) * -1e4)[:, None, None, :]
        for number, layer in enumerate(self.layers):
            if number == FROZEN:
                x = x + self.align(align)
            x = layer(x, mask.to(x.dtype))
        real = keep[..., None].to(x.dtype)
        second = seg[..., None].to(x.dtype)
        of_a, of_b = real * (1 - second), real * second
        a = (x * of_a).sum(1) / of_a.sum(1)
        b = (x * of_b).sum(1) / of_b.sum(1)
        top = (x + (real - 1) * 1e4).amax(1)
        seen = torch.cat([x[:, 0], (a - b).abs(), a * b, top], -1)
        return self.head2(fn.gelu(self.head1(seen)))[:, 0]

    def freeze(self) -> None:
        """Leaves the input vectors and the lowest layers as they are."""
        fixed: list[Any] = [self.words, self.places, self.kinds, self.norm, *self.layers[:FROZEN]]
        for part in fixed:
            part.requires_grad_(False)


def load_base(net: nn.Module, model: Path) -> None:
    """Puts the weights of a MiniLM folder into `net`. Raises ValueError where they do not fit."""
    from safetensors.torch import load_file

    found = load_file(str(model / "model.safetensors"))
    state = {
        "words.weight": found["embeddings.word_embeddings.weight"],
        "places.weight": found["embeddings.position_embeddings.weight"],
        "kinds.weight": found["embeddings.token_type_embeddings.weight"],
        "norm.weight": found["embeddings.LayerNorm.weight"],
        "norm.bias": found["embeddings.LayerNorm.bias"],
    }
    for number in range(LAYERS):
        for ours, theirs in _NAMES.items():
            for part in ("weight", "bias"):
                name = f"encoder.layer.{number}.{theirs}.{part}"
                state[f"layers.{number}.{ours}.{part}"] = found[name]
    _, unexpected = net.load_state_dict(state, strict=False)
    if unexpected:
        raise ValueError(f"the network has no place for {unexpected}")
