"""Offices, other times, and rules that name nobody."""

from __future__ import annotations

import re

import pytest

from lte_chains.training.scope_gate.everyday import wordings


def _many(maker, kind, count=80):
    return [maker.kinds[kind]() for _ in range(count)]


def _offices_in(text):
    """Return the offices that a text may name, by the first of their names."""
    spaced = f" {re.sub(r'[^a-z]+', ' ', text.casefold())} "
    return {
        office[0]
        for offices in wordings().offices.values()
        for office in offices
        for name in office
        if f" {re.sub(r'[^a-z]+', ' ', name.casefold())} " in spaced
    }


def test_nobody_holds_two_offices():
    for kind, offices in wordings().offices.items():
        names = [name.casefold() for office in offices for name in office]
        assert len(names) == len(set(names)), kind


def test_another_office_is_another_one_by_every_name(maker):
    for pair in _many(maker, "other_office"):
        held, asked = _offices_in(pair.edit.descriptor), _offices_in(pair.question)
        assert not held or not asked or held != asked, pair


def test_the_same_office_goes_by_any_of_its_names(maker):
    both = [
        (_offices_in(p.edit.descriptor), _offices_in(p.question)) for p in _many(maker, "office")
    ]
    assert sum(bool(held & asked) for held, asked in both) > 0.8 * len(both)


@pytest.mark.parametrize("kind", ["rule", "beside_rule", "other_rule"])
def test_rules_name_nobody_and_have_a_number(maker, kind):
    for pair in _many(maker, kind, 30):
        assert pair.edit.subject is None
        assert re.search(r"\d", pair.edit.descriptor)


def test_no_two_rules_answer_one_question():
    asked = [question for rule in wordings().rules for question in rule.inside]
    assert len(asked) == len(set(asked))
    assert not any(set(rule.inside) & set(rule.outside) for rule in wordings().rules)
