"""Writes verifier.onnx, dynamic int8: `... export_verifier verifier.pt verifier.onnx`."""

import sys
import tempfile
from pathlib import Path

import torch

from services.cache.semantic.training.net import Verifier


def main() -> None:
    """Exports and quantises."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    net = Verifier().eval()
    net.load_state_dict(torch.load(sys.argv[1])["ema"])
    ids = torch.randint(5, 30000, (3, 12))
    inputs = (ids, torch.ones_like(ids), torch.ones_like(ids), torch.ones(3, 12))
    names = ["ids", "seg", "align", "keep"]
    with tempfile.TemporaryDirectory() as room:
        whole = str(Path(room) / "whole.onnx")
        torch.onnx.export(
            net,
            inputs,
            whole,
            input_names=names,
            output_names=["logit"],
            dynamic_axes={n: {0: "n", 1: "t"} for n in names} | {"logit": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, sys.argv[2], per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main()
