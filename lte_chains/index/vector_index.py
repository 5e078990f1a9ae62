"""VectorIndex: the live edits of one namespace, ranked exactly."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np

from lte_chains.index.growing import Growing
from lte_chains.index.ranking import Fetch, View
from lte_chains.index.scores import Floats, Keys, by_key, vectors_in
from lte_chains.index.sealed import BLOCK_ROWS, Sealed, tidied

GROWING_ROWS = 2048
"""Most rows that are searched by brute force in single precision; more are sealed."""
KEPT_ROWS = 16_384
"""Up to so many rows, sealed ones are kept in single precision too."""

Row: TypeAlias = tuple[int, bytes]
"""The key of a live version, and the vectors of its wordings, one after the other, as float32
bytes."""
Change: TypeAlias = tuple[int, bytes | None]
"""The same of a version that something happened to; without vectors if it is not live."""


_Item = TypeVar("_Item")


class VectorIndex:
    """Rank the live edits of one namespace by the cosine of their best wording.

    Searches take no lock: they read an immutable view. Whoever changes the
    index holds `lock`.

    Example:
        >>> import numpy as np
        >>> index = VectorIndex(dimension=2)
        >>> index.rebuild(1, [(7, np.float32([1, 0]).tobytes()), (8, np.float32([0, 1]).tobytes())])
        >>> next(index.ranked(np.float32([0.6, 0.8]), first=2, fetch=lambda keys: {}))
        [(8, 0.8...), (7, 0.6...)]
    """

    def __init__(self, dimension: int) -> None:
        """Make an empty index of vectors of `dimension`, at revision 0."""
        self.dimension = dimension
        self.lock = threading.Lock()
        """Held by whoever brings the index up to date."""
        self._growing = Growing(dimension)
        self._whole = True
        """Whether what is kept is what `view` shows: not while it is changed, nor if that was
        broken off."""
        self.view = View(0, 0, self._growing.view)
        """What searches see now."""
        self.unsaved = 0
        """How many edits were read, or went, since the index was saved."""

    @property
    def revision(self) -> int:
        """The revision that the index shows and can go on from; 0 if it is to be built anew."""
        return self.view.revision if self._whole else 0

    def __len__(self) -> int:
        """Return the number of live edits."""
        return self.view.edits

    def rebuild(self, revision: int, rows: Iterable[Row]) -> None:
        """Replace the content by rows whose keys are ascending; call with `lock` held.

        Raises:
            ValueError: A value holds no whole vectors; the index is as before.
        """
        growing, edits = Growing(self.dimension), 0
        blocks: list[Sealed] = []
        for part in _parts(rows, BLOCK_ROWS // 2):
            edits += len(part)
            keys, vectors = self._unpacked(part)
            if len(keys) > GROWING_ROWS:
                keep = not blocks and len(keys) <= KEPT_ROWS
                blocks.append(Sealed.of(keys, vectors, keep=keep))
            else:
                growing.append(by_key(keys, vectors))
        self._whole = False
        self._growing = growing
        self.unsaved = edits
        self._publish(revision, edits, tuple(blocks))

    def adopt(
        self, revision: int, edits: int, blocks: Iterable[Sealed], keys: Keys, vectors: Floats
    ) -> None:
        """Replace the content by what an index held; call with `lock` held.

        Args:
            revision: What it showed.
            edits: How many live ones.
            blocks: Its sealed rows, none of them dead.
            keys: The keys of its other rows, ascending.
            vectors: Of each of these one, shape (len(keys), dimension).
        """
        growing = Growing(self.dimension)
        growing.append(by_key(keys, vectors))
        self._whole = False
        self._growing, self.unsaved = growing, 0
        self._publish(revision, edits, tuple(blocks))

    def update(self, revision: int, changes: Iterable[Change]) -> None:
        """Apply what happened to some versions since `self.revision`; call with `lock` held.

        Whatever breaks it off, searches go on in what was there before, and
        `revision` is 0: the index is to be built anew.

        Raises:
            ValueError: A value holds no whole vectors.
        """
        self._whole = False  # from here on rows may be in neither place, or in both
        blocks, edits = self.view.sealed, self.view.edits
        for part in _parts(changes, BLOCK_ROWS // 4):
            gone = [key for key, stored in part if stored is None]
            new = [
                (key, np.frombuffer(stored, np.float32).reshape(-1, self.dimension))
                for key, stored in part
                if stored is not None
                and vectors_in(stored, self.dimension)
                and not self._holds(key, blocks)
            ]
            blocks, lost = _without(blocks, gone)
            lost += self._growing.remove(gone)
            edits += len(new) - lost
            self.unsaved += len(new) + lost
            self._growing.append(new)
            if self._growing.live > GROWING_ROWS:
                blocks = self._sealed(blocks)
        if any(block.live < len(block.keys) * 3 // 4 for block in blocks):
            blocks = tidied(blocks)
        self._publish(revision, edits, blocks)

    def ranked(
        self, vector: Floats, *, first: int, fetch: Fetch
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield all live edits as (key, cosine), best first, in growing portions.

        An edit comes once, by its best wording. Equal cosines come in the order
        of their keys, whatever the order in which the index was built.

        Args:
            vector: A unit vector, shape (dimension,).
            first: How many results are wanted at first.
            fetch: Reads stored vectors by key. Asked for the few edits that
                codes leave in question; what it does not return is left out.
        """
        return self.view.ranked(vector, first=first, fetch=fetch)

    def _sealed(self, blocks: Sequence[Sealed]) -> tuple[Sealed, ...]:
        """Return the blocks with what was growing; it begins anew."""
        rows = self._growing.live + sum(block.live for block in blocks)
        keep = rows <= KEPT_ROWS and all(block.vectors is not None for block in blocks)
        if not keep:
            blocks = [replace(block, vectors=None) for block in blocks]
        added = Sealed.of(*self._growing.alive(), keep=keep)
        self._growing.clear()
        return tidied((*blocks, added))

    def _publish(self, revision: int, edits: int, blocks: tuple[Sealed, ...]) -> None:
        self.view = View(revision, edits, self._growing.view, blocks)
        self._whole = True

    def _holds(self, key: int, blocks: Iterable[Sealed]) -> bool:
        return key in self._growing or any(block.holds(key) for block in blocks)

    def _unpacked(self, rows: Sequence[Row]) -> tuple[Keys, Floats]:
        """Return the key of each vector, and the vectors."""
        counts = [vectors_in(stored, self.dimension) for _, stored in rows]
        keys = np.repeat(np.fromiter((key for key, _ in rows), np.int64, len(rows)), counts)
        flat = np.frombuffer(b"".join(stored for _, stored in rows), np.float32)
        return keys, flat.reshape(-1, self.dimension)


def _without(blocks: tuple[Sealed, ...], gone: list[int]) -> tuple[tuple[Sealed, ...], int]:
    """Return the blocks without some edits, and how many of these were there."""
    if not gone:
        return blocks, 0
    keys = np.array(gone, np.int64)
    cut = [block.without(keys) for block in blocks]
    return tuple(block for block, _ in cut), sum(count for _, count in cut)


def _parts(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield the items in lists of `size`."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part
