"""A saved index is read back as it was, or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from lte_chains.index import VectorIndex, cache, vector_index
from lte_chains.index.cache import Stamp

STAMP = Stamp("default", 3, "2026-01-01T00:00:00.000000+00:00", '{"fingerprint": "x"}', "5eed")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    monkeypatch.setattr(vector_index, "GROWING_ROWS", 40)
    monkeypatch.setattr(vector_index, "KEPT_ROWS", 0)
    vectors = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    index = VectorIndex(16)
    index.rebuild(1, [(key, row.tobytes()) for key, row in enumerate(vectors[:200])])
    index.update(2, [(key, row.tobytes()) for key, row in enumerate(vectors[200:230], 200)])
    index.update(3, [(key, None) for key in range(0, 230, 20)])
    return index


def rows(index: VectorIndex) -> dict[int, bytes]:
    keys, vectors = index._growing.alive()
    found = {int(key): row.tobytes() for key, row in zip(keys, vectors, strict=True)}
    for block in index.view.sealed:
        swept = block.swept()
        for key, row in zip(swept.keys, swept.stored_codes(), strict=True):
            found[int(key)] = row.tobytes()
    return found


def test_it_comes_back_as_it_was(index: VectorIndex, tmp_path: Path) -> None:
    place = cache.place_of(tmp_path / "edits.db", "default")
    cache.save(place, index.view, STAMP)
    assert cache.stamp_of(place) == STAMP
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    saved = cache.load(place)
    assert saved is not None
    assert (saved.stamp, saved.edits) == (STAMP, 218)
    other = VectorIndex(16)
    other.adopt(3, saved.edits, saved.blocks, saved.keys, saved.vectors)
    assert (other.revision, len(other), rows(other)) == (3, 218, rows(index))
    other.update(4, [(1, None), (900, bytes(64))])
    assert len(other) == 218


def test_an_empty_index_comes_back_too(tmp_path: Path) -> None:
    cache.save(tmp_path / "x", VectorIndex(4).view, STAMP)
    saved = cache.load(tmp_path / "x")
    assert saved is not None
    assert (saved.edits, saved.blocks, len(saved.keys)) == (0, [], 0)


def test_no_file_is_no_index(tmp_path: Path) -> None:
    assert cache.load(tmp_path / "none") is None
    assert cache.stamp_of(tmp_path / "none") is None
    assert cache.load(tmp_path) is None


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_passed_over(index: VectorIndex, tmp_path: Path, seed: int) -> None:
    place = tmp_path / "x"
    cache.save(place, index.view, STAMP)
    whole = place.read_bytes()
    rng = random.Random(seed)
    at = rng.randrange(len(whole)) if seed % 3 else rng.randrange(200)
    damaged = {
        0: whole[:at],
        1: whole + bytes(rng.randrange(1, 100)),
        2: whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :],
        3: whole[:at] + rng.randbytes(len(whole) - at),
        4: rng.randbytes(len(whole)),
        5: whole[: at // 2 * 2] + bytes(64) + whole[at // 2 * 2 + 64 :],
    }[seed % 6]
    place.write_bytes(damaged)
    loaded = cache.load(place)
    assert loaded is None or damaged == whole


def test_what_killed_writers_left_is_swept_later(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "edits.db"
    place = cache.place_of(database, "default")
    unfinished = place.with_name(f"{place.name}-{'0' * 32}")
    unfinished.write_bytes(b"half")
    cache.save(place, index.view, STAMP)
    assert unfinished.exists()  # it may have a writer
    assert cache.places_of(database) == [place]
    monkeypatch.setattr(cache, "_ABANDONED_SECONDS", -1.0)
    assert set(cache.places_of(database)) == {place, unfinished}
    cache.save(place, index.view, STAMP)
    assert cache.places_of(database) == [place]


def test_only_names_that_the_library_writes_are_its_own(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_ABANDONED_SECONDS", -1.0)
    database = tmp_path / "edits.db"
    place = cache.place_of(database, "default")
    names = ("edits.db-index-old.db", f"{place.name}.bak", f"{place.name}-mine", f"x{place.name}")
    for name in names:
        (tmp_path / name).write_bytes(b"somebody's")
    cache.save(place, index.view, STAMP)
    assert cache.places_of(database, unfinished=True) == [place]
    assert {path.name for path in tmp_path.iterdir()} == {place.name, *names}


def test_a_write_that_fails_leaves_the_earlier_file(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "x"
    cache.save(place, index.view, STAMP)
    before = place.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.save(place, index.view, STAMP)
    assert place.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
