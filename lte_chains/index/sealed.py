"""Blocks of rows as 8-bit codes, with a bound on how wrong a score by them can be.

A vector v is kept as whole numbers c and one scale s for the block: v = s·c + e,
where |e| is at most the block's residual r, which was measured when it was made.
A query q is likewise t·d + f. Then q·v = s·t·(d·c) + t·d·e + f·v, and with |v| = 1
the last two terms together are at most |t·d|·r + |f|. The whole-number product d·c
is what faiss computes, in a fraction of the time of the same in single precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lte_chains.index.scores import Floats, Keys, exact

BLOCK_ROWS = 65_536
"""Most rows of a block that is made in one go."""

_TOP = 127
_ZERO = np.uint8(128)
"""faiss keeps the code c as the byte c + 128."""
_STEP = 1.25
"""Scales are powers of this, so that blocks of one embedder mostly share theirs and can be
joined."""
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
_AT_ONCE = 512
"""Rows that are encoded together: they stay in the processor's cache."""
_ROUNDING = 1e-5
"""Covers single precision in the product, and unit vectors whose length is not quite 1."""


@dataclass(frozen=True)
class Query:
    """A query vector as whole numbers."""

    codes: Floats
    """Shape (1, dimension)."""
    scale: float
    length: float
    """Of the vector that the codes stand for."""
    rest: float
    """Length of what the codes leave out."""

    @classmethod
    def of(cls, vector: Floats) -> Query:
        """Encode a query vector, shape (dimension,)."""
        scale = float(np.abs(vector).max()) / _TOP or 1.0
        codes = np.rint(vector / np.float32(scale)).astype(np.float32)
        meant = codes.astype(np.float64) * scale
        rest = float(np.linalg.norm(vector - meant))
        return cls(codes[np.newaxis, :], scale, float(np.linalg.norm(meant)), rest)


@dataclass(frozen=True)
class Sealed:
    """A block of rows; it never changes, what goes from it is marked in a copy."""

    keys: Keys
    """Of the edit of each row, ascending."""
    codes: Any
    """A faiss index of the rows' codes."""
    scale: float
    residual: float
    """No row is further than this from what its codes stand for."""
    vectors: Floats | None = None
    """The rows themselves, if they are kept in memory too."""
    dead: npt.NDArray[np.bool_] | None = None
    """Which rows are of edits that are gone; None for none of them."""

    @classmethod
    def of(cls, keys: Keys, vectors: Floats, *, keep: bool = False) -> Sealed:
        """Encode rows whose keys are ascending; `keep` the vectors too."""
        largest = max(float(vectors.max()), -float(vectors.min()), 1e-6)
        scale = _STEP ** math.ceil(math.log(largest, _STEP)) / _TOP
        codes = np.empty(vectors.shape, np.int8)
        worst = 0.0
        for start in range(0, len(vectors), _AT_ONCE):
            part = vectors[start : start + _AT_ONCE]
            rounded = part * np.float32(1 / scale)
            np.rint(rounded, out=rounded)
            codes[start : start + _AT_ONCE] = rounded
            rounded *= np.float32(scale)
            rounded -= part
            worst = max(worst, float(np.einsum("ij,ij->i", rounded, rounded).max()))
        block = cls.from_codes(
            keys, np.bitwise_xor(codes.view(np.uint8), _ZERO), scale, math.sqrt(worst)
        )
        return replace(block, vectors=vectors) if keep else block

    @classmethod
    def from_codes(
        cls, keys: Keys, codes: npt.NDArray[np.uint8], scale: float, residual: float
    ) -> Sealed:
        """Take codes as faiss keeps them, shape (len(keys), dimension)."""
        block = cls.blank(keys, codes.shape[1], scale, residual)
        block.stored_codes()[:] = codes
        return block

    @classmethod
    def blank(cls, keys: Keys, dimension: int, scale: float, residual: float) -> Sealed:
        """Make a block whose codes are to be written into `stored_codes`, once."""
        import faiss

        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        index = faiss.IndexScalarQuantizer(dimension, kind, faiss.METRIC_INNER_PRODUCT)
        index.codes.resize(len(keys) * dimension)
        index.ntotal = len(keys)
        return cls(keys, index, scale, residual)

    @property
    def live(self) -> int:
        """How many rows are of live edits."""
        return len(self.keys) - (0 if self.dead is None else int(self.dead.sum()))

    def nearest(self, query: Query, width: int) -> tuple[Keys, npt.NDArray[np.float64], float]:
        """Return the keys of the best rows, what their scores cannot exceed, and nor the others'.

        Best first. An edit comes once for each of its rows among the best.
        """
        width = min(width, len(self.keys))
        products, found = self.codes.search(query.codes, width)
        slack = query.length * self.residual + query.rest + _ROUNDING
        bounds = products[0].astype(np.float64) * (query.scale * self.scale) + slack
        beyond = float(bounds[-1]) if width < len(self.keys) else -np.inf
        rows = found[0]
        if self.dead is not None:
            alive = ~self.dead[rows]
            rows, bounds = rows[alive], bounds[alive]
        return self.keys[rows], bounds, beyond

    def score(self, keys: Sequence[int], vector: Floats) -> dict[int, float]:
        """Return the exact scores of those of the edits whose vectors are here."""
        if self.vectors is None:
            return {}
        wanted = np.array(keys, np.int64)
        starts = np.searchsorted(self.keys, wanted)
        counts = np.searchsorted(self.keys, wanted, side="right") - starts
        wanted, starts, counts = (part[counts > 0] for part in (wanted, starts, counts))
        if not len(wanted):
            return {}
        firsts = np.cumsum(counts) - counts
        rows = np.repeat(starts - firsts, counts) + np.arange(counts.sum())
        best = np.maximum.reduceat(exact(self.vectors[rows], vector), firsts)
        return dict(zip(wanted.tolist(), best.tolist(), strict=True))

    def holds(self, key: int) -> bool:
        """Return whether a live edit is here."""
        row = int(np.searchsorted(self.keys, key))
        here = row < len(self.keys) and self.keys[row] == key
        return bool(here and (self.dead is None or not self.dead[row]))

    def stands_for(self, key: int, vectors: Floats) -> bool:
        """Tell whether an edit's rows here are the codes of its vectors."""
        start, end = (int(np.searchsorted(self.keys, key, side=side)) for side in _SIDES)
        if end - start != len(vectors):
            return False
        codes = self.stored_codes()[start:end].astype(np.float32) - np.float32(_ZERO)
        rest = np.square(codes * np.float32(self.scale) - vectors).sum(axis=1)
        return bool(rest.max() <= (self.residual * 1.001 + _ROUNDING) ** 2)

    def without(self, keys: Keys) -> tuple[Sealed, int]:
        """Return the block with some edits marked as gone, and how many of them were here."""
        starts = np.searchsorted(self.keys, keys)
        ends = np.searchsorted(self.keys, keys, side="right")
        gone = 0
        dead = np.zeros(len(self.keys), bool) if self.dead is None else self.dead.copy()
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if start < end and not dead[start]:
                dead[start:end] = True
                gone += 1
        return (replace(self, dead=dead), gone) if gone else (self, 0)

    def stored_codes(self) -> npt.NDArray[np.uint8]:
        """Return the codes of all rows, shape (rows, dimension), without copying them.

        They are the block's own memory: whoever reads them keeps hold of the block.
        """
        import faiss

        count, width = len(self.keys), self.codes.d
        flat: npt.NDArray[np.uint8] = faiss.rev_swig_ptr(self.codes.codes.data(), count * width)
        return flat.reshape(count, width)

    def swept(self) -> Sealed:
        """Return the block without its dead rows."""
        if self.dead is None:
            return self
        live = ~self.dead
        codes = self.stored_codes()[live]
        block = Sealed.from_codes(self.keys[live], codes, self.scale, self.residual)
        return block if self.vectors is None else replace(block, vectors=self.vectors[live])


def tidied(blocks: Sequence[Sealed]) -> tuple[Sealed, ...]:
    """Return blocks without those that are empty or mostly dead, and the small ones joined."""
    kept = [
        block.swept() if block.live < len(block.keys) * 3 // 4 else block
        for block in blocks
        if block.live
    ]
    small = sorted((b for b in kept if b.live < BLOCK_ROWS // 2), key=lambda b: b.scale)
    joined = [block for block in kept if block.live >= BLOCK_ROWS // 2]
    for _, alike in groupby(small, key=lambda block: block.scale):
        group: list[Sealed] = []
        for block in alike:
            if sum(member.live for member in group) + block.live > BLOCK_ROWS:
                joined.append(_joined(group))
                group = []
            group.append(block)
        joined.append(_joined(group))
    return tuple(joined)


def _joined(blocks: Sequence[Sealed]) -> Sealed:
    """Return blocks of one scale as one."""
    if len(blocks) == 1:
        return blocks[0]
    parts = [block.swept() for block in blocks]
    keys = np.concatenate([part.keys for part in parts])
    order = np.argsort(keys, kind="stable")
    codes = np.concatenate([part.stored_codes() for part in parts])[order]
    residual = max(part.residual for part in parts)
    block = Sealed.from_codes(keys[order], codes, parts[0].scale, residual)
    kept = [part.vectors for part in parts if part.vectors is not None]
    if len(kept) < len(parts):
        return block
    return replace(block, vectors=np.concatenate(kept)[order])
