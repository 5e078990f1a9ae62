"""The similarity gate: what reaches the threshold is in scope."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, UnknownEditError
from lte_chains.memory import EditMemory
from lte_chains.scope import ScopeGate, SimilarityGate, threshold_for
from lte_chains.scope.similarity import CALIBRATED_THRESHOLDS, UNCALIBRATED_THRESHOLD
from tests.fakes_embeddings import BagOfWordsEmbeddings

CALIBRATION = Path(__file__).parent.parent / "training" / "calibration" / "similarity.json"


def _match(score: float) -> EditMatch:
    return EditMatch(edit=Edit(prompt=f"prompt {score}", target_new="x"), score=score)


def test_matches_at_or_above_the_threshold_are_in_scope_and_order_and_scores_stay():
    judged = SimilarityGate(0.5).judge("q", [_match(0.9), _match(0.5), _match(0.499), _match(-1)])
    assert [match.in_scope for match in judged] == [True, True, False, False]
    assert [match.score for match in judged] == [0.9, 0.5, 0.499, -1]


def test_a_score_that_is_not_a_number_is_out_of_scope():
    assert [m.in_scope for m in SimilarityGate(-1).judge("q", [_match(float("nan"))])] == [False]


def test_nothing_found_gives_nothing():
    assert SimilarityGate(0.5).judge("q", []) == []


@pytest.mark.parametrize("threshold", [1.01, -1.01, float("nan"), float("inf"), "0.5", True])
def test_a_threshold_that_is_no_cosine_is_refused(threshold):
    with pytest.raises(ConfigError, match=r"cosine in \[-1, 1\]"):
        SimilarityGate(threshold)


def test_a_gate_without_threshold_and_embedder_says_how_to_get_one():
    with pytest.raises(ConfigError, match="for_embedder"):
        SimilarityGate().judge("q", [_match(0.5)])


def test_the_threshold_of_a_known_embedder_comes_from_the_table():
    gate = SimilarityGate().for_embedder("all-MiniLM-L6-v2:53aa51172d14")
    assert gate.threshold == CALIBRATED_THRESHOLDS["all-MiniLM-L6-v2"]


def test_ones_own_threshold_wins_over_the_table():
    assert SimilarityGate(0.1).for_embedder("all-MiniLM-L6-v2").threshold == 0.1


def test_an_unknown_embedder_gets_the_conservative_threshold_and_one_warning(caplog):
    threshold_for.cache_clear()
    with caplog.at_level(logging.WARNING, logger="lte_chains.scope"):
        gates = [SimilarityGate().for_embedder("someone/else:1234") for _ in range(3)]
    assert {gate.threshold for gate in gates} == {UNCALIBRATED_THRESHOLD}
    assert len(caplog.records) == 1
    assert "calibrate_similarity" in caplog.text
    assert "someone/else:1234" in caplog.text


def test_the_table_carries_the_committed_calibration_and_nothing_else():
    measured = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    name = measured["embedder"].partition(":")[0].rpartition("/")[2]
    assert dict(CALIBRATED_THRESHOLDS) == {name: measured["threshold"]}


def test_the_committed_threshold_is_the_cheapest_of_its_curve():
    measured = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    cheapest = min(measured["curve"], key=lambda point: point["cost"])
    assert measured["threshold"] == cheapest["threshold"]
    assert measured["at_threshold"] == cheapest


def test_any_object_with_judge_is_a_gate():
    class Everything:
        def judge(self, query, matches):
            return list(matches)

    assert isinstance(Everything(), ScopeGate)
    assert not isinstance(object(), ScopeGate)


def test_a_threshold_is_fitted_to_questions_of_ones_own():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512)) as memory:
        edits = [
            Edit(prompt=f"The CEO of {firm} is", target_new="Jo", subject=firm, id=firm)
            for firm in ("Acme", "Globex")
        ]
        memory.add_edits(edits)
        asked = [(f"So the CEO of {firm} is who", firm) for firm in ("Acme", "Globex")]
        others = ["The lawyer of Acme was", "zebras eat grass"]
        gate = SimilarityGate().calibrate(memory, asked, others)
        retriever = memory.as_retriever(gate=gate)
        found = [[m.edit.id for m in retriever.retrieve(query)] for query, _ in asked]
        assert all(firm in ids for (_, firm), ids in zip(asked, found, strict=True))
        assert [retriever.retrieve(query) for query in others] == [[], []]
        with pytest.raises(ConfigError, match="got 2 and 0"):
            SimilarityGate().calibrate(memory, asked, [])
        with pytest.raises(UnknownEditError):
            SimilarityGate().calibrate(memory, [("q", "nobody")], others)
