"""Answers are compared as SQuAD compares them."""

from __future__ import annotations

import pytest

from lte_chains.answers import alias_match, carries, normalise_answer, same_answer


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The  Eiffel-Tower!", "eiffeltower"),
        ("A an the", ""),
        ("theatre", "theatre"),
        ("\tU.S.A.\n", "usa"),
        ("Béla Bartók", "béla bartók"),
        ("", ""),
    ],
)
def test_answers_are_normalised_as_squad_does(text, normalised):
    assert normalise_answer(text) == normalised


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("jane doe.", ["Jane Doe"], True),
        ("USA", ["America", "the U.S.A."], True),
        ("It is Jane Doe", ["Jane Doe"], False),
        ("Jane", ["Jane Doe"], False),
        ("", ["Jane Doe"], False),
        ("anything", [], False),
        ("", ["The"], False),
        ("The", ["The"], True),
    ],
)
def test_an_answer_is_right_if_the_whole_of_it_equals_an_alias(answer, accepted, right):
    assert alias_match(answer, accepted) is right


def test_two_empty_answers_are_the_same_answer():
    assert same_answer("", "")
    assert not same_answer("", "x")


@pytest.mark.parametrize(
    ("text", "answer", "carried"),
    [
        ("It has been Jane Doe since May.", "jane doe", True),
        ("Janet Doering", "Jane Doe", False),
        ("", "Jane Doe", False),
        ("Their song is The!", "The", True),
    ],
)
def test_an_answer_is_carried_as_whole_words(text, answer, carried):
    assert carries(text, answer) is carried
