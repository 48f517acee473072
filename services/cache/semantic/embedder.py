"""A text as a unit vector: all-MiniLM-L6-v2, int8, through onnxruntime."""

from collections.abc import Sequence

import numpy as np

from services.cache.semantic.judge import EMBED_DIMENSIONS, Floats
from services.cache.semantic.session import PIECES_MAX, Network, by_length, padded
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
        out = np.zeros((len(texts), EMBED_DIMENSIONS), np.float32)
        begin, end = self._pieces.begin, self._pieces.end
        rows = [[begin, *ids, end] for ids in self._pieces.many(texts, PIECES_MAX)]
        for places in by_length(rows):
            batch = [rows[place] for place in places]
            keep = padded([[1] * len(row) for row in batch])
            out[places] = self._network.run(ids=padded(batch), keep=keep)
        return out
