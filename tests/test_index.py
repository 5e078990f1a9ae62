"""The index ranks exactly, in a stable order, while it changes."""

from __future__ import annotations

import threading
from itertools import chain

import numpy as np
import pytest

from lte_chains.index import VectorIndex

DIMENSION = 12


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows(vectors: np.ndarray, *, first_key: int = 0) -> list[tuple[str, int, bytes]]:
    return [(f"id{key}", key, v.tobytes()) for key, v in enumerate(vectors, first_key)]


def ranking(index: VectorIndex, query: np.ndarray, first: int = 3) -> list[tuple[int, float]]:
    return list(chain.from_iterable(index.ranked(query, first=first)))


@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 500, 3000])
@pytest.mark.parametrize("first", [1, 10, 4000])
def test_it_ranks_everything_exactly(count: int, first: int) -> None:
    rng = np.random.default_rng(count)
    vectors, query = unit(rng, count), unit(rng, 1)[0]
    index = VectorIndex(DIMENSION)
    index.rebuild(1, rows(vectors))
    expected = np.argsort(-(vectors.astype(float) @ query), kind="stable").tolist()
    assert [key for key, _ in ranking(index, query, first)] == expected
    assert len(index) == count


def test_many_equal_vectors_come_in_the_order_of_their_keys() -> None:
    rng = np.random.default_rng(1)
    vectors = np.repeat(unit(rng, 3), 200, axis=0)
    index = VectorIndex(DIMENSION)
    index.rebuild(1, rows(vectors)[::-1])
    found = ranking(index, unit(rng, 1)[0], first=1)
    assert len(found) == 600
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
    assert len({score for _, score in found}) == 3


def test_updates_give_what_a_rebuild_gives() -> None:
    rng = np.random.default_rng(2)
    index, state = VectorIndex(DIMENSION), {}
    index.rebuild(1, [])
    for revision in range(2, 120):
        changes: list = []
        for id_ in {f"id{n}" for n in rng.integers(0, 300, size=20)}:
            if id_ in state and rng.random() < 0.5:
                del state[id_]
                changes.append((id_, None, None))
            else:
                key = revision * 1000 + len(changes)
                state[id_] = (key, unit(rng, 1)[0].tobytes())
                changes.append((id_, *state[id_]))
        index.update(revision, changes)
        query = unit(rng, 1)[0]
        fresh = VectorIndex(DIMENSION)
        fresh.rebuild(revision, [(id_, *row) for id_, row in state.items()])
        assert ranking(index, query) == ranking(fresh, query)
        assert (index.revision, len(index)) == (revision, len(state))


def test_an_edit_of_several_vectors_comes_once_by_the_best_of_them() -> None:
    rng = np.random.default_rng(6)
    index, state = VectorIndex(DIMENSION), {}
    index.rebuild(1, [])
    for revision in range(2, 80):
        changes: list = []
        for id_ in {f"id{n}" for n in rng.integers(0, 60, size=9)}:
            if id_ in state and rng.random() < 0.4:
                del state[id_]
                changes.append((id_, None, None))
            else:
                vectors = unit(rng, int(rng.integers(1, 6)))
                state[id_] = (revision * 1000 + len(changes), vectors)
                changes.append((id_, state[id_][0], vectors.tobytes()))
        index.update(revision, changes)
        query = unit(rng, 1)[0]
        found = ranking(index, query, first=1)
        expected = {
            k: float((v.astype(float) * query).sum(axis=1).max()) for k, v in state.values()
        }
        assert dict(found) == pytest.approx(expected)
        assert len(found) == len(state) == len(index)
        assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
        fresh = VectorIndex(DIMENSION)
        fresh.rebuild(revision, [(id_, k, v.tobytes()) for id_, (k, v) in state.items()])
        assert ranking(fresh, query) == found


@pytest.mark.parametrize("length", [0, 4, DIMENSION * 4 + 4])
def test_bytes_that_are_no_whole_vectors_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="no vectors"):
        VectorIndex(DIMENSION).rebuild(1, [("a", 1, b"x" * length)])


def test_an_edit_that_comes_back_unchanged_stays_where_it_is() -> None:
    rng = np.random.default_rng(3)
    vectors = unit(rng, 5)
    index = VectorIndex(DIMENSION)
    index.rebuild(1, rows(vectors))
    before = ranking(index, vectors[0])
    index.update(2, rows(vectors)[:2])
    assert ranking(index, vectors[0]) == before
    assert index.revision == 2


def test_a_search_under_way_sees_one_state_whatever_is_changed() -> None:
    rng = np.random.default_rng(4)
    vectors, query = unit(rng, 50), unit(rng, 1)[0]
    index = VectorIndex(DIMENSION)
    index.rebuild(1, rows(vectors))
    before = ranking(index, query, first=1)
    search = index.ranked(query, first=1)
    found = next(search)
    for revision in range(2, 52):  # every edit gets a new version, and dead rows are swept
        key = revision - 2
        index.update(revision, [(f"id{key}", 100 + key, unit(rng, 1)[0].tobytes())])
    found += chain.from_iterable(search)
    assert found == before


def test_searches_beside_updates_see_only_live_edits_with_their_own_scores() -> None:
    rng = np.random.default_rng(5)
    vectors, query = unit(rng, 4000), unit(rng, 1)[0]
    truth = (vectors.astype(float) * query).sum(axis=1)
    index = VectorIndex(DIMENSION)
    index.rebuild(1, rows(vectors[:1000]))
    stop, failures = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            found = ranking(index, query, first=5)
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
        gone = [(f"id{key - 1000 + n}", None, None) for n in range(10)]
        index.update(step + 2, [*gone, *rows(vectors[key : key + 10], first_key=key)])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(index) == 1000
