"""The index ranks exactly, in a stable order, while it changes, and at any size."""

from __future__ import annotations

import threading
from itertools import chain

import numpy as np
import pytest

from lte_chains.index import VectorIndex, sealed, vector_index

DIMENSION = 12


@pytest.fixture(params=["floats", "blocks", "kept blocks"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All kinds of rows: with small limits, a few hundred rows are in blocks of codes."""
    if request.param != "floats":
        monkeypatch.setattr(vector_index, "GROWING_ROWS", 40)
        monkeypatch.setattr(vector_index, "KEPT_ROWS", 0 if request.param == "blocks" else 500)
        monkeypatch.setattr(vector_index, "BLOCK_ROWS", 160)
        monkeypatch.setattr(sealed, "BLOCK_ROWS", 160)
    return request.param


def unit(rng: np.random.Generator, count: int, dimension: int = DIMENSION) -> np.ndarray:
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Ledger(dict):
    """The stored vectors by key, and an index that follows them."""

    def __init__(self, vectors: np.ndarray | None = None, *, dimension: int = DIMENSION) -> None:
        rows = [] if vectors is None else vectors
        super().__init__((key, vector.tobytes()) for key, vector in enumerate(rows))
        self.index = VectorIndex(dimension)
        self.index.rebuild(1, sorted(self.items()))

    def change(self, changes: dict[int, bytes | None], *, revision: int | None = None) -> None:
        for key, stored in changes.items():
            if stored is None:
                self.pop(key, None)
            else:
                self[key] = stored
        self.index.update(revision or self.index.revision + 1, sorted(changes.items()))

    def search(self, query: np.ndarray, first: int = 3):
        return self.index.ranked(query, first=first, fetch=self.fetch)

    def fetch(self, keys):
        return {key: self[key] for key in keys if key in self}

    def ranking(self, query: np.ndarray, first: int = 3) -> list[tuple[int, float]]:
        return list(chain.from_iterable(self.search(query, first)))

    def rebuilt(self) -> Ledger:
        fresh = Ledger(dimension=self.index.dimension)
        fresh.update(self)
        fresh.index.rebuild(self.index.revision, sorted(self.items()))
        return fresh


@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 500, 3000])
@pytest.mark.parametrize("first", [1, 10, 4000])
def test_it_ranks_everything_exactly(size: str, count: int, first: int) -> None:
    rng = np.random.default_rng(count)
    vectors, query = unit(rng, count), unit(rng, 1)[0]
    ledger = Ledger(vectors)
    expected = np.argsort(-(vectors.astype(float) @ query), kind="stable").tolist()
    assert [key for key, _ in ledger.ranking(query, first)] == expected
    assert len(ledger.index) == count
    assert bool(ledger.index.view.sealed) == (count > (2048 if size == "floats" else 40))


@pytest.mark.parametrize("dimension", [1, 2, 13, 384, 1536])
def test_blocks_are_exact_for_every_dimension(size: str, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    vectors, query = unit(rng, 300, dimension), unit(rng, 1, dimension)[0]
    ledger = Ledger(vectors, dimension=dimension)
    scores = (vectors.astype(float) * query).sum(axis=1)
    expected = sorted(range(300), key=lambda row: (-scores[row], row))
    assert [key for key, _ in ledger.ranking(query)] == expected


def test_the_first_portion_reads_few_vectors_of_the_ledger() -> None:
    rng = np.random.default_rng(9)
    ledger = Ledger(unit(rng, 40_000, 64), dimension=64)
    assert ledger.index.view.sealed
    read: list[int] = []

    def fetch(keys):
        read.extend(keys)
        return ledger.fetch(keys)

    query = unit(rng, 1, 64)[0]
    found = next(ledger.index.ranked(query, first=3, fetch=fetch))
    flat = np.frombuffer(b"".join(ledger.values()), np.float32).reshape(-1, 64)
    expected = np.argsort(-(flat.astype(float) * query).sum(axis=1))[: len(found)].tolist()
    assert len(found) >= 3
    assert [key for key, _ in found] == expected
    assert len(read) < 200


def test_a_vector_that_codes_hold_badly_is_still_ranked_exactly(size: str) -> None:
    rng = np.random.default_rng(10)
    vectors = unit(rng, 300)
    vectors[7] = 0.0
    vectors[8] = np.eye(DIMENSION, dtype=np.float32)[0]  # one component is all of it
    for query in (*unit(rng, 5), vectors[8], vectors[7]):
        expected = np.vecdot(vectors.astype(float), query.astype(float))
        found = Ledger(vectors).ranking(query)
        assert [score for _, score in found] == sorted(expected, reverse=True)
        assert dict(found) == dict(enumerate(expected))


def test_many_equal_vectors_come_in_the_order_of_their_keys(size: str) -> None:
    rng = np.random.default_rng(1)
    found = Ledger(np.repeat(unit(rng, 3), 200, axis=0)).ranking(unit(rng, 1)[0], first=1)
    assert len(found) == 600
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
    assert len({score for _, score in found}) == 3


def test_updates_give_what_a_rebuild_gives(size: str) -> None:
    rng = np.random.default_rng(2)
    ledger, live = Ledger(), {}
    for revision in range(2, 120):
        changes: dict[int, bytes | None] = {}
        for name in {int(n) for n in rng.integers(0, 300, size=20)}:
            gone = live.pop(name, None)
            if gone is not None:
                changes[gone] = None
            if gone is None or rng.random() < 0.5:
                live[name] = revision * 1000 + name
                changes[live[name]] = unit(rng, 1).tobytes()
        ledger.change(changes)
        query = unit(rng, 1)[0]
        assert ledger.ranking(query) == ledger.rebuilt().ranking(query)
        assert (ledger.index.revision, len(ledger.index)) == (revision, len(live))


def test_an_edit_of_several_vectors_comes_once_by_the_best_of_them(size: str) -> None:
    rng = np.random.default_rng(6)
    ledger = Ledger()
    for step in range(2, 80):
        changes: dict[int, bytes | None] = dict.fromkeys(
            key for key in ledger if rng.random() < 0.05
        )
        for place in range(9):
            vectors = unit(rng, int(rng.integers(1, 6)))
            changes[step * 1000 + place] = vectors.tobytes()
        ledger.change(changes)
        query = unit(rng, 1)[0]
        found = ledger.ranking(query, first=1)
        expected = {
            key: float(
                (np.frombuffer(stored, np.float32).reshape(-1, DIMENSION).astype(float) * query)
                .sum(axis=1)
                .max()
            )
            for key, stored in ledger.items()
        }
        assert dict(found) == pytest.approx(expected)
        assert len(found) == len(ledger) == len(ledger.index)
        assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
        assert ledger.rebuilt().ranking(query) == found


@pytest.mark.parametrize("length", [0, 4, DIMENSION * 4 + 4])
def test_bytes_that_are_no_whole_vectors_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="no vectors"):
        VectorIndex(DIMENSION).rebuild(1, [(1, b"x" * length)])
    with pytest.raises(ValueError, match="no vectors"):
        VectorIndex(DIMENSION).update(1, [(1, b"x" * length)])


@pytest.mark.parametrize("value", [None, "text", 7, 0.5])
def test_a_damaged_file_may_hold_no_bytes_at_all(value: object) -> None:
    with pytest.raises(ValueError, match="is no vector"):
        VectorIndex(DIMENSION).rebuild(1, [(1, value)])


def test_an_edit_that_comes_back_unchanged_stays_where_it_is(size: str) -> None:
    rng = np.random.default_rng(3)
    vectors = unit(rng, 50)
    ledger = Ledger(vectors)
    before = ledger.ranking(vectors[0])
    ledger.change(dict(list(ledger.items())[:2]))
    assert ledger.ranking(vectors[0]) == before
    assert (ledger.index.revision, len(ledger.index)) == (2, 50)


def test_an_update_that_is_broken_off_changes_no_search_and_is_not_built_upon(size: str) -> None:
    rng = np.random.default_rng(8)
    ledger = Ledger(unit(rng, 100))
    ledger.change({200 + n: unit(rng, 1).tobytes() for n in range(30)})
    query = unit(rng, 1)[0]
    before = ledger.ranking(query)

    def interrupted():
        for key in range(300, 600):
            yield key, unit(rng, 1).tobytes()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.index.update(3, interrupted())
    assert ledger.index.revision == 0, "it is to be built anew"
    assert ledger.ranking(query) == before
    ledger.index.rebuild(2, sorted(ledger.items()))
    assert (ledger.index.revision, ledger.ranking(query)) == (2, before)


def test_dead_rows_are_swept_and_small_blocks_joined(size: str) -> None:
    rng = np.random.default_rng(7)
    ledger = Ledger()
    for step in range(60):
        new = {step * 100 + n: unit(rng, 1).tobytes() for n in range(50)}
        old = [key for key in ledger if key < step * 100 - 250]
        ledger.change({**new, **dict.fromkeys(old)})
    view = ledger.index.view
    rows = view.growing.size + sum(len(block.keys) for block in view.sealed)
    assert len(ledger.index) == len(ledger)
    assert rows <= 2 * len(ledger)
    assert len(view.sealed) <= 2 + 2 * len(ledger) // 80


def test_a_search_under_way_sees_one_state_whatever_is_changed(size: str) -> None:
    rng = np.random.default_rng(4)
    vectors, query = unit(rng, 50), unit(rng, 1)[0]
    ledger = Ledger(vectors)
    stored = dict(ledger)
    before = ledger.ranking(query, first=1)

    def fetch(keys):
        return {key: stored[key] for key in keys}

    search = ledger.index.ranked(query, first=1, fetch=fetch)
    found = next(search)
    for key in range(50):  # every edit gets a new version, and dead rows are swept
        ledger.change({key: None, 100 + key: unit(rng, 1).tobytes()})
    found += chain.from_iterable(search)
    assert found == before


def test_searches_beside_updates_see_only_live_edits_with_their_own_scores(size: str) -> None:
    rng = np.random.default_rng(5)
    vectors, query = unit(rng, 4000), unit(rng, 1)[0]
    truth = (vectors.astype(float) * query).sum(axis=1)
    stored = {key: vector.tobytes() for key, vector in enumerate(vectors)}
    index = VectorIndex(DIMENSION)
    index.rebuild(1, list(stored.items())[:1000])
    stop, failures = threading.Event(), []

    def search() -> None:
        def fetch(keys):
            return {key: stored[key] for key in keys}

        while not stop.is_set():
            found = list(chain.from_iterable(index.ranked(query, first=5, fetch=fetch)))
            keys = [key for key, _ in found]
            if len(set(keys)) != len(keys) or any(
                abs(score - truth[key]) > 1e-6 for key, score in found
            ):
                failures.append(found)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for step in range(300):
        key = 1000 + step * 10
        changes = {
            **dict.fromkeys(range(key - 1000, key - 990)),
            **{n: stored[n] for n in range(key, key + 10)},
        }
        index.update(step + 2, sorted(changes.items()))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(index) == 1000
