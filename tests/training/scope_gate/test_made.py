"""Pairs made from facts and wordings are what their kind says."""

from __future__ import annotations

import random

import pytest

from lte_chains.training.parallel.mentions import folded
from lte_chains.training.scope_gate.made import PairMaker
from lte_chains.training.scope_gate.relations import relations

IN_SCOPE = {"paraphrase", "follows", "inverse", "confirm", "composed", "composed_twice", "chain"}
IN_SCOPE |= {"office", "rule"}


def _many(maker: PairMaker, kind: str, count: int = 60):
    return [maker.kinds[kind]() for _ in range(count)]


@pytest.mark.parametrize("kind", sorted(IN_SCOPE))
def test_kinds_in_scope_are_labelled_so(maker, kind):
    assert all(pair.in_scope for pair in _many(maker, kind, 20))


def test_all_other_kinds_are_out_of_scope(maker):
    for kind in maker.kinds.keys() - IN_SCOPE:
        assert not any(pair.in_scope for pair in _many(maker, kind, 10)), kind


def test_no_place_is_left_unfilled(maker):
    for kind in maker.kinds:
        for pair in _many(maker, kind, 30):
            assert not any(
                mark in pair.question for mark in ("{s}", "{t}", "{np}", "{label}", "{o}", "{n}")
            ), pair
            assert "{s}" not in pair.edit.descriptor


def test_another_relation_is_asked_of_the_same_subject_slips_aside(maker):
    kept = []
    for pair in _many(maker, "other_relation"):
        if pair.edit.subject is not None and len(pair.question.split()) > 5:
            words = set(folded(pair.edit.subject).split())
            kept.append(bool(words & set(folded(pair.question).split())))
    assert sum(kept) >= 0.85 * len(kept)


def test_another_subject_is_never_the_edits_own(maker):
    for pair in _many(maker, "other_subject"):
        if pair.edit.subject is not None:
            assert folded(pair.edit.subject).strip() != folded(pair.question).strip()


def test_a_question_turned_round_is_about_the_edits_own_subject(names, facts):
    known = {name: relations()[name] for name in ("capital", "spouse")}
    maker = PairMaker(known, facts, names, random.Random(0))
    pairs = _many(maker, "turned_round")
    # Being married is the same both ways: that is never asked.
    assert not any("married" in pair.question or "spouse" in pair.question for pair in pairs)
    about = [pair for pair in pairs if pair.edit.subject == "Freedonia"]
    assert about
    assert sum("freedonia" in pair.question.lower() for pair in about) > len(about) / 2


def test_what_is_confused_with_the_edits_relation_is_asked_more_often_than_others(names, facts):
    maker = PairMaker(relations(), facts, names, random.Random(0))
    fact = next(fact for fact in facts if fact.relation == "director")
    asked = [maker._other(fact).name for _ in range(200)]
    confused = set(relations()["director"].confused)
    assert 60 < sum(name in confused for name in asked) < 140


def test_the_answer_is_not_asked_for_what_the_edit_says_turned_round(names, facts):
    known = {name: relations()[name] for name in ("mother", "child", "sport")}
    maker = PairMaker(known, facts, names, random.Random(0))
    pairs = _many(maker, "about_target", 300)
    of_mothers = [pair.question for pair in pairs if "mother of" in pair.edit.descriptor]
    assert any("athlete" in question for question in of_mothers)
    assert not any("offspring" in question for question in of_mothers)


def test_some_edits_say_something_else_as_well_which_is_not_asked_for(names, facts):
    known = {name: relations()[name] for name in ("mother", "sport", "anthem")}
    maker = PairMaker(known, facts, names, random.Random(0))
    for kind in ("paraphrase", "other_relation", "other_subject"):
        pairs = _many(maker, kind, 300)
        both = [pair for pair in pairs if _relations_told(pair.edit.statement) == 2]
        assert 5 < len(both) < 60, kind
    told = [pair for pair in _many(maker, "other_relation", 300) if "anthem" in pair.question]
    assert told
    assert not any("anthem" in pair.edit.descriptor for pair in told)


def _relations_told(statement: str | None) -> int:
    words = ("mother", "mom", "plays", "sport", "anthem")
    parts = (statement or "").replace("; ", ". ").replace(", and ", ". ").split(". ")
    return sum(any(word in part for word in words) for part in parts)


def test_a_year_has_a_sibling(names, facts):
    only = [fact for fact in facts if fact.relation == "director"]
    known = {name: relations()[name] for name in ("director", "birthplace")}
    maker = PairMaker(known, only, names, random.Random(0))
    questions = [pair.question for pair in _many(maker, "other_subject", 200)]
    assert any("Globex Open" in text and "2019" not in text for text in questions)


def test_a_chain_tells_the_first_hop_and_asks_for_the_second(maker):
    for pair in _many(maker, "chain"):
        assert " given: " in pair.question
    for pair in _many(maker, "chain_unknown"):
        assert " given: " not in pair.question


def test_the_same_seed_makes_the_same_pairs(names, facts):
    def drawn(seed):
        names._rng.seed(7)
        maker = PairMaker(relations(), facts, names, random.Random(seed))
        return [maker.kinds["paraphrase"]() for _ in range(10)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
