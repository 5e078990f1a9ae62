"""EditRetriever: search, gate, keep the best k."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import RunnableLambda

from lte_chains.edit import Edit, EditMatch
from lte_chains.embeddings import default_embeddings
from lte_chains.errors import ConfigError, LteError
from lte_chains.memory import EditMemory
from lte_chains.retriever import CANDIDATES, EditRetriever, as_document
from lte_chains.scope import SimilarityGate
from lte_chains.scope.similarity import CALIBRATED_THRESHOLDS, UNCALIBRATED_THRESHOLD
from tests.fakes_embeddings import BagOfWordsEmbeddings

CEO = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO")
SEAT = Edit(prompt="The headquarters of Acme are in", target_new="Lisbon")
RIVER = Edit(prompt="The longest river of Freedonia is", target_new="the Sylva")


@pytest.fixture
def memory():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=256)) as opened:
        opened.add_edits([CEO, SEAT, RIVER])
        yield opened


def _targets(matches: list[EditMatch]) -> list[str]:
    return [match.edit.target_new for match in matches]


class _Everything:
    """A gate that lets everything through and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[list[EditMatch]] = []

    def judge(self, query, matches):
        self.shown.append(list(matches))
        return list(matches)


def test_edits_in_scope_come_best_first_and_the_others_not_at_all(memory):
    retriever = memory.as_retriever(k=3, gate=SimilarityGate(0.9))
    assert _targets(retriever.retrieve("The CEO of Acme is")) == ["Jane Doe"]


def test_candidates_show_what_the_gate_refused(memory):
    retriever = memory.as_retriever(k=1, gate=SimilarityGate(0.9))
    judged = retriever.candidates("The CEO of Acme is")
    assert len(judged) == 3
    assert [match.in_scope for match in judged] == [True, False, False]
    assert [match.score for match in judged] == sorted((m.score for m in judged), reverse=True)


def test_without_a_gate_the_k_nearest_come_whatever_the_question(memory):
    retriever = memory.as_retriever(k=2, gate=None)
    assert len(retriever.retrieve("zebra crossing")) == 2


def test_the_default_gate_takes_the_calibrated_threshold_of_the_embedder():
    class Known(BagOfWordsEmbeddings):
        fingerprint = "all-MiniLM-L6-v2:test"

    least = CALIBRATED_THRESHOLDS["all-MiniLM-L6-v2"]
    with EditMemory.open(":memory:", embeddings=Known()) as memory:
        memory.add_edits([CEO, SEAT, RIVER])
        judged = memory.as_retriever().candidates("The CEO of Acme is")
    assert {match.in_scope for match in judged} == {True, False}
    assert all(match.in_scope == (match.score >= least) for match in judged)


def test_the_threshold_follows_the_memory_when_it_is_embedded_anew(memory):
    class Known(BagOfWordsEmbeddings):
        fingerprint = "all-MiniLM-L6-v2:test"

    question = "The CEO and of Acme is called"
    retriever = memory.as_retriever(gate=SimilarityGate())
    score = retriever.candidates(question)[0].score
    assert CALIBRATED_THRESHOLDS["all-MiniLM-L6-v2"] <= score < UNCALIBRATED_THRESHOLD
    assert retriever.retrieve(question) == []
    memory.reembed(Known())
    assert _targets(retriever.retrieve(question))[0] == "Jane Doe"


def test_ten_candidates_are_gated_even_if_only_one_is_wanted(memory):
    memory.add_edits([Edit(prompt=f"Fact number {i} is", target_new=str(i)) for i in range(20)])
    gate = _Everything()
    assert len(memory.as_retriever(k=1, gate=gate).retrieve("Fact number 7 is")) == 1
    assert [len(shown) for shown in gate.shown] == [CANDIDATES]


def test_more_than_ten_are_gated_if_more_are_wanted(memory):
    memory.add_edits([Edit(prompt=f"Fact number {i} is", target_new=str(i)) for i in range(20)])
    assert len(memory.as_retriever(k=15, gate=None).retrieve("Fact number")) == 15


def test_a_gate_can_prefer_a_candidate_that_was_not_the_nearest(memory):
    class Reversing:
        def judge(self, query, matches):
            return [
                EditMatch(edit=m.edit, score=float(rank), in_scope=True)
                for rank, m in enumerate(matches)
            ]

    nearest = memory.as_retriever(k=1, gate=None).retrieve("The CEO of Acme is")
    chosen = memory.as_retriever(k=1, gate=Reversing()).retrieve("The CEO of Acme is")
    assert _targets(nearest) == ["Jane Doe"]
    assert _targets(chosen) != ["Jane Doe"]


def test_edits_that_say_the_same_take_one_place(memory):
    same = [Document(id=f"d{i}", page_content="Acme was sold to Globex") for i in range(30)]
    memory.add_documents(same)
    memory.add_texts(["acme was  sold to Globex."])
    found = memory.as_retriever(k=3, gate=None).retrieve("Acme was sold to Globex")
    assert len(found) == 3
    assert sum("sold" in match.edit.descriptor.casefold() for match in found) == 1


def test_the_number_of_edits_can_be_named_per_call(memory):
    retriever = memory.as_retriever(k=1, gate=None)
    assert len(retriever.retrieve("Acme", k=3)) == 3
    assert len(retriever.invoke("Acme", k=2)) == 2
    assert len(retriever.invoke("Acme")) == 1


@pytest.mark.parametrize("k", [0, -1, True, 1.5, "3"])
def test_a_k_that_is_no_positive_whole_number_is_refused(memory, k):
    with pytest.raises(ConfigError, match="k must be a whole number"):
        memory.as_retriever(k=k)
    with pytest.raises(ConfigError, match="k must be a whole number"):
        memory.as_retriever().retrieve("Acme", k=k)


@pytest.mark.parametrize("search_type", ["mmr", "similarity_score_threshold", "hybrid"])
def test_an_unsupported_search_type_fails_at_construction(memory, search_type):
    with pytest.raises(ConfigError, match=f"search_type='{search_type}' is not supported"):
        EditRetriever(vectorstore=memory, search_type=search_type)


def test_langchains_search_kwargs_are_understood(memory):
    retriever = EditRetriever(vectorstore=memory, gate=None, search_kwargs={"k": 2})
    assert len(retriever.invoke("Acme")) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"search_kwargs": {"fetch_k": 20}}, "unknown search_kwargs"),
        ({"search_kwargs": {"k": 0}}, "k must be"),
        ({"search_kwargs": {"k": 2}, "k": 3}, "differ"),
        ({"gate": 0.5}, "gate must have a judge method"),
        ({"top_k": 3}, "unknown arguments"),
    ],
)
def test_arguments_that_would_be_ignored_are_refused(memory, fields, message):
    with pytest.raises(ConfigError, match=message):
        EditRetriever(vectorstore=memory, **fields)


def test_only_an_edit_memory_can_be_searched_for_edits():
    from langchain_core.vectorstores import InMemoryVectorStore

    with pytest.raises(ConfigError, match="must be an EditMemory, not InMemoryVectorStore"):
        EditRetriever(vectorstore=InMemoryVectorStore(BagOfWordsEmbeddings()))


def test_a_metadata_filter_is_applied_in_the_search(memory):
    memory.add_texts(["Acme makes anvils"], metadatas=[{"lang": "en"}])
    retriever = memory.as_retriever(k=3, gate=None, search_kwargs={"filter": {"lang": "en"}})
    assert [d.page_content for d in retriever.invoke("Acme")] == ["Acme makes anvils"]


def test_an_edit_outside_its_validity_does_not_fire(memory):
    memory.add_edits(
        [
            Edit(
                prompt="The mayor of Springfield is",
                target_new="Quimby",
                valid_from=datetime(2030, 1, 1, tzinfo=UTC),
            )
        ]
    )
    retriever = memory.as_retriever(gate=SimilarityGate(0.9))
    question = "The mayor of Springfield is"
    assert retriever.retrieve(question) == []
    assert _targets(retriever.retrieve(question, at=datetime(2031, 1, 1, tzinfo=UTC))) == ["Quimby"]


@pytest.mark.parametrize("query", ["", "  \n"])
def test_a_blank_question_finds_nothing(memory, query):
    assert memory.as_retriever(gate=None).retrieve(query) == []


def test_an_empty_memory_finds_nothing():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings()) as empty:
        assert empty.as_retriever(gate=None).invoke("Acme") == []


def test_edits_are_added_through_the_retriever_and_found_at_once(memory):
    retriever = memory.as_retriever(gate=SimilarityGate(0.9))
    [id_] = retriever.add_edits([Edit(prompt="Acme was founded by", target_new="Wile E.")])
    assert [m.edit.id for m in retriever.retrieve("Acme was founded by")] == [id_]


async def test_edits_are_added_asynchronously(memory):
    retriever = memory.as_retriever(gate=SimilarityGate(0.9))
    [id_] = await retriever.aadd_edits([Edit(prompt="Acme was founded by", target_new="Wile E.")])
    assert [m.edit.id for m in await retriever.aretrieve("Acme was founded by")] == [id_]


def test_another_namespace_is_another_room(memory):
    retriever = memory.as_retriever(k=2, gate=None)
    other = retriever.in_namespace("tenant-b")
    other.add_edits([Edit(prompt="The CEO of Acme is", target_new="Somebody Else")])
    assert (other.k, other.memory.namespace) == (2, "tenant-b")
    assert _targets(other.retrieve("The CEO of Acme is")) == ["Somebody Else"]
    assert "Somebody Else" not in _targets(retriever.retrieve("The CEO of Acme is", k=10))


async def test_async_retrieval_gives_what_sync_retrieval_gives(memory):
    retriever = memory.as_retriever(k=2, gate=SimilarityGate(0.1))
    for query in ("The CEO of Acme is", "rivers of Freedonia", "nothing at all"):
        assert await retriever.aretrieve(query) == retriever.retrieve(query)
        assert await retriever.acandidates(query) == retriever.candidates(query)
        assert await retriever.ainvoke(query) == retriever.invoke(query)


async def test_async_queries_wait_for_the_embedder_together():
    class Meeting(Embeddings):
        """Answers a query only once a second query is waiting as well."""

        def __init__(self) -> None:
            self.inner = BagOfWordsEmbeddings()
            self.both = asyncio.Barrier(2)

        def embed_documents(self, texts):
            return self.inner.embed_documents(texts)

        def embed_query(self, text):
            raise AssertionError("the synchronous embedder was called")

        async def aembed_query(self, text):
            await self.both.wait()
            return self.inner.embed_query(text)

    embeddings = Meeting()
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        memory.add_edits([CEO])
        retriever = memory.as_retriever(gate=None)
        async with asyncio.timeout(10):
            found = await asyncio.gather(retriever.aretrieve("CEO"), retriever.ainvoke("Acme"))
    assert all(len(each) == 1 for each in found)


async def test_a_slow_gate_does_not_block_the_loop(memory):
    import time

    class Slow:
        def judge(self, query, matches):
            time.sleep(0.3)
            return list(matches)

    retriever = memory.as_retriever(gate=Slow())
    start = time.perf_counter()
    ticks = 0
    task = asyncio.create_task(retriever.aretrieve("Acme"))
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert time.perf_counter() - start >= 0.3
    assert ticks > 5


class _Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.parents: list[Any] = []

    def on_retriever_start(self, serialized, query, *, parent_run_id=None, **kwargs):
        self.events.append(("start", query))
        self.parents.append(parent_run_id)

    def on_retriever_end(self, documents, **kwargs):
        self.events.append(("end", [d.id for d in documents]))

    def on_retriever_error(self, error, **kwargs):
        self.events.append(("error", type(error)))


def test_invoke_reports_one_retriever_run_with_its_documents(memory):
    recorder = _Recorder()
    retriever = memory.as_retriever(gate=SimilarityGate(0.9))
    documents = retriever.invoke("The CEO of Acme is", config={"callbacks": [recorder]})
    assert recorder.events == [
        ("start", "The CEO of Acme is"),
        ("end", [document.id for document in documents]),
    ]


async def test_ainvoke_reports_one_retriever_run(memory):
    recorder = _Recorder()
    await memory.as_retriever().ainvoke("Acme", config={"callbacks": [recorder]})
    assert [name for name, _ in recorder.events] == ["start", "end"]


def test_a_failing_run_is_reported_as_failed(memory):
    recorder = _Recorder()
    with pytest.raises(LteError):
        memory.as_retriever().invoke("Acme", config={"callbacks": [recorder]}, k=0)
    assert [name for name, _ in recorder.events] == ["start", "error"]


def test_a_retriever_in_a_chain_runs_under_the_chain(memory):
    recorder = _Recorder()
    chain = RunnableLambda(lambda x: x["q"]) | memory.as_retriever() | len
    chain.invoke({"q": "Acme"}, config={"callbacks": [recorder]})
    assert recorder.parents[0] is not None


def test_documents_carry_the_text_that_a_model_reads_and_where_it_comes_from(memory):
    [document] = memory.as_retriever(gate=SimilarityGate(0.9)).invoke("The CEO of Acme is")
    provenance = document.metadata["lte"]
    assert document.page_content == "The CEO of Acme is Jane Doe"
    assert provenance["id"] == document.id
    assert provenance["subject"] == "Acme"
    assert provenance["score"] == pytest.approx(1.0)
    assert (provenance["in_scope"], provenance["hop"], provenance["version"]) == (True, 0, 1)


def test_a_document_keeps_the_callers_metadata_and_holds_json_values_only():
    import json

    edit = Edit(
        prompt="2 + 2 is",
        target_new="5",
        metadata={"tags": ["a", {"b": 1}]},
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )
    document = as_document(EditMatch(edit=edit, score=0.25))
    assert document.metadata["tags"] == ["a", {"b": 1}]
    assert document.metadata["lte"]["valid_from"] == "2026-01-01T00:00:00+00:00"
    assert json.loads(json.dumps(document.metadata)) == document.metadata


@pytest.fixture(scope="module")
def company():
    """A memory with the real offline embedder."""
    with EditMemory.open(":memory:", embeddings=default_embeddings()) as opened:
        opened.add_edits(
            [
                Edit(prompt="Who is the chief executive of Acme?", target_new="Jane Doe"),
                Edit(prompt="In which city is the seat of Globex?", target_new="Lisbon"),
                Edit(prompt="The longest river of Freedonia is", target_new="the Sylva"),
            ]
        )
        yield opened


@pytest.mark.parametrize(
    ("question", "target"),
    [
        ("Who is the CEO of Acme?", "Jane Doe"),
        ("Which city does Globex have its seat in?", "Lisbon"),
        ("What is Freedonia's longest river?", "the Sylva"),
    ],
)
def test_a_rephrased_question_gets_its_edit_with_the_default_gate(company, question, target):
    assert _targets(company.as_retriever().retrieve(question)) == [target]


@pytest.mark.parametrize(
    "question",
    [
        "How do I boil an egg?",
        "Who wrote Hamlet?",
        "What is the capital of France?",
        "Write a poem about rivers.",
        "def add(a, b): return",
    ],
)
def test_an_unrelated_question_gets_none_with_the_default_gate(company, question):
    assert company.as_retriever().retrieve(question) == []
