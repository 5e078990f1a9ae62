"""What the memory costs: a durable add, a search, an opening, by the number of edits.

Vectors are random and cost nothing to "embed", so that the figures are the
memory's own. What they are made of is timed in the same run: a raw faiss index
of the same vectors, a bare SQLite table that syncs as the memory does, and one
query embedding by the offline model; `ratio` holds memory over yardstick. One
JSON object goes to stdout. Sizes may be given: ``python benchmarks/memory.py 1000 100000``.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory

SIZES = (1_000, 10_000, 100_000)
DIMENSION = 384
BATCH = 1_000
ROUNDS = 30


class RandomEmbeddings(Embeddings):
    """A random unit vector for each text, always the same one."""

    fingerprint = f"random:{DIMENSION}"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the texts' vectors, as arrays: lists would cost more than the memory does."""
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return a text's vector."""
        vector: list[float] = self._vector(text).tolist()
        return vector

    @staticmethod
    def _vector(text: str) -> Any:  # LangChain asks for lists, and everybody takes arrays
        return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSION)


def facts(start: int, count: int) -> list[Edit]:
    """Return edits of as many slots."""
    return [
        Edit(prompt=f"The head of company {n} is", target_new=f"person {n}")
        for n in range(start, start + count)
    ]


def median_ms(work: Callable[[int], object]) -> float:
    """Time `work` a few times and return the median in milliseconds."""
    times = []
    for round_ in range(ROUNDS):
        start = perf_counter()
        work(round_)
        times.append(perf_counter() - start)
    return round(statistics.median(times) * 1e3, 3)


def seconds(work: Callable[[], object]) -> float:
    """Time `work` once."""
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(size: int, folder: Path) -> dict[str, float]:
    """Fill a memory with `size` edits and time what people do with it."""
    path, embeddings = folder / f"{size}.db", RandomEmbeddings()
    with EditMemory.open(path, embeddings=embeddings) as memory:
        batches = [facts(start, BATCH) for start in range(0, size, BATCH)]
        filling = seconds(lambda: [memory.add_edits(batch) for batch in batches])
        result = {
            "add_in_batches_of_1000_ms_per_edit": round(filling / size * 1e3, 3),
            "add_one_ms": median_ms(lambda n: memory.add_edits(facts(size + n, 1))),
            "supersede_one_ms": median_ms(
                lambda n: memory.add_edits(
                    [Edit(prompt=f"The head of company {n} is", target_new="other")]
                )
            ),
        }
    with EditMemory.open(path, embeddings=embeddings) as memory:
        result["open_and_first_search_ms"] = round(seconds(lambda: memory.search_edits("x")) * 1e3)
        result["search_k10_ms"] = median_ms(lambda n: memory.search_edits(f"query {n}"))
        result["add_then_search_ms"] = median_ms(
            lambda n: (memory.add_edits(facts(size + ROUNDS + n, 1)), memory.search_edits("x"))
        )
        result["file_mb"] = round(path.stat().st_size / 2**20, 1)
    return result


def yardsticks(size: int, folder: Path) -> dict[str, float]:
    """Time the same search in raw faiss, and the same adds into a bare table."""
    import faiss

    vectors = np.random.default_rng(0).standard_normal((size, DIMENSION)).astype(np.float32)
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors)
    table = sqlite3.connect(folder / f"bare-{size}.db", isolation_level=None)
    table.execute("PRAGMA journal_mode=WAL")
    table.execute("PRAGMA synchronous=FULL")
    table.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, text TEXT, vector BLOB)")
    insert, blob = "INSERT INTO bare (text, vector) VALUES (?, ?)", vectors[0].tobytes()

    def add_batch(_: int) -> None:
        table.execute("BEGIN")
        table.executemany(insert, [("a fact", blob)] * BATCH)
        table.execute("COMMIT")

    result = {
        "search_k10_ms": median_ms(lambda n: index.search(vectors[n : n + 1], 10)),
        "add_one_ms": median_ms(lambda _: table.execute(insert, ("a fact", blob))),
        "add_in_batches_of_1000_ms_per_edit": round(median_ms(add_batch) / BATCH, 4),
    }
    table.close()
    return result


def query_embedding_ms() -> float:
    """Time one query embedding by the offline model, the yardstick of a search."""
    from lte_chains.embeddings import default_embeddings

    embeddings = default_embeddings()
    return median_ms(lambda n: embeddings.embed_query(f"Who is the head of company {n}?"))


def main() -> None:
    """Measure all sizes and print one JSON object."""
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    with tempfile.TemporaryDirectory() as folder:
        edits = {str(size): measure(size, Path(folder)) for size in sizes}
        bare = {str(size): yardsticks(size, Path(folder)) for size in sizes}
    ratio = {
        size: {name: round(edits[size][name] / value, 2) for name, value in bare[size].items()}
        for size in edits
    }
    report = {"edits": edits, "yardsticks": bare, "ratio": ratio}
    print(json.dumps({**report, "query_embedding_ms": query_embedding_ms()}, indent=2))


if __name__ == "__main__":
    main()
