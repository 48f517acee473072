"""A cheap look before the embedding: static word-piece vectors, averaged.

A question none of whose neighbours by these vectors could come to a hit never reaches MiniLM.
The vectors are MiniLM's cosines, learned piece by piece (training/train_screen.py).
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO

import numpy as np

from services.cache.semantic.judge import SCREEN_DIMENSIONS, Floats
from services.cache.semantic.session import PIECES_MAX, WEIGHTS
from services.cache.semantic.wordpiece import WordPiece

FILE = "screen.npz"
SIMILARITY_MIN = 0.65
"""Neighbours below it by these vectors are no candidates (docs/cache-quality.md)."""


class Screen:
    """Some 20 us a short text."""

    def __init__(self, pieces: WordPiece, content: bytes) -> None:
        self._pieces = pieces
        self.version = hashlib.sha256(content).hexdigest()[:12]
        with np.load(BytesIO(content), allow_pickle=False) as found:
            # Kept as int8: eight million numbers, of which a text needs a dozen rows.
            self._table = found["table"]
            self._step: Floats = found["step"].astype(np.float32)

    @classmethod
    def shipped(cls, pieces: WordPiece) -> "Screen":
        """With the vectors that come with the package."""
        return cls(pieces, files("services.cache.semantic").joinpath(WEIGHTS, FILE).read_bytes())

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(n, 256) float32 unit vectors; a text without a word is all zero."""
        out = np.zeros((len(texts), SCREEN_DIMENSIONS), np.float32)
        for place, ids in enumerate(self._pieces.many(texts, PIECES_MAX)):
            if ids:
                out[place] = self._step[ids] @ self._table[ids]
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        out /= np.where(norms > 0, norms, 1)
        return out

    def near(self, similarity: float) -> bool:
        """Whether a neighbour so near may come to a hit."""
        return similarity >= SIMILARITY_MIN
