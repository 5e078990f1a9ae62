"""HNSW indexes of large namespaces in PostgreSQL: what they find, and when they are built."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import numpy as np
import psycopg
import pytest

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.memory import EditMemory
from lte_chains.store.postgres import PostgresStore, search
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.postgres_server import Server

pytestmark = pytest.mark.postgres
EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def ask(url: str, statement: str) -> list[tuple]:
    with connect(url) as connection:
        return connection.execute(statement).fetchall()


def run(url: str, statement: str) -> None:
    with connect(url) as connection:
        connection.execute(statement)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_indexed(url: str) -> bool:
    return ask(url, "SELECT bool_and(approximate) FROM lte_namespaces") == [(True,)]


def indexes(url: str) -> list[tuple]:
    """Number and wholeness of each HNSW index of a memory."""
    return ask(
        url,
        "SELECT indexrelid, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE indrelid = 'lte_vectors'::regclass AND relname LIKE 'lte_hnsw%'",
    )


def facts(count: int, first: int = 0) -> list[Edit]:
    return [Edit(prompt=f"Fact number {n} is", target_new="x") for n in range(first, first + count)]


def fill(store: PostgresStore, count: int, dimension: int = 8) -> np.ndarray:
    """Add edits to the namespace "n" and return their vectors."""
    vectors = unit(count, dimension, seed=1)
    store.add("n", facts(count), list(vectors), fingerprint="a")
    return vectors


def unit(count: int, dimension: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_an_indexed_namespace_finds_the_same_edits_also_under_filters(postgres_url: str) -> None:
    vectors, queries = unit(3000, 24, seed=1), unit(20, 24, seed=2)
    store = PostgresStore(postgres_url)
    edits = [Edit.from_statement(f"s{n}", id=str(n), metadata={"n": n}) for n in range(3000)]
    store.add("large", edits, list(vectors), fingerprint="a")
    store.add("small", edits[:5], list(vectors[:5]), fingerprint="a")

    def rare(edit: Edit) -> bool:
        return edit.metadata["n"] % 100 == 0

    def search(**options: object) -> list[list[str]]:
        return [
            [e.id for e, _ in store.nearest("large", q, 3, fingerprint="a", **options)]
            for q in queries
        ]

    exact, filtered = search(), search(accept=rare)
    store.build_index("large")
    store.build_index("large")
    with store._database.reading() as connection:
        room = search_room(connection)
        assert room.approximate
    hits = sum(len(set(a) & set(b)) for a, b in zip(exact, search(), strict=True))
    assert hits >= 0.95 * 60
    assert search(accept=rare) == filtered, "what is rare is searched exactly"
    assert len(store.nearest("large", queries[0], 3000, fingerprint="a")) == 3000
    assert len(store.nearest("small", queries[0], 9, fingerprint="a")) == 5
    store.retract("large", [exact[0][0]])
    assert exact[0][0] not in search()[0]
    store.rollback("large", 1)
    assert exact[0][0] in search()[0]
    store.close()


def search_room(connection) -> search.Room:
    room = search.find_room(connection, "large")
    assert room is not None
    return room


def test_the_index_is_used_for_a_large_namespace(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    edits = [Edit.from_statement(f"s{n}") for n in range(2000)]
    store.add("large", edits, list(unit(2000, 16, seed=1)), fingerprint="a")
    store.build_index("large")
    statement = search._NEAREST.format(room=1, order=search._HALF.format(dimension=16))
    vector = "'[" + ",".join("0.25" for _ in range(16)) + "]'"
    statement = statement.replace("%(query)s", f"{vector}::vector").replace("%(width)s", "20")
    with connect(postgres_url) as connection:
        connection.execute("ANALYZE lte_vectors")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {statement}"))
    assert "lte_hnsw_1" in plan
    store.close()


def test_a_namespace_that_grows_large_gets_its_index_by_itself(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.store.postgres.store.APPROXIMATE_FROM", 30)
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits(facts(10))
        time.sleep(0.1)
        assert ask(postgres_url, "SELECT wordings, approximate FROM lte_namespaces") == [
            (20, False)
        ]
        memory.add_edits(facts(10, first=10))
        wait_until(lambda: is_indexed(postgres_url))
        assert memory.search_edits("Fact number 7 is", k=1)[0].edit.prompt == "Fact number 7 is"
        memory.reembed(BagOfWordsEmbeddings(dim=16))
        assert indexes(postgres_url) == []
        assert memory.search_edits("Fact number 7 is", k=1)[0].edit.prompt == "Fact number 7 is"
        wait_until(lambda: is_indexed(postgres_url))
        assert ask(postgres_url, "SELECT wordings FROM lte_namespaces") == [(40,)]


def test_a_search_has_a_missing_index_built(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    vectors = fill(store, 40)
    store.close()
    store = PostgresStore(postgres_url, approximate_from=40)
    store.nearest("n", vectors[0], 1, fingerprint="a")
    wait_until(lambda: is_indexed(postgres_url))
    store.close()


def test_an_index_whose_builder_ended_is_taken_up_and_not_built_again(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    vectors = fill(store, 40)
    store.build_index("n")
    store.close()
    run(postgres_url, "UPDATE lte_namespaces SET approximate = false")
    built = indexes(postgres_url)
    store = PostgresStore(postgres_url, approximate_from=40)
    store.nearest("n", vectors[0], 1, fingerprint="a")
    store.close()  # waits for what is a moment's work
    assert is_indexed(postgres_url)
    assert indexes(postgres_url) == built


def test_processes_that_write_and_end_at_once_get_their_index(postgres_url: str) -> None:
    script = """
        import sys
        import numpy as np
        from lte_chains.edit import Edit
        from lte_chains.store.postgres import PostgresStore
        edits = [Edit.from_statement(f"s{n}", id=f"{sys.argv[2]}{n}") for n in range(300)]
        store = PostgresStore(sys.argv[1], approximate_from=300)
        vectors = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.add("n", edits, list(vectors), fingerprint="a")
        store.close()
    """
    for name in ("first", "second"):
        command = [sys.executable, "-c", textwrap.dedent(script), postgres_url, name]
        subprocess.run(command, check=True, timeout=60)
        wait_until(lambda: [whole for _, whole in indexes(postgres_url)] == [True])
    assert is_indexed(postgres_url)


@pytest.mark.parametrize("left", ["cut short", "of a builder that ended"])
def test_vectors_of_another_dimension_replace_those_under_any_index(
    postgres_url: str, postgres_server: Server, left: str
) -> None:
    store = PostgresStore(postgres_url)
    fill(store, 40)
    store.build_index("n")
    run(postgres_url, "UPDATE lte_namespaces SET approximate = false")
    if left == "cut short":
        run(
            postgres_url,
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'lte_hnsw_1'::regclass",
        )
    wider = unit(1, 16, seed=2)
    store.reembed(lambda edits: [wider] * len(edits), fingerprint="b")
    assert indexes(postgres_url) == []
    assert len(store.nearest("n", wider[0], 50, fingerprint="b")) == 40
    store.close()


def test_an_index_that_was_cut_short_is_built_anew(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    fill(store, 40)
    store.build_index("n")
    run(postgres_url, "UPDATE lte_namespaces SET approximate = false")
    run(
        postgres_url,
        "UPDATE pg_index SET indisvalid = false WHERE indrelid = "
        "'lte_vectors'::regclass AND indexrelid = 'lte_hnsw_1'::regclass",
    )
    store.build_index("n")
    assert [whole for _, whole in indexes(postgres_url)] == [True]
    assert is_indexed(postgres_url)
    store.close()


def test_an_emptied_memory_takes_vectors_of_another_dimension(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    fill(store, 40)
    store.build_index("n")
    store.purge("n", [str(edit.id) for edit in store.edits("n")])
    store.reembed(lambda edits: [], fingerprint="b")
    store.add("n", facts(1), list(unit(1, 16, seed=2)), fingerprint="b")
    assert len(store.edits("n")) == 1
    store.close()


def test_a_build_gives_way_to_other_vectors(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    fill(store, 40)
    failed: list[StoreError] = []

    def build() -> None:
        try:
            store.build_index("n")
        except StoreError as error:
            failed.append(error)

    building = threading.Thread(target=build)
    with connect(postgres_url) as reader:  # a build waits for whoever reads an old state
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM lte_versions")
        building.start()
        wait_until(lambda: indexes(postgres_url) != [])
        wider = unit(1, 16, seed=2)
        store.reembed(lambda edits: [wider] * len(edits), fingerprint="b")
        building.join(30)
    assert len(failed) == 1
    assert not is_indexed(postgres_url)
    assert indexes(postgres_url) == []
    store.build_index("n")
    assert is_indexed(postgres_url)
    store.close()


def test_a_memory_beside_another_in_the_search_path_keeps_to_its_own_index(
    postgres_server: Server,
) -> None:
    outer, inner = postgres_server.new_url(), postgres_server.new_url()
    name = outer.rpartition("%3D")[2].partition(",")[0]
    other = PostgresStore(outer)
    fill(other, 40)
    other.build_index("n")
    PostgresStore(inner).close()
    store = PostgresStore(inner.replace(",public", f",{name},public"))
    fill(store, 40)
    store.build_index("n")
    store.reembed(lambda edits: [unit(1, 8, seed=3)] * len(edits), fingerprint="b")
    assert indexes(inner) == []
    assert [whole for _, whole in indexes(outer)] == [True]
    for each, url in ((store, inner), (other, outer)):
        each.close()
        postgres_server.drop(url)
