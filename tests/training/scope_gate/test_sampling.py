"""Pairs are drawn in the recipe's proportions, and never about what is held out."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.training.scope_gate.held_out import HeldOut
from lte_chains.training.scope_gate.pairs import Pair, share_of
from lte_chains.training.scope_gate.rows import Group
from lte_chains.training.scope_gate.sampling import Sampler

NOTHING = HeldOut(relations=(), words=r"\bnever\b", share=0.0)
MOTHER = Group(
    Edit(prompt="The mother of Ann Lee is", target_new="Eve Roe", subject="Ann Lee"),
    (("question", "Who is Ann Lee's mother?"),),
    (("Relation_Specificity", "The father of Ann Lee is"),),
    relation="mother",
)


def _sampler(maker, weights, *, held_out=NOTHING, groups=(MOTHER,), wrong=()):
    rng = random.Random(0)
    return Sampler(maker, groups, wrong, weights=weights, held_out=held_out, rng=rng)


def test_kinds_come_in_the_proportions_of_the_weights(maker):
    sampler = _sampler(maker, {"question": 3, "made unrelated": 1})
    kinds = Counter(pair.kind for pair in islice(sampler, 800))
    assert kinds["question"] / kinds.total() == pytest.approx(0.75, abs=0.05)


def test_rows_keep_their_label(maker):
    sampler = _sampler(maker, {"question": 1, "Relation_Specificity": 1})
    for pair in islice(sampler, 50):
        assert pair.in_scope == (pair.kind == "question")


def test_a_question_is_put_beside_other_edits_of_its_subject(maker):
    for pair in islice(_sampler(maker, {"crossed": 1}), 50):
        assert pair.question == "Who is Ann Lee's mother?"
        assert "Ann Lee" in pair.edit.descriptor
        assert not pair.in_scope
        assert "mother" not in pair.edit.descriptor


def test_a_neighbour_is_an_edit_that_the_question_does_not_depend_on(maker):
    [pair] = islice(_sampler(maker, {"neighbour": 1}, wrong=[("Who runs Acme?", 0)]), 1)
    assert (pair.question, pair.in_scope) == ("Who runs Acme?", False)


def test_an_unknown_kind_is_refused(maker):
    with pytest.raises(ConfigError, match=r"\['guess'\]"):
        _sampler(maker, {"guess": 1})


def test_held_out_subjects_and_relations_are_never_drawn(maker):
    held_out = HeldOut(("mother",), r"\bmothers?\b", share=0.0, subjects=("Carl Mann",))
    weights = {"question": 1, "made paraphrase": 1, "made composed": 1}
    for pair in islice(_sampler(maker, weights, held_out=held_out), 100):
        text = f"{pair.question} {pair.edit.descriptor}"
        assert "mother" not in text.split()
        assert "Carl Mann" not in text


def test_a_share_of_the_subjects_is_held_out():
    held_out = HeldOut((), r"\bnever\b", share=0.3)
    names = [f"Subject {n}" for n in range(400)]
    out = [name for name in names if held_out.holds_subject(name)]
    assert len(out) / len(names) == pytest.approx(0.3, abs=0.07)
    edit = Edit(prompt=f"The seat of {out[0]} is in", target_new="Oslo", subject=out[0])
    assert held_out.concerns(Pair("Where?", edit, in_scope=True, kind="paraphrase"))
    assert 0 <= share_of("anything") < 1
