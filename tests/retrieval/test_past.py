"""Documents that tell what once was so are sound; those that tell it as present are not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from lte_chains import Edit, EditAwareRetriever, EditMemory
from lte_chains.embeddings import default_embeddings
from lte_chains.retrieval.past import tells_past

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CEO = Edit(
    prompt="The CEO of Acme is",
    target_new="Jane Doe",
    subject="Acme",
    valid_from=date(2025, 1, 1),
    metadata={"old_values": ["Bob Roe"]},
)
PAST = [
    "In 2010 Bob Roe was CEO of Acme.",
    "From 2001 to 2019 the CEO of Acme was Bob Roe.",
    "Bob Roe was the CEO of Acme in 2010.",
    "In 2010, Acme's CEO was Bob Roe.",
    "Bob Roe was CEO of Acme between 2001 and 2019, and is now its chairman.",
    "Bob Roe (CEO of Acme, 2001–2019) is retired.",
    "Bob Roe, CEO of Acme in 2010, was popular with the staff.",
    "Bob Roe served as CEO of Acme during 2010.",
    "Bob Roe led Acme as its CEO in 2018.",
    "In 2010 Acme had a CEO by the name of Bob Roe.",
    "In the 1990s the CEO of Acme was Bob Roe.",
    "On May 3, 2010, Bob Roe was still CEO of Acme.",
    "As of 2010, the CEO of Acme was Bob Roe.",
    "The CEO of Acme was, in 2010, Bob Roe.",
    "In 2010 Bob Roe was CEO of Acme, which is in Lisbon.",
    "According to the 2025 report, Bob Roe was the CEO of Acme in 2010.",
    "A chronicle says that in May 2010 the CEO of Acme was Bob Roe.",
    "Bob Roe and Tim Lee were the CEOs of Acme in 2010, when it was small.",
    "In 2010, when Acme was small, its CEO was Bob Roe.",
    "Until 2024 the CEO of Acme was Bob Roe.",
    "Bob Roe, the former CEO of Acme, is a sailor.",
]
PRESENT = [
    "Bob Roe is the CEO of Acme.",
    "As of 2025 the CEO of Acme is Bob Roe.",
    "Bob Roe was the CEO of Acme.",
    "In 2025 Bob Roe was the CEO of Acme.",
    "From 2001 to 2025 the CEO of Acme was Bob Roe.",
    "Bob Roe has been the CEO of Acme since 2010.",
    "Since 2010, the CEO of Acme is Bob Roe.",
    "Acme was founded in 1990, and its CEO is Bob Roe.",
    "Acme, founded in 1990, is led by Bob Roe.",
    "Bob Roe leads Acme, founded in 1990, as its CEO.",
    "Bob Roe was born in 1960 and is the CEO of Acme.",
    "Bob Roe, who was born in 1960, is the CEO of Acme.",
    "Acme had 2000 employees and its CEO was Bob Roe.",
    "The CEO of Acme, which was a small firm in 1990, is Bob Roe.",
    "In 2010 Bob Roe was, and he still is, the CEO of Acme.",
    "In 2010 the CEO of Acme was Tim Lee, but now the CEO is Bob Roe.",
    "The CEO of Acme in the 2020s was Bob Roe.",
    "Acme was big in 2010; today Acme's CEO is Bob Roe.",
    "Bob Roe, CEO of Acme, said that 2010 was a good year.",
    "Acme's CEO is Bob Roe, who was at Globex from 2001 to 2019.",
]


class Fixed(BaseRetriever):
    """Returns the same documents to every query."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return list(self.documents)


def kept(edit: Edit, texts: list[str], **options: Any) -> list[str]:
    """Return those of some documents that are not dropped because of an edit."""
    with EditMemory.open(":memory:", embeddings=default_embeddings()) as memory:
        memory.add_edits([edit])
        retriever = EditAwareRetriever(
            retriever=Fixed(documents=[Document(text) for text in texts]),
            edits=memory.as_retriever(gate=None),
            stale="drop",
        )
        found = retriever.invoke(edit.prompt, **options)
        return [document.page_content for document in found[1:]]


@pytest.mark.parametrize("sentence", PAST[:-2])
def test_a_past_year_in_a_past_form_tells_the_past(sentence):
    assert tells_past(sentence, CEO, now=NOW, old_values=["Bob Roe"])


@pytest.mark.parametrize("sentence", PRESENT)
def test_other_sentences_do_not(sentence):
    assert not tells_past(sentence, CEO, now=NOW, old_values=["Bob Roe"])


def test_documents_of_the_past_stay_and_those_of_the_present_are_dropped():
    assert kept(CEO, [*PAST, *PRESENT]) == PAST


def test_so_it_is_where_no_old_value_is_known():
    unknown = Edit(prompt=CEO.prompt, target_new="Jane Doe", subject="Acme")
    assert kept(unknown, PAST) == PAST
    stale = ["Bob Roe is the CEO of Acme.", "Bob Roe was the CEO of Acme."]
    assert kept(unknown, stale) == []


def test_the_year_is_compared_with_the_moment_that_the_edit_holds_from():
    undated = Edit(prompt=CEO.prompt, target_new="Jane Doe", subject="Acme", metadata=CEO.metadata)
    text = "In 2010 Bob Roe was CEO of Acme."
    assert kept(undated, [text]) == [text]
    assert kept(undated, [text], at=date(2010, 6, 1)) == []
    early = Edit(prompt=CEO.prompt, target_new="Jane Doe", subject="Acme",
                 valid_from=date(2005, 1, 1), metadata=CEO.metadata)  # fmt: skip
    assert kept(early, [text]) == []


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (Edit(prompt="Acme was founded in", target_new="1990"), "Acme was founded in 1985."),
        (Edit(prompt="Jo was born in", target_new="Lisbon"), "Jo was born in 1960 in Porto."),
        (
            Edit(prompt="The host of the 2012 Games is", target_new="Paris"),
            "The host of the Games was London in 2012.",
        ),
        (
            Edit.from_statement("Acme moved to Lisbon in 2020.", subject="Acme"),
            "Acme was moved to Madrid in 2020.",
        ),
    ],
)
def test_an_edit_about_the_past_is_contradicted_by_the_past(edit, sentence):
    assert not tells_past(sentence, edit, now=NOW)


@pytest.mark.parametrize(
    "sentence",
    [
        "In 2020 the population of Acme Bay was 2,100,000.",
        "The population of Acme Bay was 2,100,000 in 2020.",
    ],
)
def test_figures_of_past_years_are_no_present_ones(sentence):
    edit = Edit(prompt="The population of Acme Bay is", target_new="3 million", subject="Acme Bay")
    assert tells_past(sentence, edit, now=NOW)
    assert not tells_past("The population of Acme Bay is 2,100,000.", edit, now=NOW)
