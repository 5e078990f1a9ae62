"""Names and facts to make pairs of."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lte_chains.training.pretraining.names import Corpus, Names
from lte_chains.training.scope_gate.made import PairMaker
from lte_chains.training.scope_gate.pairs import Fact
from lte_chains.training.scope_gate.relations import relations

_ENTITIES = ("Acme", "Freedonia", "Ann Lee", "Bob Ray Stone", "Carl Mann", "Globex 1999", "Sylva")
_SENTENCES = ("The river runs through the whole town", "Nobody in the town knew what to say then")


@pytest.fixture
def names() -> Names:
    return Names(Corpus(_ENTITIES, Counter(_ENTITIES), _SENTENCES), random.Random(1))


@pytest.fixture
def facts() -> list[Fact]:
    return [
        Fact("Ann Lee", "birthplace", "Oslo"),
        Fact("Ann Lee", "spouse", "Carl Mann"),
        Fact("2019 Globex Open", "director", "Bob Ray Stone"),
        Fact("Freedonia", "capital", "Sylvania", "What city is the capital of {s}?"),
    ]


@pytest.fixture
def maker(names, facts) -> PairMaker:
    return PairMaker(relations(), facts, names, random.Random(2))
