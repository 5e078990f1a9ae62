"""How well a gate keeps questions apart, on scores that are known."""

from __future__ import annotations

import json

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import DataError
from lte_chains.evaluation.separation import LabelledPair, judge_pairs, read_pairs, separation
from lte_chains.memory import EditMemory
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

SCORES = {"in 1": 0.9, "in 2": 0.4, "out 1": 0.6, "out 2": 0.1}


class _Known:
    """Scores every candidate of a question alike."""

    def judge(self, query, matches):
        return [EditMatch(edit=m.edit, score=SCORES[query]) for m in matches]


@pytest.fixture
def retriever():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=64)) as memory:
        memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane", id="ceo")])
        yield memory.as_retriever(gate=_Known())


def test_right_edits_are_compared_with_the_best_candidates_of_other_questions(retriever):
    found = separation(
        {"rephrase": [("ceo", "in 1"), ("ceo", "in 2")]}, ["out 1", "out 2"], retriever
    )
    assert found["auc"] == {"rephrase": 0.75}
    [half] = [point for point in found["trade_off"] if point["threshold"] == 0.5]
    assert half == {"threshold": 0.5, "passed": {"rephrase": 0.5}, "false_fire": 0.5}
    assert sum(row["pairs"] for row in found["reliability"]) == 4
    assert found["ece"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


def test_an_edit_that_was_not_found_counts_as_not_passed(retriever):
    found = separation({"rephrase": [("nobody", "in 1")]}, ["out 2"], retriever)
    assert found["auc"] == {"rephrase": 0.0}


def test_pairs_are_judged_by_kind(retriever):
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane")
    pairs = [
        LabelledPair("in 1", edit, True, "paraphrase"),
        LabelledPair("in 2", edit, True, "paraphrase"),
        LabelledPair("out 1", edit, False, "other_relation"),
        LabelledPair("out 2", edit, False, "other_subject"),
    ]
    found = judge_pairs(pairs, _Known(), retriever.memory)
    assert found["pairs"] == 4
    assert found["auc"] == {"other_relation": 0.5, "other_subject": 1.0}


def test_a_gate_that_goes_by_cosines_judges_pairs_by_those_of_the_memorys_embedder(retriever):
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane")
    pairs = [
        LabelledPair("The CEO of Acme is", edit, True, "paraphrase"),
        LabelledPair("zebras and lions", edit, False, "unrelated"),
    ]
    found = judge_pairs(pairs, SimilarityGate(0.5), retriever.memory)
    assert found["auc"] == {"unrelated": 1.0}


def test_pairs_are_read(tmp_path):
    path = tmp_path / "pairs.json"
    edit = {"prompt": "2 + 2 is", "target_new": "5"}
    row = {"question": "2 + 2?", "edit": edit, "in_scope": True, "kind": "paraphrase"}
    path.write_text(json.dumps([row]), encoding="utf-8")
    [pair] = read_pairs(path)
    assert (pair.question, pair.edit.descriptor, pair.in_scope) == ("2 + 2?", "2 + 2 is 5", True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"question": "?"}]', "[1]"])
def test_a_file_that_holds_no_pairs_is_refused(tmp_path, text):
    path = tmp_path / "pairs.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs\.json"):
        read_pairs(path)
    with pytest.raises(DataError, match="cannot read"):
        read_pairs(tmp_path / "nothing.json")
