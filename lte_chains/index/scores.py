"""Exact scores, and how the stored bytes of vectors are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Keys: TypeAlias = npt.NDArray[np.int64]


def vectors_in(stored: bytes, dimension: int) -> int:
    """Return how many vectors a stored value holds.

    Raises:
        ValueError: It is no bytes, as in a damaged file, or its length is no
            multiple of a vector's.
    """
    if not isinstance(stored, bytes):
        raise ValueError(f"a value of type {type(stored).__name__} is no vector")
    count, rest = divmod(len(stored), 4 * dimension)  # float32
    if rest or not count:
        raise ValueError(f"{len(stored)} bytes are no vectors of dimension {dimension}")
    return count


def exact(vectors: Floats, vector: Floats) -> npt.NDArray[np.float64]:
    """Return the cosines of unit vectors with another, shape (len(vectors),).

    Row by row in double precision: a score, and so the order, depends on the
    vectors alone, not on a row's place in the matrix as blocked kernels would
    have it.
    """
    products: npt.NDArray[np.float64] = np.vecdot(vectors, vector, dtype=np.float64)
    # Not np.clip, which takes longer than all the rest.
    np.minimum(products, 1.0, out=products)
    return np.maximum(products, -1.0, out=products)


def best_of(stored: Mapping[int, bytes], vector: Floats) -> dict[int, float]:
    """Return the cosine of the best vector of each stored value.

    Example:
        >>> rows = {7: np.float32([[1, 0], [0, 1]]).tobytes()}
        >>> best_of(rows, np.float32([0, 1]))
        {7: 1.0}
    """
    if not stored:
        return {}
    counts = [vectors_in(value, len(vector)) for value in stored.values()]
    flat = np.frombuffer(b"".join(stored.values()), np.float32).reshape(-1, len(vector))
    starts = np.cumsum([0, *counts[:-1]])
    best = np.maximum.reduceat(exact(flat, vector), starts)
    return dict(zip(stored, best.tolist(), strict=True))


def by_key(keys: Keys, vectors: Floats) -> list[tuple[int, Floats]]:
    """Return each key with its vectors; the rows of one key are side by side."""
    if not len(keys):
        return []
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    parts = np.split(vectors, starts[1:])
    return list(zip(keys[starts].tolist(), parts, strict=True))
