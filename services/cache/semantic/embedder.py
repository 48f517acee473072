"""A text as a unit vector: all-MiniLM-L6-v2, int8, through onnxruntime."""

from collections.abc import Sequence

import numpy as np

from services.cache.semantic.judge import EMBED_DIMENSIONS, Floats
from services.cache.semantic.session import PIECES_MAX, Network
from services.cache.semantic.wordpiece import WordPiece

FILE = "embedder.onnx"


class Embedder:
    """Blocking CPU work, about 1 ms a short text where the CPU has VNNI, 5 ms where not."""

    def __init__(self, pieces: WordPiece, threads: int) -> None:
        self._pieces = pieces
        self._network = Network(FILE, threads)
        self.version = self._network.version

    def embed(self, texts: Sequence[str]) -> Floats:
        """(n, 384) float32 unit vectors, in order. What is past the window has no say."""
        # One by one: int8 takes its scale from the widest value of a run, so that in a batch a
        # text's vector would depend on its neighbours; and short runs gain little from company.
        out = np.zeros((len(texts), EMBED_DIMENSIONS), np.float32)
        for place, ids in enumerate(self._pieces.many(texts, PIECES_MAX)):
            row = np.array([[self._pieces.begin, *ids, self._pieces.end]], np.int64)
            out[place] = self._network.run(ids=row, keep=np.ones_like(row))[0]
        return out
