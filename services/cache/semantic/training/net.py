"""The verifier's network: MiniLM-L6 read over both texts, told which word pieces the two share."""

import torch
from torch import nn
import torch.nn.functional as F

HID, HEADS, INNER, LAYERS = 384, 12, 1536, 6
ALIGN_AFTER = 2


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(HID, HID)
        self.k = nn.Linear(HID, HID)
        self.v = nn.Linear(HID, HID)
        self.o = nn.Linear(HID, HID)
        self.n1 = nn.LayerNorm(HID, eps=1e-12)
        self.up = nn.Linear(HID, INNER)
        self.down = nn.Linear(INNER, HID)
        self.n2 = nn.LayerNorm(HID, eps=1e-12)

    def forward(self, x, mask):
        b, t, _ = x.shape

        def split(y):
            return y.view(b, t, HEADS, HID // HEADS).transpose(1, 2)

        y = F.scaled_dot_product_attention(
            split(self.q(x)), split(self.k(x)), split(self.v(x)), attn_mask=mask
        )
        x = self.n1(x + self.o(y.transpose(1, 2).reshape(b, t, HID)))
        return self.n2(x + self.down(F.gelu(self.up(x))))


class Verifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30522, HID)
        self.places = nn.Embedding(512, HID)
        self.kinds = nn.Embedding(2, HID)
        self.norm = nn.LayerNorm(HID, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.align = nn.Embedding(7, HID)
        nn.init.zeros_(self.align.weight)
        self.head1 = nn.Linear(HID * 4, 256)
        self.head2 = nn.Linear(256, 1)

    def forward(self, ids, seg, align, keep):
        # keep: 1 for a token, 0 for padding
        t = ids.shape[1]
        pos = torch.arange(t, device=ids.device)
        x = self.norm(self.words(ids) + self.places(pos)[None] + self.kinds(seg))
        mask = ((1.0 - keep) * -1e4)[:, None, None, :]
        for i, layer in enumerate(self.layers):
            if i == ALIGN_AFTER:
                x = x + self.align(align)
            x = layer(x, mask.to(x.dtype))
        k = keep[..., None].to(x.dtype)
        s = seg[..., None].to(x.dtype)
        ma, mb = k * (1 - s), k * s
        u = (x * ma).sum(1) / ma.sum(1)
        v = (x * mb).sum(1) / mb.sum(1)
        top = (x + (k - 1) * 1e4).amax(1)
        h = torch.cat([x[:, 0], (u - v).abs(), u * v, top], -1)
        return self.head2(F.gelu(self.head1(h)))[:, 0]


def load_base(net, path):
    from safetensors.torch import load_file

    w = load_file(path)
    g = lambda n: w[n] if n in w else w["bert." + n]
    s = {
        "words.weight": g("embeddings.word_embeddings.weight"),
        "places.weight": g("embeddings.position_embeddings.weight"),
        "kinds.weight": g("embeddings.token_type_embeddings.weight"),
        "norm.weight": g("embeddings.LayerNorm.weight"),
        "norm.bias": g("embeddings.LayerNorm.bias"),
    }
    names = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "o": "attention.output.dense",
        "n1": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "n2": "output.LayerNorm",
    }
    for i in range(LAYERS):
        for a, b in names.items():
            for p in ("weight", "bias"):
                s[f"layers.{i}.{a}.{p}"] = g(f"encoder.layer.{i}.{b}.{p}")
    missing, unexpected = net.load_state_dict(s, strict=False)
    assert not unexpected, unexpected
    return missing
