"""pgvector as people use it through LangChain: a table of texts and vectors, with an HNSW index."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from pgvector import Vector
from pgvector.psycopg import register_vector

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.postgres_server import Server

_INSERT = "INSERT INTO bare (id, content, embedding) VALUES (%s, %s, %s)"
_NEAREST = "SELECT id, content FROM bare ORDER BY embedding <#> %s LIMIT %s"


class PgvectorStore(VectorStore):
    """A table in a server of its own, with default settings."""

    def __init__(self, embeddings: Embeddings, dimension: int) -> None:
        """Start the server, and make the table and its index."""
        self._embeddings = embeddings
        self._server = Server(durable=True)
        url = self._server.new_url().replace("postgresql+psycopg:", "postgresql:")
        self._connection = psycopg.connect(url, autocommit=True)
        register_vector(self._connection)
        table = (
            f"CREATE TABLE bare (id text PRIMARY KEY, content text, embedding vector({dimension}))"
        )
        self._connection.execute(table)
        self._connection.execute("CREATE INDEX ON bare USING hnsw (embedding vector_ip_ops)")

    def add_documents(self, documents: list[Document], **_: Any) -> list[str]:
        """Add documents in one transaction."""
        vectors = self._embeddings.embed_documents([each.page_content for each in documents])
        ids = [str(each.id) for each in documents]
        texts = [each.page_content for each in documents]
        rows = zip(ids, texts, map(Vector, vectors), strict=True)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, rows)
        return ids

    def similarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        """Return the nearest documents that the index finds."""
        vector = Vector(self._embeddings.embed_query(query))
        rows: Sequence[tuple[str, str]] = self._connection.execute(_NEAREST, (vector, k)).fetchall()
        return [Document(id=id_, page_content=text) for id_, text in rows]

    @classmethod
    def from_texts(cls, *args: Any, **kwargs: Any) -> PgvectorStore:
        """Not for a benchmark, which adds documents."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._server.stop()
