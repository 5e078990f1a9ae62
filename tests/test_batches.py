"""Many questions at once are embedded at once and judged at once, with the answers of each alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.embeddings import Embeddings

from lte_chains import Edit, EditableLLM, EditMemory
from lte_chains.edit import EditMatch
from lte_chains.embeddings import Embedder
from lte_chains.retrieval.hops import HopRules
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.fakes_llm import RecordingModel

QUESTIONS = [f"Who is the head of company {n} ?" for n in range(12)]


class Counting(Embeddings):
    """Counts its calls; the queries of an asymmetric one have a word more."""

    fingerprint = "counting"

    def __init__(self, *, asymmetric: bool = False) -> None:
        self.inner = BagOfWordsEmbeddings(dim=256)
        self.asymmetric = asymmetric
        self.batches: list[list[str]] = []
        self.queries: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return self.inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        self.queries.append(text)
        return self.inner.embed_query(f"query: {text}" if self.asymmetric else text)


class CountingGate:
    """A gate that can judge many questions at once."""

    def __init__(self) -> None:
        self.gate = SimilarityGate(0.95)
        self.calls: list[int] = []

    def judge(self, query: str, matches: list[EditMatch]) -> list[EditMatch]:
        return self.judge_batch([query], [matches])[0]

    def judge_batch(
        self, queries: list[str], matches: list[list[EditMatch]]
    ) -> list[list[EditMatch]]:
        self.calls.append(len(queries))
        return [self.gate.judge(q, own) for q, own in zip(queries, matches, strict=True)]


@pytest.fixture
def embeddings() -> Counting:
    return Counting()


@pytest.fixture
def memory(embeddings: Counting) -> Iterator[EditMemory]:
    with EditMemory.open(":memory:", embeddings=embeddings) as opened:
        opened.add_edits(
            Edit(
                prompt=f"The head of company {n} is",
                target_new=f"Person {n}",
                subject=f"company {n}",
                relation="head",
            )
            for n in range(0, 12, 2)
        )
        opened.add_edits(
            [
                Edit(prompt="Person 4 lives in", target_new="Lisbon", subject="Person 4"),
                Edit(prompt="The mayor of Lisbon is", target_new="Ann", subject="Lisbon"),
            ]
        )
        opened.instructions_about_subjects()  # asks the embedder once for every memory
        embeddings.batches.clear()
        yield opened


@pytest.mark.parametrize("hops", [0, 3])
def test_a_batch_finds_what_single_queries_find(memory: EditMemory, hops: int) -> None:
    rules = HopRules(asked=0.4, perhaps=0.3)
    retriever = memory.as_retriever(k=4, hops=hops, hop_rules=rules, gate=SimilarityGate(0.6))
    questions = [*QUESTIONS, "Who is the mayor of where the head of company 4 lives in ?", " "]
    together = retriever.retrieve_batch(questions)
    assert together == [retriever.retrieve(question) for question in questions]
    assert any(match.hop for matches in together for match in matches) == bool(hops)


async def test_the_asynchronous_batch_finds_the_same(memory: EditMemory) -> None:
    retriever = memory.as_retriever(gate=SimilarityGate(0.6))
    assert await retriever.aretrieve_batch(QUESTIONS) == retriever.retrieve_batch(QUESTIONS)
    assert retriever.retrieve_batch([]) == await retriever.aretrieve_batch([]) == []


def test_a_batch_is_embedded_once_and_judged_once(memory: EditMemory, embeddings: Counting) -> None:
    gate = CountingGate()
    memory.as_retriever(hops=0, gate=gate).retrieve_batch([*QUESTIONS, QUESTIONS[0]])
    assert embeddings.batches == [QUESTIONS]
    assert len(embeddings.queries) == 1  # shows once that queries are texts like others
    assert gate.calls == [13]


async def test_a_model_embeds_and_judges_the_whole_batch(
    memory: EditMemory, embeddings: Counting
) -> None:
    gate = CountingGate()
    llm = EditableLLM(llm=RecordingModel(), retriever=memory.as_retriever(hops=0, gate=gate))
    answers = await llm.abatch(QUESTIONS)
    assert [len(batch) for batch in embeddings.batches] == [12]
    assert gate.calls == [12]
    used = [answer.response_metadata["lte"]["edits"] for answer in answers]
    assert [answer.response_metadata["lte"]["edits"] for answer in llm.batch(QUESTIONS)] == used
    assert embeddings.batches == [QUESTIONS]  # what repeats is not embedded again


def test_one_bad_input_does_not_spoil_the_others(memory: EditMemory) -> None:
    llm = EditableLLM(llm=RecordingModel(), retriever=memory.as_retriever())
    configs = [{"configurable": {"lte_at": at}} for at in ("2026-01-01", "soon", "2026-01-01")]
    answers = llm.batch(QUESTIONS[:3], configs, return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]


def test_a_repeated_query_is_not_embedded_again(memory: EditMemory, embeddings: Counting) -> None:
    for _ in range(3):
        memory.search_edits(QUESTIONS[0])
    assert embeddings.queries == [QUESTIONS[0]]


async def test_nothing_is_embedded_where_there_is_nothing_to_find(
    memory: EditMemory, embeddings: Counting
) -> None:
    retriever = memory.in_namespace("another").as_retriever()
    question = "In which city was the person born who is the head of Initech?"
    assert retriever.retrieve(question) == await retriever.aretrieve(question) == []
    assert retriever.explain(question).judgements == ()
    assert (embeddings.queries, embeddings.batches) == ([], [])


def test_names_that_hops_may_begin_at_are_embedded_with_a_long_question(
    memory: EditMemory, embeddings: Counting
) -> None:
    question = "In which city was the person born who is the head of Initech?"
    other = question.replace("Initech", "Hooli")
    retriever = memory.as_retriever(gate=SimilarityGate(threshold=0.999))
    retriever.retrieve(question)
    embeddings.batches.clear()
    embeddings.queries.clear()
    retriever.retrieve(other)
    assert embeddings.queries == []
    assert embeddings.batches == [[other, "Hooli"]]


def test_an_embedder_that_treats_queries_otherwise_gets_them_one_by_one() -> None:
    embeddings = Counting(asymmetric=True)
    embedder = Embedder(embeddings)
    together = embedder.queries(QUESTIONS)
    alone = [Embedder(embeddings).query(question) for question in QUESTIONS]
    assert [row.tolist() for row in together] == [row.tolist() for row in alone]
    embeddings.batches.clear()
    embedder.queries([f"{question} please" for question in QUESTIONS])
    assert embeddings.batches == []


async def test_the_asynchronous_twin_does_the_same() -> None:
    for asymmetric in (False, True):
        embeddings = Counting(asymmetric=asymmetric)
        one, other = Embedder(embeddings), Embedder(embeddings)
        assert (await one.aqueries(QUESTIONS)).tolist() == other.queries(QUESTIONS).tolist()
        assert (await one.atexts(QUESTIONS)).tolist() == other.texts(QUESTIONS).tolist()


def test_texts_are_embedded_in_the_order_of_their_length_and_keep_their_places() -> None:
    embeddings = Counting()
    embedder = Embedder(embeddings)
    edits = [Edit.from_statement("word " * n + "end.") for n in (5, 1, 3)]
    vectors = embedder.edits(edits, batch_size=2)
    assert [len(text) for batch in embeddings.batches for text in batch] == [9, 19, 29]
    for edit, own in zip(edits, vectors, strict=True):
        assert own.tolist() == [Embedder(embeddings).query(edit.descriptor).tolist()]
