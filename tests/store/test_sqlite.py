"""The SQLite store: its transactions, its erasing, and many users at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.errors import EmbeddingError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import EditStore, SQLiteStore
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


def fact(n: int, target: str = "x") -> Edit:
    return Edit(prompt=f"Fact number {n} is", target_new=target)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edits.db"


def query(path: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_it_is_a_store(path: Path) -> None:
    store: EditStore = SQLiteStore(path)
    store.close()


def test_commits_are_synced_to_a_write_ahead_log(path: Path) -> None:
    store = SQLiteStore(path)
    with store._database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    store.close()


def test_a_batch_that_fails_in_the_middle_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lte_chains.store.ledger import Transaction

    put, calls = Transaction.put, []

    def failing(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 50:
            raise MemoryError
        return put(self, *arguments, **options)

    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(0)])
        monkeypatch.setattr(Transaction, "put", failing)
        with pytest.raises(MemoryError):
            memory.add_edits([fact(n, "y") for n in range(100)])
        monkeypatch.undo()
        assert memory.revision == 1
        assert [edit.target_new for edit in memory.edits()] == ["x"]
        memory.add_edits([fact(n) for n in range(100)])
    assert query(path, "SELECT count(*) FROM vectors") == [(100,)]


def test_the_live_table_is_what_replaying_the_events_gives(path: Path) -> None:
    rng = np.random.default_rng(7)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        for _ in range(120):
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
            with EditMemory.open(path, embeddings=EMBEDDINGS) as rebuilt:
                assert rebuilt.search_edits("Fact number again", k=1000) == found
            assert {match.edit.id for match in found} == {edit.id for edit in memory.edits()}
        revisions = [entry.revision for entry in memory.history()]
        assert sorted(set(revisions)) == list(range(1, memory.revision + 1))


def test_ledger_time_never_runs_backwards(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1)])
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE revisions SET at = '2999-01-01T00:00:00.000000+00:00'")
        connection.close()
        memory.add_edits([fact(2)])
        first, second = memory.history()
        assert first.at <= second.at


def test_an_interrupted_erasure_is_finished_when_the_file_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        secret = "zanzibarquartz"
        [id_] = memory.add_edits([fact(1, secret)])
        with monkeypatch.context() as patch:
            patch.setattr(type(memory._shared.store._database), "erase_traces", lambda _: None)
            memory.purge([id_])
    EditMemory.open(path, embeddings=EMBEDDINGS).close()
    assert secret.encode() not in path.read_bytes()
    assert query(path, "SELECT count(*) FROM meta WHERE name = 'scrub'") == [(0,)]


def test_a_purge_that_a_reader_holds_up_says_so_and_can_be_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.store.database.BUSY_SECONDS", 0.0)
    monkeypatch.setattr("lte_chains.store.schema.BUSY_SECONDS", 0.1)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        [id_] = memory.add_edits([fact(1, "zanzibarquartz")])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM versions").fetchall()
        with pytest.raises(StoreError, match="purge the same ids again"):
            memory.purge([id_])
        assert memory.edits() == []
        reader.close()
        assert memory.purge([id_]) == 2
        files = b"".join(p.read_bytes() for p in path.parent.iterdir())
        assert b"zanzibarquartz" not in files


def test_keys_of_purged_versions_are_never_used_again(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.purge(memory.add_edits([fact(1), fact(2)]))
        memory.add_edits([fact(3)])
    assert query(path, "SELECT key FROM versions") == [(3,)]


def test_vectors_of_a_wrong_length_in_the_file_are_a_store_error(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1), fact(2)])
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE vectors SET vector = x'00010203' WHERE key = 1")
        connection.close()
        with pytest.raises(StoreError, match="damaged"):
            memory.search_edits("Fact")
        memory.reembed(memory.embeddings)
        assert len(memory.search_edits("Fact")) == 2


def test_a_write_lock_held_by_another_process_is_waited_for_then_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.store.schema.BUSY_SECONDS", 0.1)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process"):
            memory.add_edits([fact(1)])
        assert memory.search_edits("Fact") == [], "readers are not held up"
        other.execute("ROLLBACK")
        other.close()
        memory.add_edits([fact(1)])


def test_two_memories_on_one_file_see_each_other_before_the_next_search(path: Path) -> None:
    with (
        EditMemory.open(path, embeddings=EMBEDDINGS) as a,
        EditMemory.open(path, embeddings=EMBEDDINGS) as b,
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
    path, name = sys.argv[1:]
    sys.stdin.readline()
    with EditMemory.open(path, embeddings=BagOfWordsEmbeddings(dim=32)) as memory:
        for n in range(10):
            memory.add_edits([Edit(prompt=f"{name} fact {n} {i} is", target_new="x") for i in (0, 1)])
            assert len(memory.search_edits(f"{name} fact", k=2)) == 2
"""


def test_processes_that_create_and_fill_one_file_together_lose_nothing(path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_CHILD), str(path)]
    children = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, text=True) for name in "abcd"
    ]
    for child in children:
        child.communicate("go\n")
        assert child.returncode == 0
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        assert len(memory.edits()) == 80
        assert memory.revision == 40


def test_many_threads_write_and_search_one_memory(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
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
        with EditMemory.open(path, embeddings=EMBEDDINGS) as rebuilt:
            assert rebuilt.search_edits("Fact number", k=500) == memory.search_edits(
                "Fact number", k=500
            )


def test_threads_share_one_in_memory_database() -> None:
    with EditMemory.open(":memory:", embeddings=EMBEDDINGS) as memory:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: memory.add_edits([fact(n)]), range(64)))
            counts = list(pool.map(lambda _: len(memory.search_edits("Fact", k=99)), range(16)))
        assert counts == [64] * 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_works_on_the_file_beside_its_parent(path: Path) -> None:
    script = """
        import os, sys
        from lte_chains.edit import Edit
        from lte_chains.memory import EditMemory
        from tests.fakes_embeddings import BagOfWordsEmbeddings
        memory = EditMemory.open(sys.argv[1], embeddings=BagOfWordsEmbeddings(dim=32))
        memory.add_edits([Edit(prompt="Fact 0 is", target_new="x")])
        memory.search_edits("Fact")
        memory._shared.store._database._write_lock.acquire()  # as another thread might hold it
        child = os.fork()
        if child == 0:
            memory.add_edits([Edit(prompt="Fact 1 is", target_new="x")])
            os._exit(0 if len(memory.search_edits("Fact")) >= 2 else 1)
        memory._shared.store._database._write_lock.release()
        memory.add_edits([Edit(prompt="Fact 2 is", target_new="x")])
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
        assert len(memory.search_edits("Fact")) == 3
        memory.close()
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    subprocess.run(command, check=True, timeout=60)
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_vectors_of_another_space_are_refused(path: Path) -> None:
    store = SQLiteStore(path)
    store.add("n", [fact(1)], np.float32([[1, 0]]), fingerprint="a")
    for fingerprint, vector in (("b", [[1, 0]]), ("a", [[1, 0, 0]])):
        with pytest.raises(EmbeddingError, match="reembed"):
            store.add("n", [fact(2)], np.float32(vector), fingerprint=fingerprint)
        with pytest.raises(EmbeddingError, match="reembed"):
            store.nearest("n", np.float32(vector[0]), 1, fingerprint=fingerprint)
    assert store.revision("n") == 1
    store.close()
