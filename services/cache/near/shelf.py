"""The vectors of one partition in memory: scanned while few, in an HNSW graph once many."""

import threading
from typing import Any, ClassVar

import numpy as np

from services.cache.near.index import Vector

ROWS_FIRST = 16


class Shelf:
    """Keys with unit vectors. Safe to use from several threads."""

    # A scan of so many vectors of 256 numbers stays under a millisecond.
    SCAN_MAX: ClassVar[int] = 4_096

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}  # key -> row, oldest first
        self._keys: list[str | None] = []
        self._free: list[int] = []
        self._matrix: Vector = np.zeros((ROWS_FIRST, dimensions), dtype=np.float32)
        self._graph: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def oldest(self) -> str:
        """The key that was put first. Raises StopIteration when there is none."""
        return next(iter(self._rows))

    def put(self, key: str, vector: Vector) -> None:
        """Keeps `vector` under `key`, over what was there."""
        with self._lock:
            self._remove(key)
            row = self._free.pop() if self._free else self._grown()
            self._matrix[row] = vector
            self._keys[row] = key
            self._rows[key] = row
            if self._graph is not None:
                self._graph.add(row, self._matrix[row])
            elif len(self._rows) > self.SCAN_MAX:
                self._build_graph()

    def remove(self, key: str) -> None:
        """Drops `key`; none is no error."""
        with self._lock:
            self._remove(key)

    def nearest(self, vector: Vector, count: int) -> list[tuple[str, float]]:
        """The nearest keys with their cosines, nearest first, ties by key."""
        with self._lock:
            rows = self._nearest_rows(vector, count)
            cosines = self._matrix[rows] @ vector
            named = [(self._keys[row], cosine) for row, cosine in zip(rows, cosines, strict=True)]
        found = [(key, float(cosine)) for key, cosine in named if key is not None]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:count]

    def _nearest_rows(self, vector: Vector, count: int) -> list[int]:
        if self._graph is not None:
            matches = self._graph.search(np.asarray(vector, dtype=np.float32), count)
            return [int(key) for key in matches.keys]
        used = len(self._keys)
        cosines = self._matrix[:used] @ vector
        if self._free:
            cosines[self._free] = -2.0
        wanted = min(count, len(self._rows))
        if wanted == 0:
            return []
        best = np.argpartition(-cosines, wanted - 1)[:wanted]
        return [int(row) for row in best]

    def _grown(self) -> int:
        row = len(self._keys)
        self._keys.append(None)
        if row >= len(self._matrix):
            more = np.zeros((len(self._matrix), self._dimensions), dtype=np.float32)
            self._matrix = np.concatenate([self._matrix, more])
        return row

    def _remove(self, key: str) -> None:
        row = self._rows.pop(key, None)
        if row is None:
            return
        self._keys[row] = None
        self._free.append(row)
        if self._graph is not None:
            self._graph.remove(row)

    def _build_graph(self) -> None:
        from usearch.index import Index

        self._graph = Index(ndim=self._dimensions, metric="ip", dtype="f32")
        rows = np.fromiter(self._rows.values(), dtype=np.uint64)
        self._graph.add(rows, self._matrix[rows])
