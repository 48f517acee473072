"""How likely the answer to one text may be served for another: a small cross-encoder, int8.

A veto for what cosine and guards let through; no good as the score that ranks.
"""

from collections.abc import Sequence

import numpy as np

from services.cache.semantic.align import align
from services.cache.semantic.judge import Floats
from services.cache.semantic.session import PIECES_MAX, Network, by_length, padded
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
        rows = [self._row(a, b, turned) for a, b in pairs for turned in (False, True)]
        logits = np.zeros(len(rows), np.float32)
        for places in by_length([row[0] for row in rows]):
            batch = [rows[place] for place in places]
            ids, seg, marks = (padded([row[n] for row in batch]) for n in range(3))
            keep = padded([[1] * len(row[0]) for row in batch]).astype(np.float32)
            logits[places] = self._network.run(ids=ids, seg=seg, align=marks, keep=keep)
        sure: Floats = 1 / (1 + np.exp(-(logits[0::2] + logits[1::2]) / 2))
        return sure

    def _row(self, a: str, b: str, turned: bool) -> tuple[list[int], list[int], list[int]]:
        first = self._pieces.ids(b if turned else a, PIECES_MAX)
        second = self._pieces.ids(a if turned else b, PIECES_MAX)
        of_first, of_second = align(first, second)
        ids = [self._pieces.begin, *first, self._pieces.end, *second, self._pieces.end]
        seg = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        marks = [_MARK, *of_first, _MARK, *(mark + _OTHER for mark in of_second), _MARK]
        return ids, seg, marks
