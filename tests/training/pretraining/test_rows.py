"""Rows: every kind is well formed, and what is asked for stands where it should."""

import random
from collections import Counter
from pathlib import Path

import pytest

from lte_chains.training.pretraining.names import Corpus, Names
from lte_chains.training.pretraining.rows import Row, RowMaker, read_facts
from lte_chains.training.pretraining.wording import own_wordings, read_wordings

HEADER = "[Updated Information]:"


@pytest.fixture
def maker(corpus: Corpus, data_folder: Path) -> RowMaker:
    rng = random.Random(5)
    facts = read_facts(
        data_folder / "facts.tsv", per_relation=9, counts=Counter(), exclude=frozenset()
    )
    wordings = [*own_wordings(), *read_wordings(data_folder / "rows.json")]
    return RowMaker(Names(corpus, rng), wordings, facts, rng)


def _rows(maker: RowMaker, kind: str) -> list[Row]:
    return [maker.kinds[kind]() for _ in range(100)]


@pytest.mark.parametrize("kind", ["own", "harvested", "real", "pseudo", "fact_edited"])
def test_the_answer_stands_in_an_edit_of_the_prompt(maker: RowMaker, kind: str) -> None:
    for row in _rows(maker, kind):
        before, _, question = row.user.partition("\n\n[Question]:\n")
        assert HEADER in before
        assert question
        assert row.answer.split()[0] in before


def test_the_target_edit_is_not_always_the_first(maker: RowMaker) -> None:
    rows = [row for row in _rows(maker, "real") if "\n2. " in row.user]
    first = [row for row in rows if row.answer in row.user.split("\n1. ")[1].split("\n")[0]]
    assert 0 < len(first) < len(rows)


def test_a_passage_is_asked_about_without_the_prompt(maker: RowMaker) -> None:
    for row in _rows(maker, "passage"):
        assert HEADER not in row.user
        assert row.answer in row.user


def test_a_fact_beside_irrelevant_edits_keeps_its_own_answer(maker: RowMaker) -> None:
    for row in _rows(maker, "fact_beside_edits"):
        assert HEADER in row.user
        assert row.answer in {"Paris", "Nowhere"}


def test_only_single_valued_facts_of_taught_relations_are_read(data_folder: Path) -> None:
    facts = read_facts(
        data_folder / "facts.tsv",
        per_relation=9,
        counts=Counter(),
        exclude=frozenset({"held out person"}),
    )
    assert [(fact.subject, fact.object) for fact in facts] == [("France", "Paris")]


def test_the_same_seed_makes_the_same_rows(corpus: Corpus) -> None:
    def rows() -> list[Row]:
        rng = random.Random(7)
        maker = RowMaker(Names(corpus, rng), own_wordings(), [], rng)
        return [maker.kinds["own"]() for _ in range(30)]

    assert rows() == rows()
