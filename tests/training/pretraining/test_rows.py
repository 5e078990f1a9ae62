"""Rows of the base: every kind is well formed, and none shows the knowledge-editing prompt."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from lte_chains.training.pretraining.names import Corpus, Names
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import (
    Fact,
    Row,
    RowMaker,
    read_fact_forms,
    read_facts,
)
from lte_chains.training.pretraining.wording import (
    Wording,
    fact_wordings,
    own_wordings,
    read_wordings,
)

FACTS = [Fact("France", "P36", "Paris"), Fact("Japan", "P36", "Tokyo")]


def _maker(corpus: Corpus, wordings: list[Wording], seed: int = 5) -> RowMaker:
    rng = random.Random(seed)
    return RowMaker(Phrasing(Names(corpus, rng), wordings, rng), FACTS, fact_wordings(), rng)


@pytest.fixture
def maker(corpus: Corpus, data_folder: Path) -> RowMaker:
    return _maker(corpus, [*own_wordings(), *read_wordings(data_folder / "rows.json")])


def _rows(maker: RowMaker, kind: str) -> list[Row]:
    return [maker.kinds[kind]() for _ in range(100)]


def test_no_row_of_the_base_shows_the_knowledge_editing_prompt(maker: RowMaker) -> None:
    for kind in maker.kinds:
        for row in _rows(maker, kind):
            assert "Updated Information" not in row.user
            assert row.user.strip()
            assert row.answer.strip()


@pytest.mark.parametrize("kind", ["passage", "passage_of_pseudo_words"])
def test_the_answer_to_a_question_about_a_passage_stands_in_it(maker: RowMaker, kind: str) -> None:
    for row in _rows(maker, kind):
        assert row.answer in row.user


def test_a_fact_after_a_passage_on_something_else_keeps_its_answer(maker: RowMaker) -> None:
    for row in _rows(maker, "fact_beside_passage"):
        assert row.answer in {"Paris", "Tokyo"}
        assert "\n" in row.user


def test_only_single_valued_facts_of_taught_relations_are_read(data_folder: Path) -> None:
    facts = read_facts(
        data_folder / "facts.tsv",
        per_relation=9,
        counts=Counter(),
        exclude=frozenset({"held out person"}),
    )
    assert [(fact.subject, fact.object) for fact in facts] == [("France", "Paris")]


def test_facts_that_others_lead_on_to_are_taught_first(tmp_path: Path) -> None:
    lines = ["relation\tsubject\tobject", "P36\tAbbey\tSomewhere", "P36\tPeru\tLima"]
    lines += ["P27\tSomebody\tPeru"]
    (tmp_path / "facts.tsv").write_text("\n".join(lines), encoding="utf-8")
    facts = read_facts(
        tmp_path / "facts.tsv", per_relation=1, counts=Counter(), exclude=frozenset()
    )
    assert Fact("Peru", "P36", "Lima") in facts
    assert Fact("Abbey", "P36", "Somewhere") not in facts


def test_a_data_set_adds_the_forms_that_it_uses_for_one_relation_only(tmp_path: Path) -> None:
    def row(fact: Fact, form: str) -> dict[str, str]:
        prompt = form.replace("{s}", fact.subject)
        return {"subject": fact.subject, "prompt": prompt, "ground_truth": fact.object}

    facts = [*FACTS, Fact("Peru", "P36", "Lima"), Fact("Ada", "P19", "London")]
    rows = [row(fact, "{s}, whose capital is") for fact in facts[:3]]
    rows += [row(fact, "{s}, from") for fact in facts]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    forms = read_fact_forms([tmp_path / "rows.json"], facts)
    assert "{s}, whose capital is" in forms["P36"]
    assert "{s}, from" not in forms["P36"]


def test_the_same_seed_makes_the_same_rows(corpus: Corpus) -> None:
    first, second = (_maker(corpus, own_wordings(), seed=7) for _ in range(2))
    assert _rows(first, "passage") == _rows(second, "passage")
