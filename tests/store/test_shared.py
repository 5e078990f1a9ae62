"""What every store does alike: its transactions, its order, and many users at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.errors import EmbeddingError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import EditStore, open_store
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


def fact(n: int, target: str = "x") -> Edit:
    return Edit(prompt=f"Fact number {n} is", target_new=target)


def test_it_is_a_store(place: str) -> None:
    store: EditStore = open_store(place)
    assert (store.space(), store.revision("default"), store.edits("default")) == (None, 0, [])
    assert store.nearest("default", np.float32([1, 0]), 3, fingerprint="a") == []
    assert store.wordings("default", ["a"]) == {}
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.revision("default")


class Exploding:
    """A vector that cannot be read."""

    shape = (32,)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise MemoryError

    def __len__(self) -> int:
        return 32


def test_a_batch_that_fails_in_the_middle_leaves_nothing(place: str) -> None:
    store = open_store(place)
    vectors = [np.eye(1, 32, n % 32, dtype=np.float32)[0] for n in range(100)]
    store.add("n", [fact(0)], vectors[:1], fingerprint="a")
    edits = [fact(n, "y") for n in range(100)]
    with pytest.raises(MemoryError):
        store.add("n", edits, [*vectors[:50], Exploding(), *vectors[51:]], fingerprint="a")
    assert store.revision("n") == 1
    assert [edit.target_new for edit in store.edits("n")] == ["x"]
    ids = store.add("n", edits, vectors, fingerprint="a")
    assert len(store.vectors("n", ids)) == 100
    store.close()


def test_the_live_edits_are_what_replaying_the_history_gives(place: str) -> None:
    rng = np.random.default_rng(7)
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        for turn in range(120):
            known = [entry.id for entry in memory.history() if entry.id]
            waiting = [edit.id for edit in memory.pending()]
            match int(rng.integers(0, 9)):
                case 0 if known:
                    memory.retract([str(rng.choice(known))])
                case 1 if known:
                    memory.rollback(int(rng.integers(0, memory.revision + 1)))
                case 2 if known and rng.random() < 0.3:
                    memory.purge([str(rng.choice(known))])
                case 3 if known:
                    memory.add_edits([Edit.from_statement("again", id=str(rng.choice(known)))])
                case 4:
                    memory.propose([fact(int(rng.integers(0, 8)), "proposed")])
                case 5 if waiting:
                    memory.approve([str(rng.choice(waiting))])
                case 6 if waiting:
                    memory.reject([str(rng.choice(waiting))])
                case _:
                    numbers = rng.integers(0, 8, size=3)
                    memory.add_edits([fact(int(n), str(rng.integers(0, 3))) for n in numbers])
            assert memory.edits() == memory.edits(as_of=memory.revision)
            assert len({edit.slot for edit in memory.edits() if edit.slot}) == sum(
                edit.slot is not None for edit in memory.edits()
            )
            found = memory.search_edits("Fact number again", k=1000)
            assert {match.edit.id for match in found} == {edit.id for edit in memory.edits()}
            if turn % 10 == 0:
                with EditMemory.open(place, embeddings=EMBEDDINGS) as rebuilt:
                    assert rebuilt.search_edits("Fact number again", k=1000) == found
        revisions = [entry.revision for entry in memory.history()]
        assert sorted(set(revisions)) == list(range(1, memory.revision + 1))


def test_two_memories_on_one_store_see_each_other_before_the_next_search(place: str) -> None:
    with (
        EditMemory.open(place, embeddings=EMBEDDINGS) as a,
        EditMemory.open(place, embeddings=EMBEDDINGS) as b,
    ):
        for round_ in range(30):
            writer, reader = (a, b) if round_ % 2 else (b, a)
            writer.add_edits([fact(n, str(round_)) for n in range(3)])
            found = reader.search_edits("Fact number 1 is", k=10)
            assert {match.edit.target_new for match in found} == {str(round_)}
            assert found[0].edit.prompt == "Fact number 1 is"
            assert reader.revision == writer.revision


_CHILD = """
    import sys
    from lte_chains.edit import Edit
    from lte_chains.memory import EditMemory
    from tests.fakes_embeddings import BagOfWordsEmbeddings
    place, name = sys.argv[1:]
    sys.stdin.readline()
    with EditMemory.open(place, embeddings=BagOfWordsEmbeddings(dim=32)) as memory:
        for n in range(10):
            memory.add_edits([Edit(prompt=f"{name} fact {n} {i} is", target_new="x") for i in (0, 1)])
            assert len(memory.search_edits(f"{name} fact", k=2)) == 2
"""


def test_processes_that_create_and_fill_one_store_together_lose_nothing(place: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_CHILD), place]
    children = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, text=True) for name in "abcd"
    ]
    for child in children:
        child.communicate("go\n")
        assert child.returncode == 0
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        assert len(memory.edits()) == 80
        assert memory.revision == 40


def test_many_threads_write_and_search_one_memory(place: str) -> None:
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        start = threading.Barrier(24)

        def work(worker: int) -> None:
            start.wait()
            for n in range(8):
                [id_] = memory.add_edits([fact(worker * 100 + n)])
                found = memory.search_edits(f"Fact number {worker * 100 + n} is", k=300)
                assert id_ in {match.edit.id for match in found}
                if n % 3 == 0:
                    memory.retract([id_])
                    found = memory.search_edits(f"Fact number {worker * 100 + n} is", k=300)
                    assert id_ not in {match.edit.id for match in found}

        with ThreadPoolExecutor(24) as pool:
            list(pool.map(work, range(24)))
        assert len(memory.edits()) == 24 * 5
        assert memory.revision == 24 * 11
        with EditMemory.open(place, embeddings=EMBEDDINGS) as rebuilt:
            assert rebuilt.search_edits("Fact number", k=500) == memory.search_edits(
                "Fact number", k=500
            )


def test_writers_of_different_namespaces_do_not_disturb_each_other(place: str) -> None:
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        rooms = [memory.in_namespace(f"room {n}") for n in range(6)]

        def work(room: EditMemory) -> None:
            for n in range(5):
                room.add_edits([fact(n, str(n))])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, rooms))
        assert [room.revision for room in rooms] == [5] * 6
        assert {len(room.edits()) for room in rooms} == {5}


def test_vectors_of_another_space_are_refused(place: str) -> None:
    store = open_store(place)
    store.add("n", [fact(1)], np.float32([[1, 0]]), fingerprint="a")
    for fingerprint, vector in (("b", [[1, 0]]), ("a", [[1, 0, 0]])):
        with pytest.raises(EmbeddingError, match="reembed"):
            store.add("n", [fact(2)], np.float32(vector), fingerprint=fingerprint)
        with pytest.raises(EmbeddingError, match="reembed"):
            store.nearest("n", np.float32(vector[0]), 1, fingerprint=fingerprint)
    assert store.revision("n") == 1
    store.close()


def test_vectors_come_back_bit_for_bit(place: str) -> None:
    own = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    store = open_store(place)
    store.add("n", [Edit(prompt="a", target_new="b", id="e")], [own], fingerprint="a")
    assert np.array_equal(store.wordings("n", ["e", "other"])["e"], own)
    assert np.array_equal(store.vectors("n", ["e"])["e"], own[0])
    store.close()


def test_texts_of_any_length_and_script_come_back(place: str) -> None:
    long = "ы" * 9000 + "🎈\u2028{x}"
    edit = Edit(
        prompt=f"{long} is",
        target_new="y\n\t\\N \\.",
        subject=long,
        relation="r",
        id=long,
        source="\x01\x1f'\"",
        aliases=(f"{long}2",),
        metadata={"ключ": ["\u0000", "\\u0000", 1.5]},
    )
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([edit])
        [stored] = memory.get_edits([long])
        assert (stored.prompt, stored.subject, stored.source) == (edit.prompt, long, edit.source)
        assert (stored.metadata, stored.aliases) == (edit.metadata, edit.aliases)
        memory.add_edits([Edit(prompt="p", target_new="z", subject=f"{long}2", relation="r")])
        assert [e.target_new for e in memory.edits()] == ["z"]
        assert memory.history(long)[-1].action == "supersede"
