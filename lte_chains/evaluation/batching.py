"""Embeddings that were computed in one batch beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from lte_chains.embeddings import fingerprint


class BatchedEmbeddings(Embeddings):
    """Answer `embed_query` from vectors that `prepare` computed in one batch.

    An evaluation knows all its questions, and embedding them one by one takes
    several times as long. Everything else goes to the embedder inside.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> batched = BatchedEmbeddings(DeterministicFakeEmbedding(size=2))
        >>> batched.prepare(["Who runs Acme?"])
        >>> batched.embed_query("Who runs Acme?") == batched.inner.embed_query("Who runs Acme?")
        True
    """

    def __init__(self, inner: Embeddings) -> None:
        """Wrap an embedder; the vectors, and so the fingerprint, are the inner one's."""
        self.inner = inner
        self.fingerprint = fingerprint(inner)
        self._vectors: dict[str, list[float]] = {}

    def prepare(self, queries: Sequence[str]) -> None:
        """Embed the queries that are not known yet, similar lengths together."""
        fresh = sorted({query for query in queries if query not in self._vectors}, key=_by_length)
        if not fresh:
            return
        alone = self.inner.embed_query(fresh[0])
        batch = self.inner.embed_documents(fresh)
        if not np.allclose(alone, batch[0], atol=1e-3):
            # This embedder tells queries from documents, so the batch is of no use.
            batch = [alone, *map(self.inner.embed_query, fresh[1:])]
        self._vectors.update(zip(fresh, batch, strict=True))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts with the embedder inside."""
        return self.inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Return the prepared vector of a query, or embed it now."""
        known = self._vectors.get(text)
        return known if known is not None else self.inner.embed_query(text)


def _by_length(text: str) -> tuple[int, str]:
    return len(text), text
