"""A large memory opens from a saved index, and never from a wrong one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.index import cache, vector_index
from lte_chains.store import SQLiteStore, saved_indexes
from lte_chains.store.backup import restore
from lte_chains.store.migration import migrate
from lte_chains.store.sqlite_replica import SQLiteReplica

DIMENSION = 8
QUERY = np.float32([1, *[0] * (DIMENSION - 1)])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_indexes, "_WORTH", 80)
    monkeypatch.setattr(vector_index, "GROWING_ROWS", 40)
    monkeypatch.setattr(vector_index, "KEPT_ROWS", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edits.db"


def add(store: SQLiteStore, start: int, count: int, namespace: str = "a", seed: int = 0) -> None:
    rng = np.random.default_rng((seed, start))
    vectors = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    edits = [Edit.from_statement(f"Fact {n}.", id=f"{n}") for n in range(start, start + count)]
    store.add(namespace, edits, vectors, fingerprint="x")


def search(store: SQLiteStore, k: int = 400, namespace: str = "a") -> list[tuple[str, float]]:
    found = store.nearest(namespace, QUERY, k, fingerprint="x")
    return [(str(edit.id), score) for edit, score in found]


def fill(path: Path, count: int = 200) -> list[tuple[str, float]]:
    store = SQLiteStore(path)
    add(store, 0, count)
    found = search(store)
    store.close()
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the revisions from which indexes were built anew."""
    calls: list[int] = []
    rebuild = vector_index.VectorIndex.rebuild

    def recording(self, revision, rows) -> None:
        calls.append(revision)
        rebuild(self, revision, rows)

    monkeypatch.setattr(vector_index.VectorIndex, "rebuild", recording)
    return calls


def test_opening_reads_only_what_is_new(path: Path, read: list[int]) -> None:
    fill(path)
    assert read == [1]
    store = SQLiteStore(path)
    add(store, 150, 100, seed=1)  # some of them again, with other vectors: the same content
    store.retract("a", ["3", "4"])
    fresh = search(store)
    store.close()
    assert read == [1]
    for place in cache.places_of(path):
        place.unlink()
    store = SQLiteStore(path)
    assert search(store) == fresh
    assert read == [1, 3]
    store.close()


def test_a_catch_up_that_is_broken_off_loses_no_edit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "BLOCK_ROWS", 160)
    store = SQLiteStore(path)
    for start, count in ((0, 60), (60, 30)):  # some are sealed, and some growing
        add(store, start, count)
        search(store)
    add(store, 90, 150)
    parts = vector_index._parts

    def interrupted(items, size):
        yield from islice(parts(items, size), 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(vector_index, "_parts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(store)
    assert len(search(store)) == 240
    store.close()
    store = SQLiteStore(path)
    assert len(search(store)) == 240
    store.close()


def test_a_small_namespace_is_not_saved(path: Path) -> None:
    fill(path, 79)
    assert cache.places_of(path) == []


def test_an_index_that_hardly_changed_is_not_saved_again(path: Path) -> None:
    fill(path)
    [place] = cache.places_of(path)
    before = place.stat().st_ino
    store = SQLiteStore(path)
    add(store, 500, 5)
    search(store)
    store.close()
    assert place.stat().st_ino == before


def test_a_restored_older_file_does_not_take_the_index_of_the_newer(path: Path) -> None:
    fill(path, 100)
    shutil.copy(path, path.with_suffix(".old"))
    store = SQLiteStore(path)
    add(store, 100, 100)
    search(store)
    store.close()  # now the saved index shows revision 2
    shutil.copy(path.with_suffix(".old"), path)
    store = SQLiteStore(path)
    assert len(search(store)) == 100
    add(store, 300, 5)  # another revision 2
    assert {id_ for id_, _ in search(store)} == {*map(str, range(100)), *map(str, range(300, 305))}
    store.close()
    store = SQLiteStore(path)
    assert len(search(store)) == 105
    store.close()


def everything(path: Path, namespaces: str = "a") -> list[list[tuple[str, float]]]:
    store = SQLiteStore(path)
    found = [search(store, namespace=namespace) for namespace in namespaces]
    store.close()
    return found


def test_a_migrated_file_does_not_take_the_indexes_of_the_one_it_replaces(
    path: Path, read: list[int]
) -> None:
    store = SQLiteStore(path)
    for start in (0, 50):  # what is added in turn is numbered anew, namespace by namespace
        for namespace in "ab":
            add(store, start, 50, namespace, seed=ord(namespace))
    store.close()
    before = everything(path, "ab")
    assert len(cache.places_of(path)) == 2
    source, target = SQLiteReplica(path), SQLiteReplica(path.with_name("new.db"))
    migrate(source, target)
    source.close()
    target.close()
    path.with_name("new.db").replace(path)
    read.clear()
    assert everything(path, "ab") == before
    assert read == [2, 2]


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_restored_memory_takes_no_index_of_before_though_the_clock_stood(
    path: Path, read: list[int], by_hand: bool
) -> None:
    copy = path.with_name("copy.db")
    store = SQLiteStore(path)
    add(store, 0, 100)
    with store._database.writing() as connection:  # as where a clock was set back since
        connection.execute("UPDATE revisions SET at = '2999-01-01T00:00:00.000000+00:00'")
    store.backup(copy)
    add(store, 100, 100)
    search(store)
    store.close()  # now the saved index shows revision 2
    if by_hand:
        shutil.copy(copy, path)
    else:
        restore(copy, path)
        assert cache.places_of(path, unfinished=True) == []
    store = SQLiteStore(path)
    add(store, 300, 100)  # another revision 2, of the same moment
    store.close()
    read.clear()
    [found] = everything(path)
    assert read == [2]
    assert {id_ for id_, _ in found} == {*map(str, range(100)), *map(str, range(300, 400))}


def test_a_file_of_before_ledgers_had_names_gets_one_and_takes_no_index(
    path: Path, read: list[int]
) -> None:
    found = fill(path)
    for _ in range(2):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM meta WHERE name = 'epoch'")
        read.clear()
        assert everything(path) == [found]
        assert read == [1]
        assert everything(path) == [found]
        assert read == [1], "the second time from what the first one saved"


def test_a_file_that_cannot_be_given_a_name_now_is_used_without_saved_indexes(
    path: Path, read: list[int]
) -> None:
    found = fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("DELETE FROM meta WHERE name = 'epoch'")
        writer.execute("BEGIN IMMEDIATE")
        read.clear()
        assert everything(path) == [found]
        assert read == [1]
        writer.execute("ROLLBACK")


def test_a_damaged_index_is_passed_over(path: Path, read: list[int]) -> None:
    found = fill(path)
    [place] = cache.places_of(path)
    content = bytearray(place.read_bytes())
    content[-9] ^= 1
    place.write_bytes(bytes(content))
    store = SQLiteStore(path)
    assert search(store) == found
    assert read == [1, 1]
    store.close()


def test_what_is_purged_leaves_the_saved_index_too(path: Path) -> None:
    fill(path)
    [place] = cache.places_of(path)
    place.with_name(f"{place.name}-{'0' * 32}").write_bytes(b"of a writer that was killed")
    store = SQLiteStore(path)
    store.purge("a", ["7"])
    assert cache.places_of(path, unfinished=True) == []
    assert "7" not in dict(search(store))
    store.close()


def test_what_was_purged_leaves_the_saved_index_with_the_next_opening_at_the_latest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStore(path)
    for namespace in "ab":
        add(store, 0, 100, namespace)
        search(store, namespace=namespace)
    store.close()
    store = SQLiteStore(path)
    with monkeypatch.context() as patch:  # as if it was killed there
        patch.setattr(type(store._database), "erase_traces", lambda _: None)
        store.purge("a", ["7"])
    store.close()
    assert len(cache.places_of(path)) == 2
    SQLiteStore(path).close()
    assert cache.places_of(path) == [cache.place_of(path, "b")]


@pytest.mark.skipif(os.name != "posix", reason="not everybody may make a link there")
def test_a_purge_finds_the_saved_index_whichever_way_the_memory_was_opened(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(path)
    for first, second in ((link, path), (path, link)):
        fill(first)
        assert cache.places_of(path) == cache.places_of(link) == [cache.place_of(link, "a")]
        beside_link = link.with_name(f"link.db-index-{'0' * 16}")  # of an earlier version
        beside_link.write_bytes(cache.place_of(path, "a").read_bytes())
        store = SQLiteStore(second)
        store.purge("a", ["7"])
        store.close()
        assert cache.places_of(path) == []
        assert beside_link.exists() == (second == path), (
            "nobody can know of it but through the link"
        )
        beside_link.unlink(missing_ok=True)
        path.unlink()


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_what_is_beside_a_memory_is_for_those_who_may_read_the_memory(
    path: Path, mode: int
) -> None:
    SQLiteStore(path).close()
    path.chmod(mode)
    fill(path)
    [place] = cache.places_of(path)
    store = SQLiteStore(path)
    copy, again = path.with_name("copy.db"), path.with_name("again.db")
    copy.touch(0o644)
    store.backup(copy)
    restore(copy, again)
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {mode}
    assert {path, place, copy, again} <= set(path.parent.iterdir())
    store.close()


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_an_index_saved_while_another_process_purges_is_deleted(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store, other = SQLiteStore(path), SQLiteStore(path)
    add(store, 0, 70)
    search(store)
    add(store, 70, 70)
    save, write, sync, doomed, written = cache.save, cache._write, cache._sync_folder, ["7"], []

    def purge(now: str) -> None:
        if doomed and now == moment:
            other.purge("a", [doomed.pop()])
            written.clear()
            if moment == "while":
                assert cache.places_of(path, unfinished=True) == [], "the unfinished one is gone"

    def saving(*arguments, **options) -> bool:
        purge("before")
        return save(*arguments, **options)

    def writing(file, array) -> None:
        purge("while")
        written.append(array)
        write(file, array)

    def syncing(folder) -> None:
        sync(folder)
        purge("after")

    # Before the search: it saves in the background, as closing does if that has not.
    monkeypatch.setattr(cache, "save", saving)
    monkeypatch.setattr(cache, "_write", writing)
    monkeypatch.setattr(cache, "_sync_folder", syncing)
    search(store)
    store._searcher._saved.settle()
    assert cache.places_of(path, unfinished=True) == []
    assert bool(written) == (moment == "while"), "what was purged is not written at all"
    store.close()
    assert not doomed
    other.close()
    assert cache.places_of(path, unfinished=True) == []


def test_reembedding_deletes_the_saved_indexes_of_all_namespaces(path: Path) -> None:
    store = SQLiteStore(path)
    for namespace in "ab":
        add(store, 0, 100, namespace)
        search(store, namespace=namespace)
    store.close()
    assert len(cache.places_of(path)) == 2
    other = path.with_name("edits.db-index-old.db")
    other.write_bytes(b"somebody's")
    store = SQLiteStore(path)
    store.reembed(lambda edits: [np.ones((1, 3), np.float32)] * len(edits), fingerprint="y")
    assert cache.places_of(path) == []
    assert other.exists()
    store.close()


def test_a_disk_that_is_full_costs_nothing_but_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    found = fill(path)
    assert cache.places_of(path) == []
    store = SQLiteStore(path)
    assert search(store) == found
    store.close()


def test_namespaces_keep_apart(path: Path) -> None:
    store = SQLiteStore(path)
    for place, namespace in enumerate(("a", "a-", "ä/..", "A")):
        add(store, 1000 * place, 100, namespace)
        search(store, namespace=namespace)
    store.close()
    store = SQLiteStore(path)
    for place, namespace in enumerate(("a", "a-", "ä/..", "A")):
        ids = {int(id_) // 1000 for id_, _ in search(store, namespace=namespace)}
        assert ids == {place}
    store.close()
