"""How likely the answer to one text may be served for another: a small cross-encoder, int8.

A veto for what cosine and guards let through; no good as the score that ranks.
"""

from collections.abc import Sequence

import numpy as np

from services.cache.semantic.align import align
from services.cache.semantic.judge import Floats
from services.cache.semantic.session import PIECES_MAX, Network
from services.cache.semantic.wordpiece import WordPiece

FILE = "verifier.onnx"
_OTHER = 3
_MARK = 6


class Verifier:
    """Blocking CPU work: about what two embeddings of the texts cost."""

    def __init__(self, pieces: WordPiece, threads: int) -> None:
        self._pieces = pieces
        self._network = Network(FILE, threads)
        self.version = self._network.version

    def p_same(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """0 to 1 for each pair, the mean of both orders."""
        return np.array([self._one(a, b) for a, b in pairs], np.float32)

    def _one(self, a: str, b: str) -> float:
        # Both orders are of one length, so they run together without padding; other pairs do not
        # join them, as the embedder says.
        rows = [self._row(a, b, turned) for turned in (False, True)]
        ids, seg, marks = (np.array([row[n] for row in rows], np.int64) for n in range(3))
        keep = np.ones(ids.shape, np.float32)
        logit = float(self._network.run(ids=ids, seg=seg, align=marks, keep=keep).mean())
        return float(1 / (1 + np.exp(-logit)))

    def _row(self, a: str, b: str, turned: bool) -> tuple[list[int], list[int], list[int]]:
        first = self._pieces.ids(b if turned else a, PIECES_MAX)
        second = self._pieces.ids(a if turned else b, PIECES_MAX)
        of_first, of_second = align(first, second)
        ids = [self._pieces.begin, *first, self._pieces.end, *second, self._pieces.end]
        seg = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        marks = [_MARK, *of_first, _MARK, *(mark + _OTHER for mark in of_second), _MARK]
        return ids, seg, marks
