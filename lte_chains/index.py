"""The vector index: an exact, in-memory view of one namespace's live edits.

It is derived from the ledger and never saved: losing it loses nothing. Search
is brute force with faiss, exact by construction; on one core that takes about
0.5 ms for 10,000 edits of 384 dimensions and 8 ms for 100,000 (see
``benchmarks/memory.py``), less than embedding the query does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

_MARGIN = 8
"""Rows fetched beyond k, so that ties at the border are usually seen whole."""
_TIE = 1e-5
"""Scores closer than this may come in either order from single precision."""
_DEAD = -1
"""Key of a row whose edit is gone."""

Row = tuple[str, int, bytes]
"""An edit's id, the key of its live version, and that version's vector as float32 bytes."""
Change = tuple[str, int | None, bytes | None]
"""The same; without key and vector if the edit is no longer live."""


@dataclass(frozen=True)
class _View:
    """What a search sees, from its first portion to its last: rows below `size` never change."""

    revision: int
    size: int
    keys: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]


class VectorIndex:
    """Rank the live edits of one namespace by cosine.

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
        self._rows: dict[str, int] = {}
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
        keys = np.fromiter((key for _, key, _ in listed), np.int64, len(listed))
        self._rows = {id_: row for row, (id_, _, _) in enumerate(listed)}
        self._view = _View(revision, len(listed), keys, self._matrix(v for _, _, v in listed))

    def update(self, revision: int, changes: Iterable[Change]) -> None:
        """Apply what happened to some edits since `self.revision`; call with `lock` held."""
        view, added, dead = self._view, [], []
        for id_, key, vector in changes:
            row = self._rows.get(id_)
            if row is not None and view.keys[row] == key:
                continue
            if row is not None:
                dead.append(self._rows.pop(id_))
            if key is not None and vector is not None:
                added.append((id_, key, vector))
        if dead:
            # In a copy: a search under way must find the edit, as it was, and not neither
            # the old version nor the new one.
            view = replace(view, keys=view.keys.copy())
            view.keys[dead] = _DEAD
        size = view.size + len(added)
        live = len(self._rows) + len(added)
        if size > len(view.keys) or size - live > max(64, size // 4):
            view = self._moved(view, room=live + live // 2 + 64)
        for row, (id_, key, vector) in enumerate(added, view.size):
            view.vectors[row] = np.frombuffer(vector, np.float32)
            view.keys[row] = key
            self._rows[id_] = row
        self._view = _View(revision, view.size + len(added), view.keys, view.vectors)

    def ranked(
        self, vector: npt.NDArray[np.float32], *, first: int
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield all live edits as (key, cosine), best first, in growing portions.

        Equal cosines come in the order of their keys, whatever the order in
        which the index was built.

        Args:
            vector: A unit vector, shape (dimension,).
            first: How many results are wanted at first.
        """
        view, width = self._view, first + _MARGIN
        seen: set[int] = set()
        while view.size:
            width = min(width, view.size)
            fresh = [pair for pair in _rank(view, vector, width) if pair[0] not in seen]
            yield fresh
            if width == view.size:
                return
            seen.update(key for key, _ in fresh)
            width *= 4

    def _matrix(self, vectors: Iterable[bytes]) -> npt.NDArray[np.float32]:
        flat = np.frombuffer(b"".join(vectors), np.float32)
        # A copy: a buffer over bytes is read-only, and rows are appended in place.
        return flat.reshape(-1, self.dimension).copy()

    def _moved(self, view: _View, *, room: int) -> _View:
        """Return a view of the live rows alone, in new arrays with `room` for more."""
        live = np.flatnonzero(view.keys[: view.size] != _DEAD)
        keys = np.full(room, _DEAD, np.int64)
        vectors = np.zeros((room, self.dimension), np.float32)
        keys[: len(live)] = view.keys[live]
        vectors[: len(live)] = view.vectors[live]
        new_row = {int(old): row for row, old in enumerate(live)}
        self._rows = {id_: new_row[row] for id_, row in self._rows.items()}
        return _View(view.revision, len(live), keys, vectors)


def _rank(view: _View, vector: npt.NDArray[np.float32], width: int) -> list[tuple[int, float]]:
    """Return the best of the live rows, among the `width` best rows, in their final order.

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
    pairs = zip(keys.tolist(), np.clip(exact, -1.0, 1.0).tolist(), strict=True)
    return sorted(
        ((key, score) for key, score in pairs if key != _DEAD),
        key=lambda pair: (-pair[1], pair[0]),
    )
