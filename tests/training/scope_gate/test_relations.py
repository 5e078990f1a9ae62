"""What our relations are called, asked by, and confused with."""

from __future__ import annotations

import random

from lte_chains.training.scope_gate.relations import (
    ask,
    by_label,
    other_properties,
    others,
    properties_of,
    questions,
    relations,
)


def test_every_relation_has_forms_with_one_place_for_the_subject():
    for relation in relations().values():
        assert relation.forms, relation.name
        for form in (*relation.forms, *relation.follows):
            assert "{s}" in form, (relation.name, form)
        for form in relation.inverse:
            assert form.count("{t}") == 1


def test_relations_name_only_relations_that_there_are():
    known = relations()
    assert all(relation.near <= known.keys() for relation in known.values())
    assert all(relation.turned <= known.keys() for relation in known.values())
    assert set(properties_of().values()) <= known.keys()


def test_what_is_confused_with_a_relation_is_surely_another():
    known = relations()
    for relation in known.values():
        surely = {other.name for other in others(relation, known.values())}
        assert set(relation.confused) <= surely, relation.name


def test_a_relation_that_an_edit_may_bear_on_is_never_its_negative():
    known = relations()
    names = {other.name for other in others(known["country"], known.values())}
    assert "birthplace" in names
    assert not names & {"country", "citizenship", "located_in", "origin"}
    # Being near is mutual, whoever says so.
    assert "country" not in {other.name for other in others(known["language"], known.values())}


def test_properties_with_a_word_in_common_are_left_out():
    assert "country of registry" not in other_properties(relations()["country"])
    assert "blood type" in other_properties(relations()["country"])


def test_every_kind_of_answer_can_be_asked_about():
    for relation in relations().values():
        assert all("{np}" in form for form in questions().about_kind(relation.object))


def test_the_same_seed_asks_the_same():
    relation = relations()["spouse"]
    assert [ask(relation, random.Random(5)) for _ in range(3)] == [
        ask(relation, random.Random(5))
    ] * 3
    assert "blood type" in by_label("blood type", random.Random(0))
