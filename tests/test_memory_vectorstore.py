"""EditMemory as LangChain sees it: its standard tests, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, InvalidEditError
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings


class TestStandardOnDisk(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        with EditMemory.open(tmp_path / "edits.db", embeddings=self.get_embeddings()) as memory:
            yield memory


class TestStandardInMemory(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        with EditMemory.open(":memory:", embeddings=self.get_embeddings()) as memory:
            yield memory


@pytest.mark.postgres
class TestStandardOnPostgres(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, postgres_url: str) -> Iterator[VectorStore]:
        with EditMemory.open(postgres_url, embeddings=self.get_embeddings()) as memory:
            yield memory


@pytest.fixture
def memory(anywhere: str) -> Iterator[EditMemory]:
    with EditMemory.open(anywhere, embeddings=BagOfWordsEmbeddings()) as opened:
        yield opened


def test_two_documents_of_equal_text_are_two(memory: EditMemory) -> None:
    ids = memory.add_texts(["same text", "same text"])
    assert len(set(ids)) == 2
    assert len(memory.similarity_search("same text", k=5)) == 2


def test_metadata_come_back_verbatim(memory: EditMemory) -> None:
    metadata = {"a": [1, {"b": None}], "ü": "\u2028", "x": 1.5, "t": True}
    [id_] = memory.add_texts(["text"], [metadata])
    assert memory.get_by_ids([id_]) == [Document(id=id_, page_content="text", metadata=metadata)]


def test_page_content_comes_back_verbatim(memory: EditMemory) -> None:
    text = "  two lines\n\twith {braces} and emoji 🎈  "
    memory.add_documents([Document(id="a", page_content=text)])
    assert memory.similarity_search("lines", k=1)[0].page_content == text


@pytest.mark.parametrize(
    "metadata", [{"a": (1, 2)}, {1: "x"}, {"a": float("nan")}, {"a": object()}]
)
def test_metadata_that_are_not_json_are_refused(memory: EditMemory, metadata: dict) -> None:
    with pytest.raises(InvalidEditError, match="JSON"):
        memory.add_texts(["fine", "text"], [{}, metadata])
    assert memory.revision == 0


def test_filter_by_equality_and_by_function(memory: EditMemory) -> None:
    memory.add_texts(
        [f"note {n}" for n in range(100)],
        [{"parity": n % 2, "n": n} for n in range(100)],
    )
    odd = memory.similarity_search("note", k=60, filter={"parity": 1})
    assert len(odd) == 50
    assert {document.metadata["parity"] for document in odd} == {1}
    late = memory.similarity_search("note", k=3, filter=lambda d: d.metadata["n"] >= 98)
    assert {document.metadata["n"] for document in late} == {98, 99}
    assert memory.similarity_search("note", k=3, filter={"missing": None}) == []
    with pytest.raises(ConfigError, match="filter"):
        memory.similarity_search("note", filter="parity")  # type: ignore[arg-type]


def test_scores_are_cosines_and_relevance_stays_in_the_unit_interval(memory: EditMemory) -> None:
    memory.add_texts(["red apple", "blue car"])
    [(first, best), (_, worst)] = memory.similarity_search_with_score("red apple", k=2)
    assert first.page_content == "red apple"
    assert best == pytest.approx(1.0)
    assert worst == pytest.approx(0.0)
    relevant = memory.similarity_search_with_relevance_scores("red apple", score_threshold=0.5)
    assert [document.page_content for document, _ in relevant] == ["red apple"]


def test_search_by_vector_finds_what_search_by_text_finds(memory: EditMemory) -> None:
    memory.add_texts(["red apple", "blue car", "red car"])
    vector = BagOfWordsEmbeddings().embed_query("red car")
    assert memory.similarity_search_by_vector(vector, k=3) == memory.similarity_search(
        "red car", k=3
    )


def test_marginal_relevance_prefers_what_differs(memory: EditMemory) -> None:
    memory.add_texts(["red apple", "red apple", "red pear"], ids=["a", "b", "c"])
    plain = [d.id for d in memory.similarity_search("red apple", k=2)]
    diverse = [
        d.id for d in memory.max_marginal_relevance_search("red apple", k=2, lambda_mult=0.3)
    ]
    assert plain == ["a", "b"]
    assert diverse == ["a", "c"]
    assert memory.max_marginal_relevance_search("red apple", filter={"no": 1}) == []


def test_deleting_is_retracting_and_can_be_rolled_back(memory: EditMemory) -> None:
    memory.add_texts(["one", "two"], ids=["1", "2"])
    assert memory.delete(["1", "unknown"]) is True
    assert [edit.id for edit in memory.edits()] == ["2"]
    memory.rollback(1)
    assert [edit.id for edit in memory.edits()] == ["1", "2"]
    assert memory.delete([]) is True
    assert len(memory.edits()) == 2
    memory.delete()
    assert memory.edits() == []


def test_edits_are_searched_as_documents_too(memory: EditMemory) -> None:
    memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe", id="ceo")])
    [document] = memory.similarity_search("CEO of Acme")
    assert document == Document(id="ceo", page_content="The CEO of Acme is Jane Doe", metadata={})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": ["a"], "ids": ["1", "2"]}, "ids"),
        ({"texts": ["a"], "metadatas": []}, "metadatas"),
        ({"texts": ["a"], "colour": "red"}, "colour"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    memory: EditMemory, arguments: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        memory.add_texts(**arguments)
    assert memory.revision == 0


@pytest.mark.parametrize("text", ["", "  \n", "nul\x00byte", "x" * 1_000_000, "lone \ud800"])
def test_texts_that_cannot_be_edits_are_refused_and_nothing_is_added(
    memory: EditMemory, text: str
) -> None:
    with pytest.raises(InvalidEditError):
        memory.add_texts(["fine", text])
    assert memory.edits() == []
    assert memory.revision == 0


def test_from_texts_and_from_documents(tmp_path: Path) -> None:
    embeddings = BagOfWordsEmbeddings()
    with EditMemory.from_texts(["a", "b"], embeddings, [{"n": 1}, {"n": 2}], ids=["x", "y"]) as m:
        assert [d.metadata["n"] for d in m.get_by_ids(["y", "x"])] == [2, 1]
    documents = [Document(page_content="kept", id="k"), Document(page_content="also")]
    path = tmp_path / "edits.db"
    EditMemory.from_documents(documents, embeddings, path=path).close()
    with EditMemory.open(path, embeddings=embeddings) as reopened:
        assert [d.page_content for d in reopened.get_by_ids(["k"])] == ["kept"]
        assert len(reopened.edits()) == 2


@pytest.mark.parametrize("cleanup", ["incremental", "full"])
def test_langchains_index_keeps_it_in_step_with_a_source(memory: EditMemory, cleanup: str) -> None:
    records = InMemoryRecordManager(namespace="docs")
    records.create_schema()

    def run(texts: dict[str, str]) -> dict[str, int]:
        documents = [
            Document(page_content=text, metadata={"source": source})
            for source, text in texts.items()
        ]
        return index(  # type: ignore[return-value]
            documents,
            records,
            memory,
            cleanup=cleanup,
            source_id_key="source",
            key_encoder="sha256",
        )

    def contents() -> set[str]:
        return {edit.descriptor for edit in memory.edits()}

    assert run({"a": "one", "b": "two"})["num_added"] == 2
    assert run({"a": "one", "b": "two"})["num_skipped"] == 2
    revision = memory.revision
    result = run({"a": "one, changed", "b": "two"})
    assert (result["num_added"], result["num_deleted"]) == (1, 1)
    assert contents() == {"one, changed", "two"}
    assert memory.revision == revision + 2
    if cleanup == "full":
        assert run({"a": "one, changed"})["num_deleted"] == 1
        assert contents() == {"one, changed"}
