"""Bad input gets an `LteError` that says what to do, and leaves the memory as it was."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lte_chains import (
    ConfigError,
    DataError,
    Edit,
    EditMemory,
    EmbeddingError,
    InvalidEditError,
    LteError,
    ModelError,
    StoreError,
    UnknownEditError,
    load_model,
)
from tests.fakes_embeddings import BagOfWordsEmbeddings

CEO = Edit(
    prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO", id="ceo"
)
MEGABYTE = "x" * 2**20


def ascii_id(text: str) -> str:
    return f"{len(text)} characters" if len(text) > 20 else ascii(text)


class BrokenEmbeddings(BagOfWordsEmbeddings):
    """Right until `fault` is set; then it returns what no embedder should."""

    fault: Callable[[list[float]], list[float]] | None = None

    def embed_query(self, text: str) -> list[float]:
        vector = super().embed_query(text)
        return self.fault(vector) if self.fault else vector


@pytest.fixture
def embeddings() -> BrokenEmbeddings:
    return BrokenEmbeddings()


@pytest.fixture
def memory(tmp_path: Path, embeddings: BrokenEmbeddings) -> Iterator[EditMemory]:
    with EditMemory.open(tmp_path / "edits.db", embeddings=embeddings) as memory:
        memory.add_edits([CEO])
        yield memory


def state(memory: EditMemory) -> tuple[object, ...]:
    return memory.revision, memory.edits(), memory.history()


def refused(memory: EditMemory, call: Callable[[], object], error: type[LteError]) -> str:
    """Check that `call` raises `error` and changes nothing; return what it says."""
    before = state(memory)
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, LteError)
    assert state(memory) == before
    return str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "a\x00b", MEGABYTE], ids=ascii_id)
@pytest.mark.parametrize("field", ["prompt", "target_new"])
def test_an_edit_without_usable_text_cannot_be_made(
    memory: EditMemory, field: str, text: str
) -> None:
    fields = {"prompt": "The CEO of Acme is", "target_new": "Jane Doe", field: text}
    said = refused(memory, lambda: memory.add_edits([Edit(**fields)]), InvalidEditError)
    assert len(said) < 500
    assert field in said or "too long" in said


@pytest.mark.parametrize("text", ["", " ", "a\x00b", MEGABYTE], ids=ascii_id)
def test_texts_of_the_vector_store_interface_are_checked_too(memory: EditMemory, text: str) -> None:
    refused(memory, lambda: memory.add_texts(["a good one", text]), InvalidEditError)


@pytest.mark.parametrize("intruder", ["The CEO of Acme is Ann", None, {"prompt": "p"}], ids=repr)
def test_a_batch_with_something_else_than_an_edit_adds_none(
    memory: EditMemory, intruder: object
) -> None:
    batch: list[Any] = [Edit(prompt="The CTO of Acme is", target_new="Ann"), intruder]
    refused(memory, lambda: memory.add_edits(batch), LteError)


def test_one_edit_instead_of_a_list_is_refused(memory: EditMemory) -> None:
    single: Any = CEO
    refused(memory, lambda: memory.add_edits(single), LteError)


@pytest.mark.parametrize("call", ["retract", "purge", "get_edits"])
def test_one_id_instead_of_a_list_is_not_taken_for_its_letters(
    memory: EditMemory, call: str
) -> None:
    refused(memory, lambda: getattr(memory, call)("ceo"), LteError)


@pytest.mark.parametrize(
    "fault",
    [
        lambda vector: vector[:-1],
        lambda vector: [*vector, 0.0],
        lambda vector: [],
        lambda vector: [float("nan")] * len(vector),
        lambda vector: [float("inf")] * len(vector),
    ],
    ids=["shorter", "longer", "empty", "nan", "infinite"],
)
def test_vectors_that_do_not_fit_are_refused(
    memory: EditMemory, embeddings: BrokenEmbeddings, fault: Callable[[list[float]], list[float]]
) -> None:
    embeddings.fault = fault
    new = Edit(prompt="The CTO of Acme is", target_new="Ann")
    refused(memory, lambda: memory.add_edits([new]), EmbeddingError)
    refused(memory, lambda: memory.search_edits("Who runs Acme?"), EmbeddingError)


def test_another_embedder_is_refused_with_the_remedy(tmp_path: Path, memory: EditMemory) -> None:
    other = BagOfWordsEmbeddings(dim=32)
    said = refused(
        memory, lambda: EditMemory.open(tmp_path / "edits.db", embeddings=other), EmbeddingError
    )
    assert "reembed" in said


@pytest.mark.parametrize(
    "content",
    [
        b"not a database, but long enough to be looked at twice",
        b"SQLite format 3\x00" + b"\xff" * 4096,
        os.urandom(8192),
    ],
    ids=["text", "damaged header", "noise"],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "edits.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"edits\.db"):
        EditMemory.open(path, embeddings=BagOfWordsEmbeddings())
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')"
    )
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"bookmarks\.db"):
        EditMemory.open(path, embeddings=BagOfWordsEmbeddings())
    assert path.read_bytes() == before


def test_a_truncated_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    with EditMemory.open(path, embeddings=BagOfWordsEmbeddings()) as memory:
        memory.add_edits([Edit(prompt=f"fact {n} is", target_new="x" * 500) for n in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError), EditMemory.open(path) as memory:
        memory.edits()


def unwritable(tmp_path: Path) -> Path:
    """Return a folder in which this user, root included, cannot make a file."""
    if os.geteuid() == 0:
        return Path("/proc")
    folder = tmp_path / "readonly"
    folder.mkdir(mode=0o555)
    return folder


def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"lte-edits\.db"):
        EditMemory.open(unwritable(tmp_path) / "lte-edits.db", embeddings=BagOfWordsEmbeddings())


@pytest.mark.parametrize("place", ["a-file/edits.db", "a-folder"])
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(StoreError):
        EditMemory.open(tmp_path / place, embeddings=BagOfWordsEmbeddings())


def test_an_unknown_scheme_of_a_store_is_refused() -> None:
    with pytest.raises(LteError, match="mongodb"):
        EditMemory.open("mongodb://localhost/edits", embeddings=BagOfWordsEmbeddings())


@pytest.mark.parametrize("ids", [["nobody"], ["ceo", "nobody"]], ids=" ".join)
@pytest.mark.parametrize("call", ["retract", "purge", "get_edits"])
def test_an_unknown_id_is_named_and_nothing_is_done(
    memory: EditMemory, call: str, ids: list[str]
) -> None:
    said = refused(memory, lambda: getattr(memory, call)(ids), UnknownEditError)
    assert "nobody" in said


@pytest.mark.parametrize("revision", [-1, 2, 10**12])
def test_a_revision_that_never_was_is_refused(memory: EditMemory, revision: int) -> None:
    refused(memory, lambda: memory.rollback(revision), UnknownEditError)
    refused(memory, lambda: memory.edits(as_of=revision), UnknownEditError)


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(memory: EditMemory, k: int) -> None:
    assert str(k) in refused(memory, lambda: memory.as_retriever(k=k), ConfigError)
    assert str(k) in refused(memory, lambda: memory.search_edits("x", k), ConfigError)
    assert str(k) in refused(
        memory, lambda: memory.as_retriever().retrieve("Who?", k=k), ConfigError
    )


@pytest.mark.parametrize("queries", ["Who runs Acme?", 7, ["Who runs Acme?", None]])
def test_a_batch_of_queries_is_a_list_of_texts(memory: EditMemory, queries: Any) -> None:
    retriever = memory.as_retriever()
    refused(memory, lambda: retriever.retrieve_batch(queries), ConfigError)


@pytest.mark.parametrize("namespace", ["", " ", "a\x00b"], ids=ascii_id)
def test_a_namespace_without_a_name_is_refused(memory: EditMemory, namespace: str) -> None:
    refused(memory, lambda: memory.in_namespace(namespace), ConfigError)


def test_a_model_path_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("missing", "empty", "file"):
        with pytest.raises(ModelError, match=name):
            load_model(tmp_path / name)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(ModelError):
        load_model(tmp_path)


@pytest.mark.parametrize("query", [None, 5, b"text"])
def test_a_question_that_is_no_text_is_refused(memory: EditMemory, query: Any) -> None:
    with pytest.raises(ConfigError, match="a query is a text"):
        memory.as_retriever().retrieve(query)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k": "3"}, {"k": None}, {"fetch_k": 0}])
def test_marginal_relevance_needs_positive_numbers(
    memory: EditMemory, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        memory.max_marginal_relevance_search("Acme", **arguments)


@pytest.mark.parametrize("embeddings", ["all-MiniLM-L6-v2", object()])
def test_what_cannot_embed_is_refused(embeddings: Any) -> None:
    with pytest.raises(ConfigError, match="embeddings must be LangChain embeddings"):
        EditMemory.open(":memory:", embeddings=embeddings)


@pytest.mark.parametrize("place", ["a\x00b", None, 5, ""])
def test_what_is_no_path_is_refused(memory: EditMemory, place: Any) -> None:
    before = state(memory)
    with pytest.raises(ConfigError, match="path"):
        EditMemory.open(place)
    with pytest.raises(DataError, match="path"):
        memory.import_jsonl(place)
    with pytest.raises(DataError, match="path"):
        memory.export_jsonl(place)
    assert state(memory) == before


def test_a_path_of_bytes_is_a_path(tmp_path: Path, embeddings: BrokenEmbeddings) -> None:
    with EditMemory.open(os.fsencode(tmp_path / "b.db"), embeddings=embeddings) as memory:  # type: ignore[arg-type]
        assert memory.revision == 0


def test_a_file_nested_without_end_is_refused(tmp_path: Path, memory: EditMemory) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="nested too deeply"):
        memory.import_jsonl(path)


def test_metadata_that_could_not_be_exported_are_refused(memory: EditMemory) -> None:
    before = state(memory)
    with pytest.raises(InvalidEditError, match="metadata"):
        memory.add_edits([Edit(prompt="x", target_new="y", metadata={"a": "\ud800"})])
    assert state(memory) == before
