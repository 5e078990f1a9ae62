"""A cheap, deterministic embedder for tests in which meaning does not matter."""

from __future__ import annotations

import re
import zlib

from langchain_core.embeddings import Embeddings


class BagOfWordsEmbeddings(Embeddings):
    """Count a text's words in `dim` hashed places: shared words, higher cosine."""

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        counts = [0.0] * self.dim
        for word in re.findall(r"\w+", text.casefold()):
            counts[zlib.crc32(word.encode()) % self.dim] += 1.0
        return counts
