"""A question in the words of an edit's own prompt gets that edit, and no rival of the same age."""

from __future__ import annotations

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings


class _Everything:
    """A gate that holds everything in scope."""

    def judge(self, query, matches):
        return list(matches)


def _about_eteocles(prompt, target, **more):
    return Edit(prompt=prompt, target_new=target, subject="Eteocles", **more)


PARENT = _about_eteocles("Who was the male parent of Eteocles?", "Dagobert")
FATHER = _about_eteocles("Who is Eteocles's father?", "Danehill")


@pytest.fixture
def memory():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=256)) as opened:
        yield opened


def _targets(memory, query, **options):
    retriever = memory.as_retriever(gate=_Everything(), hops=0, **options)
    return {match.edit.target_new for match in retriever.retrieve(query)}


def test_the_edit_that_is_asked_for_word_for_word_stands_alone(memory):
    memory.add_edits([PARENT, FATHER])
    assert _targets(memory, "Who was the male parent of Eteocles?") == {"Dagobert"}
    assert _targets(memory, "who is Eteocles's father") == {"Danehill"}
    assert _targets(memory, "The father of Eteocles is") == {"Dagobert", "Danehill"}


def test_a_name_that_the_user_gave_is_the_subjects_too(memory):
    memory.add_edits([_about_eteocles(PARENT.prompt, "Dagobert", aliases=("King E.",)), FATHER])
    assert _targets(memory, "Who was the male parent of King E.?") == {"Dagobert"}


def test_an_edit_that_gives_the_same_answer_stays(memory):
    same = _about_eteocles("Eteocles is the child of", "dagobert")
    memory.add_edits([PARENT, FATHER, same])
    assert _targets(memory, PARENT.prompt) == {"Dagobert", "dagobert"}


def test_what_was_added_later_may_correct_it_and_stays(memory):
    memory.add_edits([PARENT])
    memory.add_edits([FATHER])
    assert _targets(memory, PARENT.prompt) == {"Dagobert", "Danehill"}
    assert _targets(memory, FATHER.prompt) == {"Danehill"}


def test_other_values_instructions_and_other_subjects_stay(memory):
    memory.add_edits(
        [
            Edit(prompt="Ann's children are", target_new="Tim", subject="Ann", relation="child"),
            Edit(prompt="A child of Ann is", target_new="Eve", subject="Ann", relation="child"),
            Edit(prompt="Ann lives in", target_new="Rome", subject="Ann"),
            Edit(prompt="Bob's children are", target_new="Max", subject="Bob"),
            Edit(subject="Ann", instruction="Speak well of her."),
        ]
    )
    found = _targets(memory, "Ann's children are", k=5)
    assert found == {"Tim", "Eve", "Max", ""}


def test_without_a_gate_the_nearest_are_taken_as_they_are(memory):
    memory.add_edits([PARENT, FATHER])
    assert len(memory.as_retriever(gate=None).retrieve(PARENT.prompt)) == 2


def test_the_reason_is_told(memory):
    memory.add_edits([PARENT, FATHER])
    explanation = memory.as_retriever(gate=_Everything(), hops=0).explain(PARENT.prompt)
    assert [(j.edit.target_new, j.used, j.reason) for j in explanation.judgements] == [
        ("Dagobert", True, "in scope"),
        ("Danehill", False, "another edit is asked for word for word"),
    ]


def test_a_match_is_as_it_was_otherwise(memory):
    memory.add_edits([PARENT, FATHER])
    [match] = memory.as_retriever(gate=_Everything(), hops=0).retrieve(PARENT.prompt)
    assert isinstance(match, EditMatch)
    assert (match.in_scope, match.hop) == (True, 0)
