"""Opens the shipped networks."""

import hashlib
from importlib.resources import as_file, files
from typing import Any

from services.cache.semantic.judge import Floats

WEIGHTS = "weights"
PIECES_MAX = 126
"""MiniLM was trained on 128 pieces, its two marks among them."""


class Network:
    """One ONNX file on `threads` threads. Calls may overlap."""

    def __init__(self, name: str, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Waiting threads must not spin: the fleet's other processes need the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with as_file(files("services.cache.semantic").joinpath(WEIGHTS, name)) as path:
            self.version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            self._session: Any = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )

    def run(self, **inputs: Any) -> Floats:
        """The first output."""
        out: Floats = self._session.run(None, inputs)[0]
        return out
