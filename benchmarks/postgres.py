"""What the PostgreSQL store costs: loading, a durable add, a search, by the number of edits.

A server with default settings is started for it. Vectors are seeded random points
in clusters, 384 numbers each. Two yardsticks run beside: the bare pgvector query on
the same rows, which returns keys only, and a bare INSERT of as many bytes in a
transaction of its own; `ratio` holds the memory over them. `recall` compares the
HNSW index with the exact search. One JSON object goes to stdout. Sizes may be
given: ``python benchmarks/postgres.py 1000 100000``.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

sys.path.insert(0, str(Path(__file__).parent.parent))

from lte_chains.edit import Edit
from lte_chains.store.base import Vectors
from lte_chains.store.postgres import PostgresStore
from tests.postgres_server import Server

SIZES = (1_000, 10_000, 100_000)
DIMENSION = 384
BATCH = 2_000
QUERIES = 100
ADDS = 50
CLUSTER = 20
"""Vectors that lie around one centre."""
_BARE = """SELECT key FROM lte_vectors WHERE live AND room = 1
    ORDER BY vector <#> %s LIMIT 3"""


def clustered(count: int, seed: int) -> Vectors:
    """Return unit vectors, shape (count, DIMENSION), in clusters as edits of like relations are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(max(1, count // CLUSTER), DIMENSION))
    rows = centres[rng.integers(len(centres), size=count)]
    rows = rows + 0.7 * rng.normal(size=rows.shape)
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def milliseconds(call: Callable[[int], Any], rounds: int) -> float:
    """Return the median time of a call, which is given the number of the round."""
    times = []
    for number in range(rounds):
        start = perf_counter()
        call(number)
        times.append(1000 * (perf_counter() - start))
    return round(statistics.median(times), 3)


def measure(server: Server, size: int) -> dict[str, Any]:
    """Return the figures for one namespace of `size` edits, one wording each."""
    url = server.new_url()
    store = PostgresStore(url, approximate_from=sys.maxsize)  # it is built below, and timed
    vectors, queries = clustered(size + ADDS, seed=1), clustered(QUERIES, seed=2)
    edits = [Edit.from_statement(f"Fact {n} is of some length.") for n in range(size + ADDS)]
    start = perf_counter()
    for first in range(0, size, BATCH):
        part = slice(first, min(first + BATCH, size))
        store.add("n", edits[part], list(vectors[part]), fingerprint="random")
    seconds = perf_counter() - start

    def search(number: int) -> list[str]:
        return [str(e.id) for e, _ in store.nearest("n", queries[number], 3, fingerprint="random")]

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as bare:
        register_vector(bare)
        bare.execute("ANALYZE lte_vectors")
        exact = [search(number) for number in range(QUERIES)]
        figures: dict[str, Any] = {
            "edits_per_second": round(size / seconds),
            "exact_ms": milliseconds(search, QUERIES),
            "exact_bare_ms": milliseconds(
                lambda n: bare.execute(_BARE, (Vector(queries[n]),)).fetchall(), QUERIES
            ),
            **_adds(store, bare, edits[size:], vectors[size:]),
        }
    start = perf_counter()
    store.build_index("n")
    figures["hnsw_build_s"] = round(perf_counter() - start, 1)
    found = [search(number) for number in range(QUERIES)]
    hits = sum(len(set(a) & set(b)) for a, b in zip(exact, found, strict=True))
    figures["recall_at_3"] = round(hits / (3 * QUERIES), 4)
    figures["hnsw_ms"] = milliseconds(search, QUERIES)
    store.close()
    server.drop(url)
    ratio = {
        name: round(figures[f"{name}_ms"] / figures[f"{name}_bare_ms"], 2)
        for name in ("exact", "add")
    }
    return {**figures, "ratio": ratio}


def _adds(
    store: PostgresStore, bare: psycopg.Connection[Any], edits: list[Edit], vectors: Vectors
) -> dict[str, float]:
    """Time durable adds of one edit, and of a bare row with as many bytes."""
    bare.execute("CREATE TABLE bare (key bigserial PRIMARY KEY, text text, vector vector)")

    def insert(number: int) -> None:
        row = (edits[number].statement, Vector(vectors[number]))
        bare.execute("INSERT INTO bare (text, vector) VALUES (%s, %s)", row)

    return {
        "add_ms": milliseconds(
            lambda n: store.add("m", [edits[n]], [vectors[n]], fingerprint="random"), ADDS
        ),
        "add_bare_ms": milliseconds(insert, ADDS),
    }


def main() -> None:
    """Measure each size and print what was found."""
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    server = Server(durable=True)
    try:
        found = {str(size): measure(server, size) for size in sizes}
    finally:
        server.stop()
    print(json.dumps({"dimension": DIMENSION, "sizes": found}, indent=2))


if __name__ == "__main__":
    main()
