"""A text that asks several things gets the edits of each, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.embeddings import Embeddings

from lte_chains import Edit, EditMemory, EditRetriever
from lte_chains.retrieval.several_questions import questions_of, searched_texts
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

FACTS = {
    "ceo": ("The CEO of Acme is", "Jane Doe", "Acme"),
    "globex": ("The CEO of Globex is", "Omar Diaz", "Globex"),
    "capital": ("The capital of France is", "Lyon", "France"),
    "mayor": ("The mayor of Port Selwyn is", "Ines Roth", "Port Selwyn"),
}
EDITS = [
    Edit(prompt=prompt, target_new=target, subject=subject, id=name)
    for name, (prompt, target, subject) in FACTS.items()
]


@pytest.fixture(scope="module")
def retriever() -> Iterator[EditRetriever]:
    with EditMemory.open(":memory:") as memory:
        memory.add_edits(EDITS)
        yield memory.as_retriever()


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ("Who is Acme's CEO and who is Globex's CEO?", {"ceo", "globex"}),
        ("What is the capital of France and who is the CEO of Acme?", {"capital", "ceo"}),
        ("Who is the CEO of Acme? What is the capital of France?", {"capital", "ceo"}),
        ("1. What is the capital of France?\n2. Who is the CEO of Acme?", {"capital", "ceo"}),
        ("Tell me:\n- the CEO of Acme\n- the capital of France", {"capital", "ceo"}),
        ("What is the capital of France and the CEO of Acme?", {"capital", "ceo"}),
        ("Who are the CEOs of Acme and Globex?", {"ceo", "globex"}),
        ("How does the CEO of Acme compare to that of Globex?", {"ceo", "globex"}),
        ("What are the capitals of Spain, Italy and France?", {"capital"}),
        ("How tall is the Eiffel tower and where does the Seine flow?", set()),
        ("Who is the CEO of Acme and how tall is the Eiffel tower?", {"ceo"}),
    ],
)
def test_each_question_of_a_text_gets_its_edit(
    retriever: EditRetriever, text: str, edits: set[str]
) -> None:
    found = retriever.retrieve(text)
    assert {match.edit.id for match in found} == edits
    assert retriever.retrieve_batch([text, text]) == [found, found]
    explained = [one.edit.id for one in retriever.explain(text).judgements if one.used]
    assert explained == [match.edit.id for match in found]


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (
            "What are the prices of the X2 and the X3?",
            ["the price of the X2?", "the price of the X3?"],
        ),
        (
            "Who are the bosses of both Acme or Globex?",
            ["the boss of Acme?", "the boss of Globex?"],
        ),
        (
            "Compare the area of Peru and that of Chile.",
            ["the area of Peru?", "the area of Chile?"],
        ),
        ("List the cities of Peru, and Chile.", ["the city of Peru?", "the city of Chile?"]),
    ],
)
def test_a_plural_of_several_names_asks_for_each(text: str, questions: list[str]) -> None:
    assert questions_of(text) == questions
    assert searched_texts(text) == [text, *questions]


@pytest.mark.parametrize(
    "text",
    [
        "Who is the CEO of Marks and Spencer?",
        "What is the status of Acme and Globex?",
        "What are the headquarters of Acme?",
        "What are the names of those who left Acme and Globex?",
    ],
)
def test_one_thing_is_asked_for_once(text: str) -> None:
    assert questions_of(text) == [text]


def test_explain_says_of_each_question_what_gave_way_to_an_edit_in_its_own_words() -> None:
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512)) as memory:
        memory.add_edits(
            [
                Edit(prompt="Who leads Acme now?", target_new="Al", subject="Acme", id="other"),
                Edit(prompt="Who leads Acme?", target_new="Jo", subject="Acme", id="own"),
                Edit(prompt="Where is Oslo?", target_new="Spain", subject="Oslo", id="oslo"),
            ]
        )
        retriever = memory.as_retriever(gate=SimilarityGate(0.6))
        explained = retriever.explain("Who leads Acme? Where is Oslo?")
        reasons = {one.edit.id: one.reason for one in explained.judgements}
        assert "word for word" in reasons["other"]


def test_every_question_gets_its_best_edit_before_another_gets_its_second() -> None:
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512)) as memory:
        memory.add_edits(
            [
                *(
                    Edit(prompt=f"The CEO of Acme is {n}", target_new="x", id=f"acme{n}")
                    for n in range(4)
                ),
                Edit(prompt="The height of Ben Nevis in metres is", target_new="9", id="height"),
            ]
        )
        retriever = memory.as_retriever(k=2, gate=SimilarityGate(0.3), hops=0)
        asked = "Who is the CEO of Acme? What is the height of Ben Nevis?"
        found = [match.edit.id for match in retriever.retrieve(asked)]
        assert len(found) == 2
        assert found[1] == "height"


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Who runs Acme?\nWho runs Globex?", ["Who runs Acme?", "Who runs Globex?"]),
        ("Answer:\n(a) Who runs Acme?\n(b) 2+2?", ["Who runs Acme?", "2+2?"]),
        ("Hi. Who runs Acme? Where is Rome?", ["Hi. Who runs Acme?", "Where is Rome?"]),
        (
            "Tell me who runs Acme and in which city Bob lives.",
            ["Tell me who runs Acme?", "in which city Bob lives."],
        ),
    ],
)
def test_questions_are_taken_apart(text: str, questions: list[str]) -> None:
    assert questions_of(text) == questions


@pytest.mark.parametrize(
    "text",
    [
        "Who runs Acme?",
        "The CEO of Acme is",
        "Who is the man who founded Acme and who left it?",
        "What is the border between the republic of Ireland and the kingdom of Spain?",
        "Who wrote War and Peace?",
        "Who runs Acme\nand Globex?",
        "Who runs Acme?\nA. Bob\nB. Ann",
        "Who runs Acme and why?",
        "word " * 500 + "Who runs Acme? Who runs Globex?",
    ],
)
def test_what_is_one_question_stays_whole(text: str) -> None:
    assert searched_texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("Who runs Acme? How old is she?", "Who runs Acme?"),
        ("What is the capital of Peru and how big is it?", "What is the capital of Peru?"),
    ],
)
def test_a_question_that_leans_on_another_is_searched_with_it_only(text: str, alone: str) -> None:
    assert searched_texts(text) == [text, alone]


class Counting(Embeddings):
    """Counts what is embedded."""

    fingerprint = "counting"

    def __init__(self) -> None:
        self.inner = BagOfWordsEmbeddings(dim=256)
        self.batches: list[list[str]] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return self.inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.inner.embed_query(text)


def test_questions_of_a_text_are_embedded_in_one_call() -> None:
    embeddings = Counting()
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        memory.add_edits(EDITS)
        memory.instructions_about_subjects()
        retriever = memory.as_retriever(gate=SimilarityGate(0.6), hops=0)
        embeddings.batches.clear()
        retriever.retrieve_batch(["Who runs Acme? Who runs Globex?", "Where is Rome?"])
        assert [len(batch) for batch in embeddings.batches] == [4]
        embeddings.batches.clear()
        retriever.retrieve("Where is Paris?")
        assert [len(batch) for batch in embeddings.batches] in ([1], [])
