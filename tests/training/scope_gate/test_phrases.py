"""A question becomes a description of its answer."""

from __future__ import annotations

import pytest

from lte_chains.training.scope_gate.phrases import descriptions
from lte_chains.training.scope_gate.relations import relations


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("The mother of {s} is", "the mother of {s}"),
        ("What is the name of the wife of {s}?", "the wife of {s}"),
        ("Who is {s}'s father?", "{s}'s father"),
        ("Who wrote {s}?", "the person who wrote {s}"),
        ("Where was {s} born?", "the place where {s} was born"),
        ("In what city did {s} die?", "the city in which {s} died"),
        ("Which university did {s} attend?", "the university {s} attended"),
        ("What league does {s} play in?", "the league {s} plays in"),
        ("Which company makes {s}?", "the company that makes {s}"),
        ("{s} was directed by", "the person {s} was directed by"),
        ("What constellation is {s} part of?", "the constellation {s} is part of"),
    ],
)
def test_the_usual_shapes_are_turned_around(form, expected):
    assert expected in descriptions(form, ["person"])


@pytest.mark.parametrize("form", ["What is {s}?", "{s} plays the", "Name the capital of {s}.", ""])
def test_a_shape_that_fits_no_rule_gives_nothing(form):
    assert descriptions(form, ["one"]) == ()


def test_every_description_of_our_relations_reads_as_a_noun_phrase():
    for relation in relations().values():
        for text in relation.descriptions:
            assert text.count("{s}") == 1
            assert text.startswith(("the ", "{s}'s ")), (relation.name, text)
            assert " is is " not in text
            assert "the is" not in text
