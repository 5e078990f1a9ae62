"""`evaluate_retrieval` on rows whose cosines are plain word overlap."""

from __future__ import annotations

import json

import pytest
from langchain_core.embeddings import Embeddings

from lte_chains.edit import EditMatch
from lte_chains.errors import ConfigError
from lte_chains.evaluation import evaluate_retrieval
from lte_chains.evaluation.batching import BatchedEmbeddings
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from lte_chains.scope.similarity import CALIBRATED_THRESHOLDS
from tests.evaluation.rows import ROWS, write_rows
from tests.fakes_embeddings import BagOfWordsEmbeddings


class _Words(BagOfWordsEmbeddings):
    """Word overlap under the name of an embedder that has a calibrated threshold."""

    fingerprint = "all-MiniLM-L6-v2:test"

    def __init__(self) -> None:
        super().__init__(dim=1024)


@pytest.fixture
def report(tmp_path):
    return evaluate_retrieval(
        write_rows(tmp_path), embeddings=_Words(), gate=SimilarityGate(), k=1, k_values=(1, 2)
    )


def test_the_report_says_what_was_measured_with_what(report):
    assert report["rows"] == 3
    assert report["embedder"] == "all-MiniLM-L6-v2:test"
    assert report["gate"] == {
        "type": "SimilarityGate",
        "threshold": CALIBRATED_THRESHOLDS["all-MiniLM-L6-v2"],
    }
    assert (report["k"], report["superseded"]) == (1, 0)


def test_recall_is_of_the_k_nearest_whatever_the_gate_says(report):
    # "Something else altogether" shares no word with any edit: all tie, and
    # ties go to the oldest, so the third edit is in neither the first nor the second place.
    assert report["recall"]["prompt"] == {"1": 1.0, "2": 1.0}
    assert report["recall"]["rephrase"] == {"1": 0.6667, "2": 0.6667}
    assert report["recall"]["Subject_Aliasing"] == {"1": 1.0, "2": 1.0}


def test_passed_counts_only_what_the_gate_lets_through(report):
    # Cosines: "The CEO of Acme" 4/√20 = .89; "Globex CEO is the" .89; "… Acme Inc is" 5/√30 = .91.
    assert report["passed"]["rephrase"] == 0.6667
    assert report["passed"]["Subject_Aliasing"] == 1.0
    assert report["passed"]["Reasoning"] == 0.0


def test_mislabelled_locality_probes_are_reported_apart(report):
    # "The CEO at Acme is" is .8 from its edit; zebras and lions are far from everything.
    assert report["false_fire"]["locality_marked"] == 1.0
    assert report["false_fire"]["locality"] == 0.0
    assert (report["counts"]["locality"], report["counts"]["locality_marked"]) == (2, 1)


def test_an_unrelated_prompt_fires_if_an_edit_of_another_subject_does(report):
    # "The CEO of Acme is" is .8 from "The CEO of Globex is": words alone cannot tell.
    assert report["false_fire"]["unrelated"] == 1.0


def test_rows_of_other_subjects_are_asked_and_those_of_edited_ones_are_not(tmp_path):
    for name, subjects in {"rows": ["Acme"], "others": ["Acme", "Umbrella", "Tyrell"]}.items():
        rows = [{**ROWS[2], "subject": s, "prompt": f"The CEO of {s} is"} for s in subjects]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    report = evaluate_retrieval(
        tmp_path / "rows.json",
        embeddings=_Words(),
        gate=SimilarityGate(0.79),
        unrelated=tmp_path / "others.json",
    )
    assert report["false_fire"]["unrelated_rows"] == 1.0
    assert report["counts"]["unrelated_rows"] == 2


def test_the_row_own_edit_does_not_count_as_unrelated(tmp_path):
    data = write_rows(tmp_path, [ROWS[0]])
    report = evaluate_retrieval(data, embeddings=_Words(), gate=SimilarityGate())
    assert report["false_fire"]["unrelated"] == 0.0


def test_rates_without_probes_are_none(tmp_path):
    report = evaluate_retrieval(write_rows(tmp_path, [ROWS[2]]), embeddings=_Words())
    assert report["false_fire"]["locality"] is None
    assert "Reasoning" not in report["recall"]


def test_rows_that_share_a_slot_are_judged_by_the_edit_that_holds_it(tmp_path):
    rows = [ROWS[0], {**ROWS[0], "target_new": "John Roe"}, ROWS[1]]
    report = evaluate_retrieval(write_rows(tmp_path, rows), embeddings=_Words())
    assert (report["rows"], report["superseded"]) == (3, 1)
    assert report["recall"]["prompt"]["1"] == 1.0


def test_only_the_first_rows_are_read_with_a_limit(tmp_path):
    assert evaluate_retrieval(write_rows(tmp_path), embeddings=_Words(), limit=2)["rows"] == 2


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k_values": (0, 3)}, {"k_values": ()}])
def test_a_k_below_one_is_refused(tmp_path, arguments):
    with pytest.raises(ConfigError, match="whole number"):
        evaluate_retrieval(write_rows(tmp_path), embeddings=_Words(), **arguments)


def test_the_figures_are_those_of_the_retriever_that_users_have(tmp_path, monkeypatch):
    asked: list[str] = []
    original = EditRetriever.retrieve

    def spy(self, query: str, **kwargs) -> list[EditMatch]:
        asked.append(query)
        return original(self, query, **kwargs)

    monkeypatch.setattr(EditRetriever, "retrieve", spy)
    evaluate_retrieval(write_rows(tmp_path), embeddings=_Words())
    assert {"The CEO of Acme", "Zebras and Acme", "Boss home town"} <= set(asked)


class _Asymmetric(Embeddings):
    """An embedder that puts queries elsewhere than documents, as E5 and its kin do."""

    def embed_documents(self, texts):
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text):
        return [-1.0, float(len(text))]


def test_an_embedder_that_tells_queries_from_documents_is_asked_for_queries():
    batched = BatchedEmbeddings(_Asymmetric())
    batched.prepare(["a", "bb"])
    assert batched.embed_query("bb") == [-1.0, 2.0]
    assert batched.embed_documents(["bb"]) == [[1.0, 2.0]]


def test_queries_are_embedded_in_one_call_and_once():
    class Counting(BagOfWordsEmbeddings):
        calls = 0

        def embed_documents(self, texts):
            self.calls += 1
            return [BagOfWordsEmbeddings.embed_query(self, text) for text in texts]

    inner = Counting()
    batched = BatchedEmbeddings(inner)
    batched.prepare(["a b", "c", "a b"])
    batched.prepare(["c"])
    assert inner.calls == 1
    assert batched.embed_query("new text") == inner.embed_query("new text")
