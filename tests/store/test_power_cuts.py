"""Disks that are full, and files as a power cut leaves them."""

from __future__ import annotations

import random
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.store import SQLiteStore
from lte_chains.store.doctor import examine

DIMENSION = 16
VECTOR = np.eye(1, DIMENSION, dtype=np.float32)


def facts(start: int, count: int, target: str = "x") -> list[Edit]:
    return [
        Edit(prompt=f"Fact {n} is", target_new=target, id=f"e{n}")
        for n in range(start, start + count)
    ]


def add(store: SQLiteStore, edits: list[Edit]) -> None:
    store.add("default", edits, [VECTOR] * len(edits), fingerprint="x")


def held(store: SQLiteStore) -> tuple[object, ...]:
    """All that a store says."""
    return (
        store.revision("default"),
        store.edits("default"),
        store.pending("default"),
        store.history("default"),
        [(e.id, score) for e, score in store.nearest("default", VECTOR[0], 9, fingerprint="x")],
    )


@contextmanager
def no_more_pages(path: Path, store: SQLiteStore) -> Iterator[None]:
    """SQLite's own limit: what it says is what it says when the disk is full."""
    connections = list(store._database._pool._idle)
    [[before]] = {tuple(c.execute("PRAGMA max_page_count").fetchone()) for c in connections}
    for connection in connections:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    yield
    for connection in connections:
        connection.execute(f"PRAGMA max_page_count = {before}")


@contextmanager
def no_longer_files(path: Path, store: SQLiteStore) -> Iterator[None]:
    """The system's limit: writing to the log fails in the middle."""
    log = path.with_name(f"{path.name}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 10_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def reembed(store: SQLiteStore) -> None:
    large = np.eye(1, 4096, dtype=np.float32)
    store.reembed(lambda edits: [large] * len(edits), fingerprint="y")


CALLS: dict[str, Callable[[SQLiteStore], object]] = {
    "a batch": lambda store: add(store, facts(100, 400)),
    "changes of what is there": lambda store: add(store, facts(0, 50, "y" * 5_000)),
    "proposals": lambda store: store.propose(
        "default", facts(500, 400), [VECTOR] * 400, fingerprint="x"
    ),
    "other vectors": reembed,
}


@pytest.mark.parametrize("limit", [no_more_pages, no_longer_files])
@pytest.mark.parametrize("name", CALLS)
def test_a_full_disk_is_an_error_that_changes_nothing(
    name: str, limit: Callable[..., Iterator[None]], tmp_path: Path
) -> None:
    path = tmp_path / "edits.db"
    store = SQLiteStore(path)
    add(store, facts(0, 50))
    before = held(store)
    with limit(path, store):
        for _ in range(2):
            with pytest.raises(StoreError, match=r"Remedy: the disk .*make room"):
                CALLS[name](store)
        assert held(store) == before
    assert examine(path) == []
    CALLS[name](store)
    if name != "other vectors":
        add(store, facts(0, 1, "once more"))
        assert held(store)[0] == before[0] + 2
    store.close()
    assert examine(path) == []


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[tuple[object, ...]]]:
    """A file, its log, and what the store said after each call that had returned."""
    path = tmp_path_factory.mktemp("torn") / "edits.db"
    store = SQLiteStore(path)
    said = [held(store)]
    for n in range(6):
        add(store, facts(10 * n, 12, f"x{n}"))
        said.append(held(store))
    store.retract("default", ["e3", "e60"])
    said.append(held(store))
    store.rollback("default", 3)
    said.append(held(store))
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    log = path.with_name("edits.db-wal").read_bytes()
    store.close()
    return copy, log, said


@pytest.mark.parametrize("rest", ["nothing", "zeros", "noise"])
@pytest.mark.parametrize("sample", range(4))
def test_a_log_that_is_cut_short_holds_the_first_calls_whole(
    torn: tuple[Path, bytes, list[tuple[object, ...]]], rest: str, sample: int, tmp_path: Path
) -> None:
    source, log, said = torn
    rng = random.Random(f"{rest} {sample}")
    frame = 24 + int.from_bytes(log[8:12])  # as the log itself says: a header and a page
    assert (len(log) - 32) % frame == 0
    borders = [32 + frame * rng.randrange((len(log) - 32) // frame + 1) for _ in range(3)]
    lengths = [rng.randrange(len(log)), *borders, *(length - 1 for length in borders)]
    if sample == 0:
        lengths += [0, 31, len(log)]
    found = set()
    for number, length in enumerate(lengths):
        path = tmp_path / f"{number}.db"
        shutil.copy(source, path)
        tail = {
            "nothing": b"",
            "zeros": bytes(len(log) - length),
            "noise": rng.randbytes(len(log) - length),
        }[rest]
        path.with_name(f"{number}.db-wal").write_bytes(log[:length] + tail)
        assert examine(path) == []
        store = SQLiteStore(path)
        state = held(store)
        assert state == said[state[0]]
        found.add(state[0])
        add(store, facts(900, 3))
        assert store.revision("default") == state[0] + 1
        store.close()
        assert examine(path) == []
    if sample == 0:
        assert found >= {0, len(said) - 1}


def open_and_read(path: Path) -> None:
    store = SQLiteStore(path)
    try:
        held(store)
    finally:
        store.close()


def test_a_file_that_is_cut_short_says_so(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    store = SQLiteStore(path)
    add(store, facts(0, 200))
    store.close()
    content = path.read_bytes()
    page = int.from_bytes(content[16:18])
    for length in (100, page, len(content) // 2, len(content) - page):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError):
            open_and_read(path)
