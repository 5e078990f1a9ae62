"""The vector index: an exact, in-memory view of one namespace's live edits.

It is derived from the ledger and never saved: losing it loses nothing. Search
is brute force with faiss, exact by construction; on one core that takes about
0.5 ms for 10,000 edits of 384 dimensions and 8 ms for 100,000 (see
``benchmarks/memory.py``), less than embedding the query does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

_MARGIN = 8
"""Rows fetched beyond k, so that ties at the border are usually seen whole."""
_TIE = 1e-5
"""Scores closer than this may come in either order from single precision."""
_DEAD = -1
"""Key of a row whose edit is gone."""

Row = tuple[str, int, bytes]
"""An edit's id, the key of its live version, and the vectors of that version's wordings, one
after the other, as float32 bytes."""
Change = tuple[str, int | None, bytes | None]
"""The same; without key and vectors if the edit is no longer live."""


@dataclass(frozen=True)
class _View:
    """What a search sees, from its first portion to its last: rows below `size` never change."""

    revision: int
    size: int
    keys: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]


class VectorIndex:
    """Rank the live edits of one namespace by the cosine of their best wording.

    Searches take no lock: they read an immutable view. Rows are appended behind
    what any view can see; a removed row is marked dead in a copy of the keys, and
    dead rows are swept out once they are a quarter of all.

    Example:
        >>> import numpy as np
        >>> index = VectorIndex(dimension=2)
        >>> index.rebuild(1, [("a", 7, np.float32([1, 0]).tobytes()),
        ...                   ("b", 8, np.float32([0, 1]).tobytes())])
        >>> next(index.ranked(np.float32([0.6, 0.8]), first=2))
        [(8, 0.8...), (7, 0.6...)]
    """

    def __init__(self, dimension: int) -> None:
        """Make an empty index of vectors of `dimension`, at revision 0."""
        self.dimension = dimension
        self.lock = threading.Lock()
        """Held by whoever brings the index up to date."""
        self._rows: dict[str, slice] = {}
        self._live = 0  # rows, of all live edits
        self._view = _View(0, 0, np.empty(0, np.int64), np.empty((0, dimension), np.float32))

    @property
    def revision(self) -> int:
        """The revision of the ledger that the index shows."""
        return self._view.revision

    def __len__(self) -> int:
        """Return the number of live edits."""
        return len(self._rows)

    def rebuild(self, revision: int, rows: Iterable[Row]) -> None:
        """Replace the content; call with `lock` held."""
        listed = list(rows)
        counts = [self._wordings(stored) for _, _, stored in listed]
        ends = list(accumulate(counts))
        self._rows = {
            id_: slice(end - count, end)
            for (id_, _, _), count, end in zip(listed, counts, ends, strict=True)
        }
        keys = np.repeat(np.fromiter((key for _, key, _ in listed), np.int64, len(listed)), counts)
        # A copy: a buffer over bytes is read-only, and rows are appended in place.
        flat = np.frombuffer(b"".join(stored for _, _, stored in listed), np.float32)
        vectors = flat.reshape(-1, self.dimension).copy()
        self._live = len(keys)
        self._view = _View(revision, len(keys), keys, vectors)

    def update(self, revision: int, changes: Iterable[Change]) -> None:
        """Apply what happened to some edits since `self.revision`; call with `lock` held."""
        read = [
            (id_, key, None if stored is None else self._own(stored))
            for id_, key, stored in changes
        ]
        view, added, dead = self._view, [], []
        for id_, key, vectors in read:
            rows = self._rows.get(id_)
            if rows is not None and view.keys[rows.start] == key:
                continue
            if rows is not None:
                dead.append(self._rows.pop(id_))
            if key is not None and vectors is not None:
                added.append((id_, key, vectors))
        if dead:
            # In a copy: a search under way must find the edit, as it was, and not neither
            # the old version nor the new one.
            view = replace(view, keys=view.keys.copy())
            for rows in dead:
                view.keys[rows] = _DEAD
        more = sum(len(vectors) for _, _, vectors in added)
        self._live += more - sum(rows.stop - rows.start for rows in dead)
        size = view.size + more
        if size > len(view.keys) or size - self._live > max(64, size // 4):
            view = self._moved(view, room=self._live + self._live // 2 + 64)
        end = view.size
        for id_, key, vectors in added:
            rows = self._rows[id_] = slice(end, end + len(vectors))
            view.vectors[rows] = vectors
            view.keys[rows] = key
            end = rows.stop
        self._view = _View(revision, end, view.keys, view.vectors)

    def ranked(
        self, vector: npt.NDArray[np.float32], *, first: int
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield all live edits as (key, cosine), best first, in growing portions.

        An edit comes once, by its best wording. Equal cosines come in the order
        of their keys, whatever the order in which the index was built.

        Args:
            vector: A unit vector, shape (dimension,).
            first: How many results are wanted at first.
        """
        view, wordings = self._view, max(1, math.ceil(self._view.size / max(1, len(self))))
        width = (first + _MARGIN) * wordings
        seen: set[int] = set()
        while view.size:
            width = min(width, view.size)
            fresh = [pair for pair in _rank(view, vector, width) if pair[0] not in seen]
            yield fresh
            if width == view.size:
                return
            seen.update(key for key, _ in fresh)
            width *= 4

    def _wordings(self, stored: bytes) -> int:
        """Return how many vectors a stored value holds.

        Raises:
            ValueError: Its length is no multiple of a vector's.
        """
        count, rest = divmod(len(stored), 4 * self.dimension)  # float32
        if rest or not count:
            raise ValueError(f"{len(stored)} bytes are no vectors of dimension {self.dimension}")
        return count

    def _own(self, stored: bytes) -> npt.NDArray[np.float32]:
        """Return the vectors of one edit, shape (wordings, dimension)."""
        count = self._wordings(stored)
        return np.frombuffer(stored, np.float32).reshape(count, self.dimension)

    def _moved(self, view: _View, *, room: int) -> _View:
        """Return a view of the live rows alone, in new arrays with `room` for more."""
        live = np.flatnonzero(view.keys[: view.size] != _DEAD)
        keys = np.full(room, _DEAD, np.int64)
        vectors = np.zeros((room, self.dimension), np.float32)
        keys[: len(live)] = view.keys[live]
        vectors[: len(live)] = view.vectors[live]
        # The rows of one edit live and die together, so they stay side by side.
        starts = np.searchsorted(live, [rows.start for rows in self._rows.values()]).tolist()
        self._rows = {
            id_: slice(start, start + rows.stop - rows.start)
            for (id_, rows), start in zip(self._rows.items(), starts, strict=True)
        }
        return _View(view.revision, len(live), keys, vectors)


def _rank(view: _View, vector: npt.NDArray[np.float32], width: int) -> list[tuple[int, float]]:
    """Return the best of the live edits, among the `width` best rows, in their final order.

    Rows that may tie with what lies beyond `width` are left out.
    """
    import faiss

    scores, rows = faiss.knn(
        vector[np.newaxis, :],
        view.vectors[: view.size],
        width,
        metric=faiss.METRIC_INNER_PRODUCT,
    )
    sure = rows[0] if width == view.size else rows[0][scores[0] > scores[0][-1] + _TIE]
    # Row by row in double precision: a score, and so the order, depends on the vectors
    # alone, not on a row's place in the matrix as blocked kernels would have it.
    exact = (view.vectors[sure].astype(np.float64) * vector).sum(axis=1)
    keys = view.keys[sure]
    best: dict[int, float] = {}
    for key, score in zip(keys.tolist(), np.clip(exact, -1.0, 1.0).tolist(), strict=True):
        if key != _DEAD:
            best[key] = max(score, best.get(key, -1.0))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
