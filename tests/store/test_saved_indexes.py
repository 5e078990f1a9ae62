"""A large memory opens from a saved index, and never from a wrong one."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.index import cache, vector_index
from lte_chains.store import SQLiteStore, saved_indexes

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


def test_an_index_saved_while_another_process_purges_is_deleted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = SQLiteStore(path), SQLiteStore(path)
    add(store, 0, 70)
    search(store)
    add(store, 70, 70)
    save, doomed = cache.save, ["7"]

    def slow(place, view, stamp) -> None:
        if doomed:
            other.purge("a", [doomed.pop()])
        save(place, view, stamp)

    # Before the search: it saves in the background, as closing does if that has not.
    monkeypatch.setattr(cache, "save", slow)
    search(store)
    store.close()
    assert not doomed
    other.close()
    assert cache.places_of(path) == []


def test_reembedding_deletes_the_saved_indexes_of_all_namespaces(path: Path) -> None:
    store = SQLiteStore(path)
    for namespace in "ab":
        add(store, 0, 100, namespace)
        search(store, namespace=namespace)
    store.close()
    assert len(cache.places_of(path)) == 2
    store = SQLiteStore(path)
    store.reembed(lambda edits: [np.ones((1, 3), np.float32)] * len(edits), fingerprint="y")
    assert cache.places_of(path) == []
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
