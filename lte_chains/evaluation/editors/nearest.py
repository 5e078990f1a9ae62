"""The nearest texts by their embeddings: what methods without a memory of their own look up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from lte_chains.evaluation.batching import BatchedEmbeddings


class Nearest:
    """Texts with their vectors, searched exhaustively by cosine.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> nearest = Nearest(DeterministicFakeEmbedding(size=8))
        >>> nearest.add(["a", "b"])
        >>> nearest.search(["b"], 1)
        [[1]]
    """

    def __init__(self, embeddings: Embeddings) -> None:
        """Begin without texts."""
        given = isinstance(embeddings, BatchedEmbeddings)
        self._embeddings = embeddings if given else BatchedEmbeddings(embeddings)
        self.vectors: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        """Unit vectors, shape (texts, dimension)."""

    def add(self, texts: Sequence[str]) -> None:
        """Add texts; they are numbered in the order in which they came."""
        if not texts:
            return
        new = _unit(self._embeddings.embed_documents(list(texts)))
        self.vectors = np.concatenate([self.vectors, new]) if len(self.vectors) else new

    def embed(self, questions: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the questions' unit vectors, shape (questions, dimension)."""
        prepare = getattr(self._embeddings, "prepare", lambda _: None)
        prepare(questions)
        return _unit([self._embeddings.embed_query(question) for question in questions])

    def search(self, questions: Sequence[str], k: int) -> list[list[int]]:
        """Return the numbers of each question's k nearest texts, nearest first."""
        if not len(self.vectors) or not questions:
            return [[] for _ in questions]
        order = np.argsort(-(self.embed(questions) @ self.vectors.T), axis=1, kind="stable")
        return [[int(place) for place in row[:k]] for row in order]


def _unit(vectors: Sequence[Sequence[float]]) -> npt.NDArray[np.float32]:
    array = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / np.maximum(lengths, 1e-12), np.float32)
