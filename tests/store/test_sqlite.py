"""The SQLite store: its transactions, its erasing, and many users at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import EditStore, SQLiteStore, database
from lte_chains.store.schema import connector
from lte_chains.store.searcher import _Moved
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


def test_a_memory_opens_whoever_holds_up_the_erasure_of_an_earlier_purge(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lte_chains.store.database._AT_OPENING_SECONDS", 0.1)
    secret = "zanzibarquartz"
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        [id_] = memory.add_edits([fact(1, secret)])
        with monkeypatch.context() as patch:
            patch.setattr(type(memory._shared.store._database), "erase_traces", lambda _: None)
            memory.purge([id_])
        for hold, begin in (("reads", "BEGIN"), ("writes", "BEGIN IMMEDIATE")):
            other = sqlite3.connect(path, isolation_level=None)
            other.execute(begin)
            other.execute("SELECT * FROM versions").fetchall()
            caplog.clear()
            with EditMemory.open(path, embeddings=EMBEDDINGS) as beside:
                assert beside.edits() == [], hold
            assert "the next opening tries again" in caplog.text
            other.close()
        files = [p.read_bytes() for p in path.parent.iterdir()]
        assert any(secret.encode() in content for content in files)
        caplog.clear()
        EditMemory.open(path, embeddings=EMBEDDINGS).close()
        assert "tries again" not in caplog.text
        files = [p.read_bytes() for p in path.parent.iterdir()]
        assert not any(secret.encode() in content for content in files)


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


@pytest.mark.parametrize("large", [False, True])
def test_only_a_small_file_is_copied_in_memory_when_it_is_written_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(database, "_IN_MEMORY_BYTES", 10_000 if large else 1 << 28)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        [id_] = memory.add_edits([fact(1, "zanzibarquartz")])
        memory.purge([id_])
    assert b"zanzibarquartz" not in path.read_bytes()
    told: list[str] = []
    connection = connector(path)()
    connection.set_trace_callback(told.append)
    database._rewrite(connection)
    assert ("PRAGMA temp_store = FILE" in told) == large
    assert connection.execute("PRAGMA temp_store").fetchone()[0] == 2, "in memory again"
    connection.close()


def test_keys_of_purged_versions_are_never_used_again(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.purge(memory.add_edits([fact(1), fact(2)]))
        memory.add_edits([fact(3)])
    assert query(path, "SELECT key, prompt FROM versions ORDER BY key") == [
        (1, None),
        (2, None),
        (5, "Fact number 3 is"),  # 3 and 4 tell of the purge
    ]


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


def test_a_queue_of_threads_waits_no_longer_than_one_call_may(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("schema", "database"):
        monkeypatch.setattr(f"lte_chains.store.{module}.BUSY_SECONDS", 0.5)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        def waited(n: int) -> float:
            begun = time.monotonic()
            with pytest.raises(StoreError, match=r"locked.*another process or thread"):
                memory.add_edits([fact(n)])
            return time.monotonic() - begun

        with ThreadPoolExecutor(8) as pool:
            assert max(pool.map(waited, range(8))) < 2, "one after the other it would be 4"
        other.close()
        memory.add_edits([fact(1)])
        with memory._shared.store._database._write_lock:  # as a thread might that rewrites the file
            waited(2)
        assert len(memory.edits()) == 1


def test_a_thread_for_which_no_connection_is_left_waits_and_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.store.database.BUSY_SECONDS", 0.2)
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        store = memory._shared.store._database
        with ExitStack() as readers:
            for _ in range(8):
                readers.enter_context(store.reading())
            with pytest.raises(StoreError, match="try again"):
                memory.edits()
        assert memory.edits() == []


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


def test_a_view_from_before_a_change_is_not_the_latest_because_a_newer_one_is(path: Path) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1)])
        memory.search_edits("Fact number 1 is")
        searcher = memory._shared.store._searcher
        [room] = searcher._rooms.values()
        before = room.index.view.revision
        memory.add_edits([fact(1, "y")])
        for _ in range(3):  # another thread's: it brings the index on, and marks it as checked
            [found] = memory.search_edits("Fact number 1 is")
            assert found.edit.target_new == "y"
        searcher._demand(room, room.index.view.revision)
        with pytest.raises(_Moved):
            searcher._demand(room, before)
