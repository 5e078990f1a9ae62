"""Real LangChain vector stores under the same ledger."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import pytest
from langchain_core.vectorstores import InMemoryVectorStore

from lte_chains import Edit, EditMemory
from lte_chains.errors import ConfigError, EmbeddingError, StoreError, UnknownEditError
from lte_chains.integrations.vector_stores import VectorStoreBridge
from lte_chains.integrations.vector_stores.carrier import VectorCarrier
from lte_chains.wordings import wordings
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.fakes_llm import EDIT, QUESTION

DIM = 512


def chroma(folder: Path) -> tuple[Any, Any]:
    from langchain_chroma import Chroma

    def make(_, embeddings):
        return Chroma("edits", embedding_function=embeddings, persist_directory=str(folder))

    return make, lambda namespace: {"filter": {"lte_namespace": namespace}}


def faiss_community(folder: Path) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its farewell
        from langchain_community.docstore.in_memory import InMemoryDocstore
        from langchain_community.vectorstores import FAISS

    made: dict[str, Any] = {}

    def make(namespace, embeddings):
        index = faiss.IndexFlatIP(len(embeddings.embed_query("any")))
        return made.setdefault(namespace, FAISS(embeddings, index, InMemoryDocstore(), {}))

    return make, None


def qdrant(folder: Path) -> tuple[Any, Any]:
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")

    def make(_, embeddings):
        if not client.collection_exists("edits"):
            size = len(embeddings.embed_query("any"))
            params = models.VectorParams(size=size, distance=models.Distance.COSINE)
            client.create_collection("edits", vectors_config=params)
        return QdrantVectorStore(client, "edits", embedding=embeddings)

    def where(namespace):
        match = models.MatchValue(value=namespace)
        condition = models.FieldCondition(key="metadata.lte_namespace", match=match)
        return {"filter": models.Filter(must=[condition])}

    return make, where


def in_memory(folder: Path) -> tuple[Any, Any]:
    shared: list[InMemoryVectorStore] = []

    def make(_, embeddings):
        if not shared:
            shared.append(InMemoryVectorStore(embeddings))
        shared[0].embedding = embeddings  # each namespace brings its own
        return shared[0]

    return make, None  # so that what leaves the engine is dropped by the bridge


@dataclass
class Engine:
    make: Any
    where: Any
    path: Path

    def open(self, namespace: str = "default") -> EditMemory:
        store = VectorStoreBridge(self.path, self.make, where=self.where)
        return EditMemory(store, embeddings=BagOfWordsEmbeddings(dim=DIM), namespace=namespace)

    def plain(self) -> EditMemory:
        """The same ledger with the built-in index."""
        return EditMemory.open(self.path, embeddings=BagOfWordsEmbeddings(dim=DIM))

    def held(self) -> set[str]:
        """The ids of all edits that the engine itself holds."""
        return {metadata["lte_id"] for metadata in self._metadata()}

    def documents(self, id_: str) -> list[dict[str, Any]]:
        """What the engine itself holds of an edit."""
        return [metadata for metadata in self._metadata() if metadata["lte_id"] == id_]

    def _metadata(self) -> list[dict[str, Any]]:
        found = self.make("default", VectorCarrier(DIM)).similarity_search("anything", k=200)
        return [d.metadata for d in found if d.metadata["lte_namespace"] == "default"]


ENGINES: list[Callable[[Path], tuple[Any, Any]]] = [chroma, faiss_community, qdrant, in_memory]


@pytest.fixture(params=ENGINES, ids=lambda make: make.__name__)
def engine(request, tmp_path):
    return Engine(*request.param(tmp_path / "engine"), tmp_path / "edits.db")


def found(memory: EditMemory, query: str = QUESTION, **kwargs: Any) -> list[str]:
    return [match.edit.target_new for match in memory.search_edits(query, **kwargs)]


def facts(count: int, start: int = 0) -> list[Edit]:
    return [
        Edit(prompt=f"The color of item {n} is", target_new=f"shade {n}", id=f"f{n}")
        for n in range(start, start + count)
    ]


def test_engine_finds_what_the_builtin_index_finds(engine):
    with engine.open() as memory, engine.plain() as plain:
        memory.add_edits([EDIT, *facts(30)])
        for query in (QUESTION, "The color of item 7 is", "item 21"):
            expected, got = plain.search_edits(query, 5), memory.search_edits(query, 5)
            assert [m.score for m in got] == pytest.approx([m.score for m in expected], abs=1e-6)
            best = {m.edit.id for m in expected if m.score > expected[-1].score}
            assert best <= {m.edit.id for m in got}


def test_edit_lives_through_supersede_retract_and_rollback(engine):
    with engine.open() as memory:
        memory.add_edits([EDIT])
        assert found(memory) == ["Jane Doe"]
        memory.add_edits(
            [Edit(prompt=EDIT.prompt, target_new="Jo", subject="Acme", relation="CEO")]
        )
        assert found(memory) == ["Jo"]
        memory.retract([memory.edits()[0].id])
        assert found(memory) == []
        memory.rollback(1)
        assert found(memory) == ["Jane Doe"]
        memory.purge(["e1"])
        assert engine.held() == set()
        assert found(memory) == []


def test_engine_that_was_away_ends_with_every_edit_and_no_more(engine):
    with engine.open() as memory:
        memory.add_edits(facts(12))
        assert len(found(memory, k=20)) == 12
    with engine.plain() as elsewhere:
        elsewhere.retract(["f0", "f1", "f2"])
        elsewhere.add_edits([*facts(2, start=50), Edit(prompt="New", target_new="text", id="f3")])
        elsewhere.rollback(elsewhere.revision)
        expected = {edit.id for edit in elsewhere.edits()}
    with engine.open() as memory:
        assert {m.edit.id for m in memory.search_edits("color", 50)} == expected
        assert engine.held() == expected
        assert found(memory, "New", k=1) == ["text"]


def test_an_engine_that_shows_what_a_restore_has_undone_is_an_error(engine, tmp_path):
    with engine.open() as memory:
        memory.add_edits(facts(1))
        memory.backup(tmp_path / "backup.db")
        memory.add_edits(facts(1, start=1))
        assert len(found(memory)) == 2
        EditMemory.restore(tmp_path / "backup.db", engine.path)
        memory.add_edits(facts(1, start=2))  # of the number that the engine shows
        with pytest.raises(StoreError, match="later state"):
            found(memory)


def test_an_engine_that_has_lost_rows_is_filled_anew(engine):
    with engine.open() as memory:
        memory.add_edits(facts(5))
        assert len(found(memory, k=9)) == 5
        store = memory._shared.store
        own = store._engine("default", store.space())
        own.store.delete([own._key("f1"), own._key("f2"), own._key("f2", 1)])
        store.sync("default", anew=True)
        assert len(found(memory, k=9)) == 5
        assert len(engine.documents("f2")) == 2


def test_saved_engine_is_taken_up_where_it_was_left(engine, monkeypatch):
    with engine.open() as memory:
        memory.add_edits([EDIT, *facts(3)])
        found(memory)
    written = []
    with engine.open() as memory:
        store = memory._shared.store
        original = store._bring
        monkeypatch.setattr(
            store, "_bring", lambda e, ids, anew: (written.extend(ids), original(e, ids, anew=anew))
        )
        assert found(memory, k=1) == ["Jane Doe"]
        assert written == []
        memory.add_edits(facts(1, start=9))
        assert found(memory, "The color of item 9 is", k=1) == ["shade 9"]
        assert written == ["f9"]


def test_namespaces_do_not_see_each_other(engine):
    with engine.open() as memory:
        other = memory.in_namespace("other")
        memory.add_edits([EDIT])
        other.add_edits(facts(40))
        assert found(memory, "The color of item 7 is") == ["Jane Doe"]
        assert found(memory.in_namespace("empty")) == []
        assert "Jane Doe" not in found(other, k=50)
        assert len(found(other, "item", k=50)) == 40
        with pytest.raises(UnknownEditError):
            other.purge(["e1"])


def test_validity_and_filter_do_not_cost_results(engine):
    with engine.open() as memory:
        memory.add_edits(
            [
                Edit(
                    prompt=f"The color of item {n} is",
                    target_new=f"shade {n}",
                    valid_until=datetime(2020, 1, 1, tzinfo=UTC) if n < 20 else None,
                    metadata={"even": n % 2 == 0},
                )
                for n in range(25)
            ]
        )
        assert len(found(memory, "The color of item 3 is", k=5)) == 5
        assert set(found(memory, "item 3", k=5, filter={"even": True})) == {
            f"shade {n}" for n in (20, 22, 24)
        }
        assert len(found(memory, "item 3", k=25, at=datetime(2019, 1, 1, tzinfo=UTC))) == 25


def test_edit_is_found_by_each_of_its_wordings_and_once(engine):
    named = dataclasses.replace(EDIT, aliases=("Umbrella Works", "Hudsucker"))
    with engine.open() as memory:
        memory.add_edits([named, *facts(5)])
        for name in ("Acme", "Umbrella Works", "Hudsucker"):
            hits = memory.search_edits(f"The CEO of {name} is", 6)
            assert (hits[0].edit.id, hits[0].score) == ("e1", pytest.approx(1.0, abs=1e-6))
            assert len({hit.edit.id for hit in hits}) == len(hits) == 6
        assert len(engine.documents("e1")) == len(
            memory._shared.store.wordings("default", ["e1"])["e1"]
        )
        memory.add_edits([EDIT])  # without its other names
        assert memory.search_edits("The CEO of Hudsucker is", 6)[0].score < 0.99
        assert len(engine.documents("e1")) == len(
            memory._shared.store.wordings("default", ["e1"])["e1"]
        )


def test_engine_holds_no_text(engine):
    secret = Edit(prompt="The code of the vault is", target_new="swordfish", subject="vault")
    with engine.open() as memory:
        memory.add_edits([secret])
        assert found(memory, "vault code", k=1) == ["swordfish"]
        documents = memory._shared.store._engines["default"].store.similarity_search("any", k=10)
        assert documents
        assert not any("swordfish" in repr(document) for document in documents)


def test_another_engine_or_a_lost_one_is_filled_again(tmp_path):
    path = tmp_path / "edits.db"
    for make in (in_memory, faiss_community, in_memory):
        with Engine(*make(tmp_path), path).open() as memory:
            memory.add_edits([EDIT])
            assert found(memory) == ["Jane Doe"]


def test_reembedded_memory_refills_the_engine(tmp_path):
    engines = []

    def make(namespace, embeddings):
        engines.append(InMemoryVectorStore(embeddings))
        return engines[-1]

    store = VectorStoreBridge(tmp_path / "edits.db", make)
    with EditMemory(store, embeddings=BagOfWordsEmbeddings(dim=64)) as memory:
        memory.add_edits([EDIT, *facts(3)])
        assert found(memory, k=1) == ["Jane Doe"]
        memory.reembed(BagOfWordsEmbeddings(dim=DIM))
        assert found(memory, k=1) == ["Jane Doe"]
        assert len(found(memory, k=9)) == 4
        assert len(engines) == 2
        with pytest.raises(EmbeddingError):
            memory.search_edits_by_vector([1.0] * 64)


def test_ledger_of_another_memory_is_refused(tmp_path):
    make, where = chroma(tmp_path / "engine")
    with Engine(make, where, tmp_path / "one.db").open() as memory:
        memory.add_edits([EDIT])
        found(memory)
    with Engine(make, where, tmp_path / "two.db").open() as memory:
        memory.add_edits(facts(1))
        with pytest.raises(StoreError, match="another ledger"):
            found(memory)


class Remembering(InMemoryVectorStore):
    """An engine without `get_by_ids`, which LangChain does not demand."""

    def get_by_ids(self, ids, /):
        raise NotImplementedError


def test_engine_that_cannot_read_by_id_is_filled_by_each_process(tmp_path):
    engine = Engine(lambda _, given: Remembering(given), None, tmp_path / "edits.db")
    for expected in (["Jane Doe"], ["Jo"]):
        with engine.open() as memory:
            memory.add_edits(
                [Edit(prompt=EDIT.prompt, target_new=expected[0], subject="Acme", relation="CEO")]
            )
            assert found(memory) == found(memory) == expected


@pytest.mark.parametrize("process", ["the same", "a later one"])
def test_engine_that_cannot_read_by_id_keeps_no_wording_that_is_gone(process, tmp_path):
    held = Remembering(VectorCarrier(DIM))

    def make(_, embeddings):
        held.embedding = embeddings
        return held

    engine = Engine(make, None, tmp_path / "edits.db")
    memory = engine.open()
    memory.add_edits([dataclasses.replace(EDIT, aliases=("Umbrella Works", "Hudsucker"))])
    assert found(memory) == ["Jane Doe"]
    assert len(held.store) > len(wordings(EDIT))
    if process == "a later one":
        memory.close()
        memory = engine.open()
    memory.add_edits([EDIT])
    assert found(memory) == ["Jane Doe"]
    assert len(held.store) == len(wordings(EDIT))
    if process == "a later one":
        memory.close()
        memory = engine.open()
    memory.purge(["e1"])
    assert held.store == {}
    memory.close()


class Broken(InMemoryVectorStore):
    def similarity_search(self, *_, **__):
        raise RuntimeError("no route to host")


def test_failing_engine_is_told_and_the_ledger_is_whole(tmp_path):
    engine = Engine(lambda _, given: Broken(given), None, tmp_path / "edits.db")
    with engine.open() as memory:
        memory.add_edits([EDIT])
        with pytest.raises(StoreError, match="no route to host"):
            found(memory)
        assert [edit.target_new for edit in memory.edits()] == ["Jane Doe"]


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="make_engine"):
        VectorStoreBridge(tmp_path / "a.db", "chroma")
    with pytest.raises(ConfigError, match="where"):
        VectorStoreBridge(tmp_path / "a.db", in_memory(tmp_path)[0], where={"filter": {}})
    with Engine(lambda *_: "engine", None, tmp_path / "b.db").open() as memory:
        memory.add_edits([EDIT])
        with pytest.raises(ConfigError, match="must return a VectorStore"):
            found(memory)
