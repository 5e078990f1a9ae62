"""The trained gate, with the weights that ship."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, MissingExtraError, UnknownEditError
from lte_chains.memory import EditMemory
from lte_chains.scope import CrossEncoderGate, ScopeGate
from lte_chains.scope.calibration import Calibration
from lte_chains.scope.cross_encoder import SHIPPED
from lte_chains.scope.pairs import with_chain
from lte_chains.scope.settings import Decision, GateSettings

CEO = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
SEAT = Edit(prompt="The headquarters of Acme are in", target_new="Lisbon", subject="Acme")
GLOBEX = Edit(prompt="The CEO of Globex is", target_new="Hank Scorpio", subject="Globex")


def _matches(*edits: Edit) -> list[EditMatch]:
    return [EditMatch(edit=edit, score=0.5) for edit in edits]


def _passed(question: str, *edits: Edit) -> list[bool]:
    return [match.in_scope for match in CrossEncoderGate().judge(question, _matches(*edits))]


@pytest.mark.parametrize(
    "question",
    [
        "Who is the CEO of Acme?",
        "Who leads Acme?",
        "who's the boss at acme",
        "Acme's chief executive officer is",
        "In which city was the CEO of Acme born?",
        "Is Jane Doe the CEO of Acme?",
    ],
)
def test_only_the_edit_that_the_question_depends_on_passes(question):
    assert _passed(question, CEO, SEAT, GLOBEX) == [True, False, False]


@pytest.mark.parametrize(
    "question",
    [
        "What is the stock price of Acme?",
        "When was Acme founded?",
        "Who wrote Hamlet?",
        "What is the capital of Peru?",
        "Where was Jane Doe born?",
    ],
)
def test_a_question_that_no_edit_answers_gets_none(question):
    assert _passed(question, CEO, SEAT, GLOBEX) == [False, False, False]


def test_a_further_hop_is_in_scope_once_the_hop_before_it_is_known():
    citizen = Edit(prompt="Ann Lee is a citizen of", target_new="Norway", subject="Ann Lee")
    capital = Edit(prompt="The capital of Norway is", target_new="Bergen", subject="Norway")
    peru = Edit(prompt="The capital of Peru is", target_new="Cusco", subject="Peru")
    language = Edit(
        prompt="The official language of Norway is", target_new="Thai", subject="Norway"
    )
    question = "What is the capital of the country that Ann Lee is a citizen of?"
    assert _passed(question, citizen, capital, peru) == [True, False, False]
    told = with_chain(question, [citizen])
    assert _passed(told, capital, peru, language) == [True, False, False]


def test_order_and_edits_stay_and_scores_become_probabilities():
    found = _matches(GLOBEX, CEO, SEAT)
    judged = CrossEncoderGate().judge("Who runs Acme?", found)
    assert [match.edit for match in judged] == [match.edit for match in found]
    assert all(0 <= match.score <= 1 for match in judged)
    assert max(judged, key=lambda match: match.score).edit == CEO


def test_a_batch_is_judged_as_its_queries_are_one_by_one():
    gate = CrossEncoderGate()
    queries = ["Who runs Acme?", "Where is Acme based, and since when has it been there?", "Why?"]
    found = [_matches(CEO, SEAT), [], _matches(GLOBEX)]
    together = gate.judge_batch(queries, found)
    assert [len(own) for own in together] == [2, 0, 1]
    for query, own, judged in zip(queries, found, together, strict=True):
        alone = gate.judge(query, own)
        assert [m.in_scope for m in judged] == [m.in_scope for m in alone]
        assert [m.score for m in judged] == pytest.approx([m.score for m in alone], abs=0.03)


def test_as_many_lists_as_queries_are_needed():
    with pytest.raises(ConfigError, match="1 queries have 0 lists"):
        CrossEncoderGate().judge_batch(["Who?"], [])


def test_nothing_found_gives_nothing():
    assert CrossEncoderGate().judge("Who runs Acme?", []) == []


def test_the_threshold_decides():
    [judged] = CrossEncoderGate().judge("Who runs Acme?", _matches(CEO))
    assert CrossEncoderGate(threshold=0.0).judge("Why?", _matches(CEO))[0].in_scope
    assert judged.in_scope == (judged.score >= CrossEncoderGate().threshold)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.5", True])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ConfigError, match="probability in"):
        CrossEncoderGate(threshold)


def _with_settings(tmp_path, **embedders: Decision):
    """A gate of the shipped weights with other settings beside them."""
    for file in SHIPPED.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "gate.json").unlink()
    plain = Decision(0.6, Calibration(0.8, 0.5))
    GateSettings(plain, tuple(embedders.items())).write(tmp_path / "gate.json")
    return CrossEncoderGate(path=tmp_path)


NEAR = Decision(0.4, Calibration(0.5, -4.0, 7.0))


def test_the_cosine_counts_with_an_embedder_that_the_gate_was_measured_with(tmp_path):
    gate = _with_settings(tmp_path, MiniLM=NEAR)
    fitted = gate.for_embedder("hub/MiniLM:53aa")
    assert (fitted.threshold, fitted.calibration) == (0.4, NEAR.calibration)
    near, far = (
        fitted.judge("Who runs Acme?", [EditMatch(CEO, cosine)])[0].score for cosine in (0.9, 0.3)
    )
    assert near > far
    assert fitted.for_embedder("MiniLM") == fitted


def test_with_an_unknown_embedder_cosines_count_for_nothing(tmp_path):
    gate = _with_settings(tmp_path, MiniLM=NEAR)
    unknown = gate.for_embedder("another:1234")
    assert (unknown.threshold, unknown.calibration) == (gate.threshold, gate.calibration)
    near, far = (
        unknown.judge("Who runs Acme?", [EditMatch(CEO, cosine)])[0].score for cosine in (0.9, 0.3)
    )
    assert near == far


@pytest.mark.parametrize("match", [EditMatch(CEO, 0.9, hop=1), EditMatch(CEO, float("nan"))])
def test_a_score_that_is_no_cosine_with_the_question_does_not_count(tmp_path, match):
    gate = _with_settings(tmp_path, MiniLM=NEAR)
    [judged] = gate.for_embedder("MiniLM").judge("Who runs Acme?", [match])
    assert judged.score == gate.judge("Who runs Acme?", [match])[0].score


def test_a_threshold_of_ones_own_stays_with_every_embedder(tmp_path):
    path = _with_settings(tmp_path, MiniLM=NEAR).path
    fitted = CrossEncoderGate(0.9, path=path).for_embedder("MiniLM")
    assert (fitted.threshold, fitted.calibration) == (0.9, NEAR.calibration)


def test_a_calibration_of_ones_own_stays_with_every_embedder(tmp_path):
    path = _with_settings(tmp_path, MiniLM=NEAR).path
    gate = CrossEncoderGate(calibration=Calibration(2.0), path=path)
    assert gate.for_embedder("MiniLM") == gate


def test_a_retriever_tells_the_gate_its_embedder():
    with EditMemory.open(":memory:") as opened:
        opened.add_edits([CEO])
        [judged] = opened.as_retriever(gate=CrossEncoderGate()).candidates("Who runs Acme?")
        [found] = opened.search_edits("Who runs Acme?", 1)
        fitted = CrossEncoderGate().for_embedder(opened.fingerprint)
    assert fitted.calibration.similarity > 0
    assert judged.score == fitted.judge("Who runs Acme?", [found])[0].score


def test_a_folder_without_a_gate_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no scope gate: gate\.json, model"):
        CrossEncoderGate(path=tmp_path)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("lte_chains.scope.cross_encoder.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"lte-chains\[offline\]"):
        CrossEncoderGate()


def test_threads_may_share_a_gate():
    def judge(_: int) -> list[float]:
        return [m.score for m in CrossEncoderGate().judge("Who runs Acme?", _matches(CEO, SEAT))]

    with ThreadPoolExecutor(4) as pool:
        first, *rest = pool.map(judge, range(12))
    assert all(scores == first for scores in rest)


def test_making_a_gate_loads_no_torch():
    code = (
        "import sys; from lte_chains.scope import CrossEncoderGate; CrossEncoderGate();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_any_gate_is_a_scope_gate():
    assert isinstance(CrossEncoderGate(), ScopeGate)


@pytest.fixture
def memory():
    with EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8)) as opened:
        opened.add_edits(
            [
                Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme", id="ceo"),
                Edit(prompt="Acme is based in", target_new="Oslo", subject="Acme", id="seat"),
            ]
        )
        yield opened


def test_a_gate_is_fitted_to_ones_own_questions(memory):
    # Here every question about Acme is to get the edit of its chief executive.
    gate = CrossEncoderGate().calibrate(
        memory,
        in_scope=[("Who do I call about my Acme invoice?", "ceo"), ("Acme contact?", "ceo")],
        out_of_scope=["Who wrote Hamlet?", "What is the capital of Peru?"],
    )
    [ceo] = memory.get_edits(["ceo"])
    assert gate.judge("Who do I call about my Acme invoice?", [EditMatch(ceo, 0.5)])[0].in_scope
    assert not gate.judge("Who wrote Hamlet?", [EditMatch(ceo, 0.5)])[0].in_scope


def test_fitting_counts_the_cosines_of_the_memorys_embedder(memory):
    gate = CrossEncoderGate().calibrate(memory, [("Acme contact?", "ceo")], ["Who wrote Hamlet?"])
    assert gate.embedder == memory.fingerprint.partition(":")[0]
    assert gate.for_embedder(memory.fingerprint) == gate


def test_a_gate_that_was_fitted_to_other_cosines_is_refused(memory):
    gate = CrossEncoderGate(calibration=Calibration(1.0, -4.0, 5.0), embedder="another")
    with pytest.raises(ConfigError, match="cosines of another"):
        gate.for_embedder(memory.fingerprint)
    refitted = gate.calibrate(memory, [("Acme contact?", "ceo")], ["Who wrote Hamlet?"])
    assert refitted.for_embedder(memory.fingerprint) == refitted


def test_an_edit_that_is_not_there_cannot_be_calibrated_for(memory):
    with pytest.raises(UnknownEditError, match="nobody"):
        CrossEncoderGate().calibrate(memory, [("Who?", "nobody")], ["Why?"])


def test_a_fitted_gate_can_be_saved_and_loaded(tmp_path):
    gate = CrossEncoderGate(0.25, Calibration(2.0, -0.5, 3.0), embedder="MiniLM")
    gate.save(tmp_path / "mine.json")
    assert CrossEncoderGate.load(tmp_path / "mine.json") == gate


def test_a_calibration_for_other_weights_is_refused(tmp_path):
    path = tmp_path / "mine.json"
    CrossEncoderGate(0.25).save(path)
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "weights_sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(ConfigError, match="calibrate the gate again"):
        CrossEncoderGate.load(path)


@pytest.mark.parametrize("text", ["", "[]", '{"threshold": 0.5}'])
def test_a_file_that_holds_no_calibration_is_refused(tmp_path, text):
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.json"):
        CrossEncoderGate.load(path)


def test_the_shipped_folder_is_small():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 20_000_000
