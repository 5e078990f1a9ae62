"""A vector store under a ledger that is searched and changed at the same time."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

from langchain_core.vectorstores import InMemoryVectorStore

from tests.fakes_llm import EDIT
from tests.integrations.test_vector_stores import Engine, facts, found, in_memory


def test_threads_may_write_and_search_at_once(tmp_path):
    with Engine(*in_memory(tmp_path), tmp_path / "edits.db").open() as memory:
        memory.add_edits([EDIT])

        def work(start):
            for n in range(start, start + 5):
                memory.add_edits(facts(1, start=n))
                assert f"shade {n}" in found(memory, f"The color of item {n} is", k=50)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, (0, 10, 20)))
        assert len(found(memory, "color", k=50)) == 16


class Meeting(InMemoryVectorStore):
    """An engine in which a search waits for a deletion, and a deletion for a search."""

    def __init__(self, embedding):
        super().__init__(embedding)
        self.searching, self.deleted, self.searched = (threading.Event() for _ in range(3))

    def similarity_search(self, *args, **kwargs):
        self.searching.set()
        self.deleted.wait(0.5)
        documents = super().similarity_search(*args, **kwargs)
        self.searched.set()
        return documents

    def delete(self, ids=None, **kwargs):
        super().delete(ids, **kwargs)
        if self.searching.is_set():
            self.deleted.set()
            self.searched.wait(0.5)


def test_search_beside_a_change_sees_the_edit_as_it_was_or_as_it_is(tmp_path):
    made = []

    def make(_, embeddings):
        made.append(Meeting(embeddings))
        return made[-1]

    with Engine(make, None, tmp_path / "edits.db").open() as memory, ThreadPoolExecutor(1) as pool:
        memory.add_edits([EDIT])
        memory._shared.store.sync("default")
        search = pool.submit(found, memory)
        assert made[0].searching.wait(10)
        memory.add_edits([dataclasses.replace(EDIT, target_new="Jo")])
        memory._shared.store.sync("default")
        assert search.result() in (["Jane Doe"], ["Jo"])
        assert found(memory) == ["Jo"]


class Overtaken(InMemoryVectorStore):
    """An engine that is slow to answer: something happens before it does."""

    happens = staticmethod(lambda: None)

    def similarity_search(self, *args, **kwargs):
        documents = super().similarity_search(*args, **kwargs)
        happens, self.happens = self.happens, lambda: None
        happens()
        return documents


def test_search_finds_what_took_the_place_of_an_edit_while_it_ran(tmp_path):
    made = []

    def make(_, embeddings):
        made.append(Overtaken(embeddings))
        return made[-1]

    engine = Engine(make, None, tmp_path / "edits.db")
    with engine.open() as memory, engine.plain() as plain:
        memory.add_edits([EDIT])
        assert found(memory) == ["Jane Doe"]
        other = dataclasses.replace(EDIT, target_new="Jo", id="e2")
        made[0].happens = lambda: plain.add_edits([other])
        assert found(memory) == ["Jo"]
