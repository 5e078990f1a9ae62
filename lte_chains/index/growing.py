"""Rows in single precision that grow in place, for searches that take no lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lte_chains.index.scores import Floats, Keys, exact

DEAD = -1
"""Key of a row whose edit is gone."""
TIE = 1e-5
"""Scores closer than this may come in either order from single precision."""
_LINE = 64
"""Bytes of a line of the processor's cache."""


@dataclass(frozen=True)
class Rows:
    """What a search sees, from its first portion to its last: rows below `size` never change."""

    size: int
    keys: Keys
    vectors: Floats

    def nearest(self, vector: Floats, width: int) -> tuple[dict[int, float], float]:
        """Return edits by their exact score, and the score that none of the others exceeds.

        Best first, and where scores are equal in the order of their keys.
        """
        keys, vectors, beyond = self.keys[: self.size], self.vectors[: self.size], -np.inf
        if not self.size:
            return {}, beyond
        if width < self.size:
            rows, beyond = _best(vectors, vector, width)
            keys, vectors = keys.take(rows), vectors.take(rows, axis=0)
        lost = np.negative(exact(vectors, vector)).tolist()
        best: dict[int, float] = {}
        for score, key in sorted(zip(lost, keys.tolist(), strict=True)):
            if key not in best and key != DEAD:
                best[key] = -score
        return best, beyond


class Growing:
    """The newest rows of an index; whoever changes them holds the index's lock.

    Rows are appended behind what any search can see. A row that goes is marked
    dead in a copy of the keys, and dead rows are swept out once they are a
    quarter of all.

    Example:
        >>> growing = Growing(2)
        >>> growing.append([(7, np.float32([[1, 0]])), (8, np.float32([[0, 1]]))])
        >>> growing.remove([7])
        1
        >>> growing.view.nearest(np.float32([0, 1]), 9)
        ({8: 1.0}, -inf)
    """

    def __init__(self, dimension: int) -> None:
        """Begin without rows."""
        self.dimension = dimension
        self.clear()

    def clear(self) -> None:
        """Begin anew, in arrays of their own."""
        self.live = 0
        self._rows: dict[int, slice] = {}
        empty = np.empty((0, self.dimension), np.float32)
        self.view = Rows(0, np.empty(0, np.int64), empty)

    def __contains__(self, key: int) -> bool:
        """Return whether rows of an edit are here."""
        return key in self._rows

    def append(self, edits: Sequence[tuple[int, Floats]]) -> None:
        """Add edits, each with its vectors, shape (wordings, dimension)."""
        view, more = self.view, sum(len(vectors) for _, vectors in edits)
        self.live += more
        if view.size + more > len(view.keys):
            view = self._moved(view, room=self.live + self.live // 2 + 64)
        end = view.size
        for key, vectors in edits:
            rows = self._rows[key] = slice(end, end + len(vectors))
            view.vectors[rows] = vectors
            view.keys[rows] = key
            end = rows.stop
        self.view = replace(view, size=end)

    def remove(self, keys: Iterable[int]) -> int:
        """Take out edits; those that are not here are passed over. Return how many were."""
        dead = [self._rows.pop(key) for key in keys if key in self._rows]
        if not dead:
            return 0
        # In a copy: a search under way must find the edit, as it was, and not neither the
        # old version nor the new one.
        view = replace(self.view, keys=self.view.keys.copy())
        for rows in dead:
            view.keys[rows] = DEAD
            self.live -= rows.stop - rows.start
        if view.size - self.live > max(64, view.size // 4):
            view = self._moved(view, room=self.live + self.live // 2 + 64)
        self.view = view
        return len(dead)

    def alive(self) -> tuple[Keys, Floats]:
        """Return the keys and the vectors of the live rows, by key."""
        keys = self.view.keys[: self.view.size]
        rows = np.flatnonzero(keys != DEAD)
        # Stable: the rows of one edit stay in their order.
        rows = rows[np.argsort(keys[rows], kind="stable")]
        return keys[rows], self.view.vectors[rows]

    def _moved(self, view: Rows, *, room: int) -> Rows:
        """Return a view of the live rows alone, in new arrays with `room` for more."""
        live = np.flatnonzero(view.keys[: view.size] != DEAD)
        keys = np.full(room, DEAD, np.int64)
        vectors = _aligned(room, self.dimension)
        keys[: len(live)] = view.keys[live]
        vectors[: len(live)] = view.vectors[live]
        # The rows of one edit live and die together, so they stay side by side.
        starts = np.searchsorted(live, [rows.start for rows in self._rows.values()]).tolist()
        self._rows = {
            key: slice(start, start + rows.stop - rows.start)
            for (key, rows), start in zip(self._rows.items(), starts, strict=True)
        }
        return Rows(len(live), keys, vectors)


def _best(vectors: Floats, vector: Floats, width: int) -> tuple[Keys, float]:
    """Return the rows nearest to a vector, and what the scores of the others do not exceed."""
    import faiss

    scores, rows = faiss.knn(
        vector[np.newaxis, :], vectors, width, metric=faiss.METRIC_INNER_PRODUCT
    )
    return rows[0], float(scores[0, -1]) + TIE


def _aligned(rows: int, dimension: int) -> Floats:
    """Return an array of zeros that begins with a line of the processor's cache.

    To search it takes a tenth less time than where every read crosses such lines.
    """
    plain = np.zeros(rows * dimension + _LINE // 4, np.float32)
    start = -plain.ctypes.data % _LINE // 4
    return plain[start : start + rows * dimension].reshape(rows, dimension)
