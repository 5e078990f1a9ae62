"""Scores become probabilities, with and without the cosine."""

from __future__ import annotations

import pytest

from lte_chains.edit import Edit
from lte_chains.scope.cross_encoder import SHIPPED
from lte_chains.scope.network import load
from lte_chains.scope.pairs import PairEncoder
from lte_chains.training.scope_gate.deciding import Scored, scored
from lte_chains.training.scope_gate.near_misses import halves, measure, passed
from lte_chains.training.scope_gate.pairs import Fact, Pair
from tests.fakes_embeddings import BagOfWordsEmbeddings

ACME = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")


@pytest.fixture(scope="module")
def gate():
    return load(SHIPPED / "model.safetensors"), PairEncoder(SHIPPED / "vocab.txt")


def _pairs(count):
    return [Pair("Who runs Acme?", ACME, n % 2 == 0, "paraphrase") for n in range(count)]


def test_pairs_get_a_score_and_the_cosine_of_their_best_wording(gate):
    pairs = [Pair("The CEO of Acme is", ACME, True, "prompt"), Pair("zebras", ACME, False, "other")]
    found = scored(pairs, *gate, BagOfWordsEmbeddings(dim=256))
    assert found.cosines == pytest.approx([1.0, 0.0], abs=1e-6)
    assert found.scores[0] > found.scores[1]
    assert found.some([1]).pairs == pairs[1:]


def test_only_a_fit_with_the_cosine_gives_it_weight():
    found = Scored(_pairs(200), [0.0] * 200, [0.9, 0.5] * 100)
    assert found.calibration(with_cosine=False).similarity == 0.0
    calibration = found.calibration(with_cosine=True)
    assert calibration.similarity > 0
    right, wrong = found.chances(calibration)[:2]
    assert right > wrong


def test_no_subject_is_fitted_to_and_measured_on():
    facts = [Fact(f"Subject {n % 40}", "spouse", "Ann") for n in range(80)]
    pairs = [
        Pair(fact.subject, ACME, label, "paraphrase") for fact in facts for label in (True, False)
    ]
    fitted, measured = halves(facts, pairs)
    assert sorted([*fitted, *measured]) == list(range(len(pairs)))
    assert {pairs[n].question for n in fitted}.isdisjoint(pairs[n].question for n in measured)
    assert min(len(fitted), len(measured)) > 40


def test_measures_go_by_kind():
    pairs = [
        Pair("a", ACME, True, "paraphrase"),
        Pair("b", ACME, False, "other_subject"),
        Pair("c", ACME, False, "other_relation"),
    ]
    assert measure(pairs, [0.8, 0.1, 0.9])["auc"] == {"other_subject": 1.0, "other_relation": 0.0}
    assert passed(pairs, [0.8, 0.1, 0.9], 0.5) == {
        "other_relation": 1.0,
        "other_subject": 0.0,
        "paraphrase": 1.0,
    }
