"""What an embedder gave, as vectors fit to be stored and compared."""

from __future__ import annotations

from collections.abc import Sequence

from lte_chains.errors import EmbeddingError
from lte_chains.store.base import Vectors


def unit_vectors(vectors: Sequence[Sequence[float] | Vectors] | Vectors, *, count: int) -> Vectors:
    """Return vectors scaled to length 1, so that their products are cosines; zeros stay.

    Raises:
        EmbeddingError: Not `count` vectors of one dimension, or not finite.

    Example:
        >>> unit_vectors([[3.0, 4.0]], count=1).round(1).tolist()
        [[0.6..., 0.8...]]
    """
    import numpy as np

    try:
        matrix = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EmbeddingError(f"the embedder did not give vectors of numbers: {error}") from error
    if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1]:
        raise EmbeddingError(
            f"the embedder gave an array of shape {matrix.shape} for {count} texts: "
            "it must give one vector for each"
        )
    if not np.isfinite(matrix).all():
        raise EmbeddingError("the embedder gave a vector with NaN or infinite numbers")
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.where(lengths > 0, lengths, 1.0)
    return unit.astype(np.float32)
