"""The memory against what it is made of, and against other stores, in pairs.

    python benchmarks/store.py --sizes 1000 10000 100000
    python benchmarks/store.py --sizes 1000000 --pairs 3 --peers-up-to 100000

Every figure is the median of at least three pairs, which take turns. `ratio` is the
memory's over the yardstick's, smaller is better; limits stand beside. A table and
plots go into `--out`, and the table to stdout. All vectors are the same for all:
embeddings of facts by the offline model, up to `--real` of them (kept in the user's
cache folder), and seeded perturbations beyond; `--vectors random` needs no embedder.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from langchain_core.vectorstores import VectorStore
from pairs import report
from pairs.running import Result, Work, alternately, pair
from pairs.vectors import Floats, embedded, facts, queries_near, random_vectors
from pairs.yardsticks import BareTable, Closing, GivenVectors, exact_search, fill, peers

from lte_chains.edit import Edit
from lte_chains.index import cache
from lte_chains.memory import EditMemory
from lte_chains.store import SQLiteStore
from lte_chains.store.saved_indexes import LIVE_VECTORS

FINGERPRINT = "given vectors"
BATCH = 10_000
ROUNDS = 40
WARM = 500
"""Searches before those that are timed: what is measured is a process that goes on searching."""
MOST_READ = 100_000
"""Rows in the table that the yardstick reads from, at most."""
TOWNS = (
    ("", "New ", "Old ", "Port ", "Upper "),
    ("Al", "Bren", "Cor", "Dun", "Eker", "Fal", "Gren", "Hol", "Ing", "Kar", "Lum", "Mor"),
    ("berg", "dorf", "field", "ham", "mouth", "nau", "stead", "ton", "ville", "wick"),
)
"""Parts of names that nothing in memory has."""
Rows = list[tuple[str, str, str, str]]


def edits_of(rows: Rows) -> list[Edit]:
    """Return rows as edits of slots of their own."""
    return [Edit(prompt=p, target_new=t, subject=s, relation=r) for p, t, s, r in rows]


def rows_of(start: int, count: int) -> Rows:
    """Return texts of some length, all different."""
    numbers = range(start, start + count)
    return [(f"The head of company {n} is", f"person {n}", f"company {n}", "head") for n in numbers]


def fill_store(store: SQLiteStore, vectors: Floats, *, namespaces: int = 1) -> None:
    """Add all vectors, spread over namespaces, in batches."""
    for room in range(namespaces):
        own = vectors[room::namespaces]
        for start in range(0, len(own), BATCH):
            part = own[start : start + BATCH]
            edits = [Edit.from_statement(str(start + n)) for n in range(len(part))]
            store.add(f"room{room}", edits, list(part), fingerprint=FINGERPRINT)


def adding(size: int, vectors: Floats, folder: Path, pairs: int) -> Iterator[Result]:
    """Bulk adds with vectors given, and single ones."""
    rows = rows_of(0, size)
    edits = edits_of(rows)
    stores = [SQLiteStore(folder / f"add{n}.db") for n in range(pairs)]
    tables = [BareTable(folder / f"bare{n}.db") for n in range(pairs)]

    def ours(turn: int) -> None:
        for start in range(0, size, BATCH):
            part = slice(start, start + BATCH)
            stores[turn].add("a", edits[part], list(vectors[part]), fingerprint=FINGERPRINT)

    def bare(turn: int) -> None:
        for start in range(0, size, BATCH):
            tables[turn].add(rows[start : start + BATCH], vectors[start : start + BATCH])

    found = pair(ours, bare, pairs=pairs)
    yield Result("bulk add, vectors given", size, *found, "a bare SQLite table", 2.0, "s")
    store, table = stores[0], tables[0]

    def one(number: int) -> None:
        place = number % size
        new = edits_of(rows_of(size + number, 1))
        store.add("a", new, list(vectors[place : place + 1]), fingerprint=FINGERPRINT)

    def bare_one(number: int) -> None:
        place = number % size
        table.add(rows_of(size + number, 1), vectors[place : place + 1])

    found = pair(one, bare_one, pairs=pairs, times=ROUNDS)
    yield Result("one durable add", size, *found, "a bare SQLite transaction", 1.5)
    with_other = SQLiteStore(folder / "add0.db")
    with_other.add("a", [Edit.from_statement("seen?")], [vectors[0]], fingerprint=FINGERPRINT)
    [(edit, _)] = store.nearest(
        "a", vectors[0], 1, fingerprint=FINGERPRINT, accept=lambda e: e.descriptor == "seen?"
    )
    assert edit.descriptor == "seen?", "another writer's edit is not found by the next search"
    for opened in (*stores, with_other):
        opened.close()


def searching(
    size: int, vectors: Floats, folder: Path, pairs: int, *, with_peers: bool
) -> Iterator[Result]:
    """Searches of the best three in one namespace and in ten, fresh and after many changes."""
    queries = queries_near(vectors, WARM + ROUNDS * pairs)
    for namespaces in (1, 10):
        store = SQLiteStore(folder / f"search{namespaces}.db")
        fill_store(store, vectors, namespaces=namespaces)
        place = f"{'one namespace' if namespaces == 1 else 'ten namespaces'}"
        limit = 0.25 if namespaces == 1 and size >= 1_000_000 else 1.2
        own = vectors[::namespaces]
        works = list(_exact_searches(own, queries, folder / f"read{namespaces}.db"))
        for name in (f"search, {place}", f"search, {place}, after 1,000 changes"):
            ours, yardstick = _search_pair(store, works, queries, pairs)
            against = "the faster of numpy and faiss, with a SQLite read"
            yield Result(name, size, ours, yardstick, against, limit)
            _change(store, own, 1_000)
        store.close()
    if with_peers:
        yield from _against_peers(size, vectors, queries, folder, pairs)


def _exact_searches(own: Floats, queries: Floats, place: Path) -> Iterator[Work]:
    """Yield works that search all rows exactly, and read those found by their keys."""
    table, held = BareTable(place), min(len(own), MOST_READ)
    for start in range(0, held, BATCH):
        count = min(BATCH, held - start)
        table.add(rows_of(start, count), own[start : start + count])
    for search in exact_search(own).values():

        def work(
            number: int, search: Callable[[Floats, int], npt.NDArray[np.int64]] = search
        ) -> object:
            found = search(queries[number], 3)
            return table.read([1 + key % held for key in found.tolist()])

        yield work


def _search_pair(
    store: SQLiteStore, exact: list[Work], queries: Floats, pairs: int
) -> tuple[float, float]:
    """Return the times of a search, and of the faster exact one, after some other searches."""

    def ours(number: int) -> object:
        return store.nearest("room0", queries[number], 3, fingerprint=FINGERPRINT)

    works = [ours, *exact]
    for work in works:
        for number in range(WARM):
            work(number)
    store._searcher._saved.settle()
    later = [lambda number, work=work: work(WARM + number) for work in works]
    found = alternately(later, pairs=pairs, times=ROUNDS)
    return found[0], min(found[1:])


def _change(store: SQLiteStore, own: Floats, count: int) -> None:
    """Add and retract single edits."""
    for number in range(min(count, len(own)) // 2):
        edit = Edit.from_statement(f"new {number}")
        [id_] = store.add("room0", [edit], [own[number]], fingerprint=FINGERPRINT)
        store.retract("room0", [id_])


def recall(vectors: Floats, folder: Path) -> float:
    """Return how many of the exact best three are found."""
    queries = queries_near(vectors, 200)
    store = SQLiteStore(folder / "search1.db")
    exact = exact_search(vectors)["faiss"]
    hits = 0
    for query in queries:
        found = store.nearest("room0", query, 3, fingerprint=FINGERPRINT)
        best = vectors[exact(query, 3)] @ query
        hits += sum(score >= float(best[-1]) - 1e-5 for _, score in found)
    store.close()
    return hits / (3 * len(queries))


def _against_peers(
    size: int, vectors: Floats, queries: Floats, folder: Path, pairs: int
) -> Iterator[Result]:
    embeddings = GivenVectors(vectors, queries)
    memory = EditMemory(
        SQLiteStore(folder / "search1.db"), embeddings=embeddings, namespace="room0"
    )
    others = peers(embeddings, folder, vectors.shape[1])
    for store in others.values():
        fill(store, size)

    def searching_in(store: VectorStore) -> Work:
        return lambda number: store.similarity_search(str(number), k=3)

    works = [searching_in(memory), *map(searching_in, others.values())]
    for work in works:
        work(0)
    found = alternately(works, pairs=pairs, times=ROUNDS)
    for name, taken in zip(others, found[1:], strict=True):
        yield Result("search through LangChain, one namespace", size, found[0], taken, name, 1.0)
    memory.close()
    for store in others.values():
        if isinstance(store, Closing):
            store.close()


def opening(size: int, folder: Path, pairs: int) -> Iterator[Result]:
    """Opening what `searching` has left, with the saved index and without."""
    path = folder / "search1.db"
    query = queries_near(random_vectors(10), 1)[0]

    opened: list[SQLiteStore] = []

    def first_search(_: int) -> None:
        store = SQLiteStore(path)
        store.nearest("room0", query, 3, fingerprint=FINGERPRINT)
        opened.append(store)

    def read_rows(_: int) -> object:
        rows = SQLiteStore(path)._database.read(LIVE_VECTORS, {"namespace": "room0"})
        return np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), -1)

    places = cache.places_of(path)
    if places:
        [place] = places
        found = pair(first_search, lambda _: place.read_bytes(), pairs=pairs)
        against = "reading the saved index's bytes"
        yield Result("opening and first search", size, *found, against, 2.0, "s")
        command = [sys.executable, __file__, "--memory-of", str(path)]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        yield Result("memory", size, report["bytes"], report["vectors"], "the vectors", 1.3, "MB")
        place.unlink()

    def first_search_anew(turn: int) -> None:
        for place in cache.places_of(path):
            place.unlink()
        first_search(turn)

    found = pair(first_search_anew, read_rows, pairs=pairs)
    for store in opened:
        store.close()
    yield Result(
        "opening without saved index", size, *found, "reading the rows into an array", 1.5, "s"
    )


def memory_of(path: str) -> dict[str, int]:
    """Return by how many bytes a process grows that opens a memory and searches it."""
    warm = SQLiteStore(":memory:")
    warm.add("a", [Edit.from_statement("x")], [np.ones(384, np.float32)], fingerprint="x")
    warm.nearest("a", np.ones(384, np.float32), 1, fingerprint="x")
    before = _resident()
    store = SQLiteStore(path)
    for query in random_vectors(20):
        store.nearest("room0", query, 3, fingerprint=FINGERPRINT)
    index = store._searcher.index("room0")
    rows = 0 if index is None else len(index)
    return {"bytes": _resident() - before, "vectors": rows * 4 * 384}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def embedding(count: int, folder: Path, pairs: int) -> Iterator[Result]:
    """Adding texts with the real embedder, and a model call with and without edits."""
    from lte_chains.embeddings import default_embeddings
    from lte_chains.wordings import wordings

    embeddings = default_embeddings()
    edits = [Edit.from_statement(f"{prompt} {answer}") for prompt, answer in facts(count)]
    texts = [text for edit in edits for text in wordings(edit)]

    def ours(turn: int) -> None:
        with EditMemory.open(folder / f"texts{turn}.db", embeddings=embeddings) as memory:
            memory.add_edits(edits, show_progress=False)

    found = pair(ours, lambda _: embeddings.embed_documents(texts), pairs=pairs)
    yield Result("bulk add of texts", count, *found, "the bare embedder", 1 / 0.95, "s")
    yield from _model_call(folder, pairs)


def _model_call(folder: Path, pairs: int) -> Iterator[Result]:
    from lte_chains import EditableLLM, load_model
    from lte_chains.scope import SimilarityGate
    from lte_chains.scope.default import default_gate

    memory = EditMemory.open(folder / "texts0.db")
    empty = EditMemory.open(":memory:", embeddings=memory.embeddings)
    model = load_model("lte-tiny")
    unedited = model.unedited or model
    # Each question is asked once of a memory, which would not embed it again.
    towns = map("".join, itertools.product(*TOWNS))
    questions = (f"Which river flows through {town}?" for town in towns)
    for name, held, gate in (
        ("nothing in memory", empty, default_gate()),
        ("nothing in scope, similarity gate", memory, SimilarityGate()),
        ("nothing in scope, trained gate", memory, default_gate()),
    ):
        llm = EditableLLM(llm=model, retriever=held.as_retriever(gate=gate))
        asked = list(itertools.islice(questions, pairs * 10 + 1))

        def bare(number: int, asked: list[str] = asked) -> None:
            memory.embeddings.embed_query(asked[number])
            unedited.invoke(asked[number])

        def edited(number: int, asked: list[str] = asked, llm: EditableLLM = llm) -> None:
            answer = llm.invoke(asked[number])
            assert not answer.response_metadata["lte"]["edits"], "an edit was in scope"

        for work in (edited, bare):
            work(-1)
        found = pair(edited, bare, pairs=pairs, times=10)
        against = "the bare model and one embedding"
        yield Result(f"EditableLLM, {name}", len(held.edits()), *found, against, 1.05)
    memory.close()


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--texts", type=int, default=2_000, help="texts for the real embedder")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--real", type=int, default=100_000, help="most vectors to embed")
    parser.add_argument("--vectors", choices=["real", "random"], default="real")
    parser.add_argument("--peers-up-to", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="folder for the table and the plots")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of:
        print(json.dumps(memory_of(given.memory_of)))
        return
    most = max(given.sizes)
    every = embedded(most, most=given.real) if given.vectors == "real" else random_vectors(most)
    results: list[Result] = []
    print(report.HEADING)
    for result in measured(given, every):
        results.append(result)
        print(report.line(result), flush=True)
    if given.out:
        command = f"python benchmarks/store.py {' '.join(sys.argv[1:])}"
        report.save(results, given.out, command=command)


def measured(given: argparse.Namespace, every: Floats) -> Iterator[Result]:
    """Measure what the arguments ask for, one after the other."""
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder, vectors = Path(name), every[:size]
            with_peers = size <= given.peers_up_to
            yield from adding(size, vectors, folder, given.pairs)
            yield from searching(size, vectors, folder, given.pairs, with_peers=with_peers)
            missed = 1 - recall(vectors, folder)
            yield Result("missed of the best 3", size, missed, 0.01, "one of a hundred", 1.0, "%")
            yield from opening(size, folder, given.pairs)
    if given.texts:
        with tempfile.TemporaryDirectory() as name:
            yield from embedding(given.texts, Path(name), given.pairs)


if __name__ == "__main__":
    main()
