"""Decay over the number of edits, retention of the first ones, and ability beside them."""

from __future__ import annotations

import json
import math
import sys

import pytest
from langchain_core.language_models import SimpleChatModel

from lte_chains.cases import parse_case
from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.evaluation.ability import Fact, harness_scores, known_facts, perplexity, recall
from lte_chains.evaluation.comparison import Unedited
from lte_chains.evaluation.decay import DecayConfig, compare_decay, measure_decay
from lte_chains.evaluation.editors import Resources
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.judging import Said
from lte_chains.evaluation.report import decay_table
from lte_chains.models import load_model
from tests.evaluation.rows import write_rows
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import tiny_llama

CASES = [parse_case({"prompt": f"Number {n} is", "target_new": f"value {n}"}) for n in range(30)]


class _Echo(SimpleChatModel):
    def _call(self, messages, stop=None, run_manager=None, **kwargs):
        return messages[-1].text

    @property
    def _llm_type(self):
        return "echo"


class _Forgetful:
    """Keeps the last ten edits only."""

    parameters_touched = 0

    def __init__(self):
        self.model, self.calls, self.kept = _Echo(), [], []

    def prepare(self):
        pass

    def edit(self, edits):
        self.calls.append(len(edits))
        self.kept = [*self.kept, *edits][-10:]

    def routes(self, questions):
        known = {edit.prompt: edit.target_new for edit in self.kept}
        return [Route.plain(self.model, known.get(q, "forgotten")) for q in questions]

    def undo(self):
        self.kept = []


def _curve(**config):
    editor = _Forgetful()
    given = DecayConfig(**{"checkpoints": (1, 10, 1000), "watched": 5, "asked": 10, **config})
    return editor, measure_decay(editor, CASES, Said(answers={}), config=given)


def test_the_curve_shows_what_is_kept_of_all_and_of_the_first():
    editor, curve = _curve()
    assert [point["edits"] for point in curve] == [1, 10, 30]
    assert [point["all"]["edit_success"] for point in curve] == [1.0, 1.0, 0.3]
    assert [point["first"]["edit_success"] for point in curve] == [1.0, 1.0, 0.0]
    assert [point["first"]["rows"] for point in curve] == [1, 5, 5]
    assert editor.calls == [1] * 30
    assert editor.kept == []


def test_a_batch_of_each_size_goes_into_a_model_without_edits():
    editor, curve = _curve(sequential=False)
    assert editor.calls == [1, 10, 30]
    assert [point["edits"] for point in curve] == [1, 10, 30]


def test_more_can_be_measured_at_each_checkpoint():
    editor = _Forgetful()
    curve = measure_decay(
        editor,
        CASES,
        Said(answers={}),
        config=DecayConfig(checkpoints=(2, 4)),
        at_checkpoint=lambda: {"kept": len(editor.kept)},
    )
    assert [point["kept"] for point in curve] == [2, 4]


@pytest.mark.parametrize(
    "options", [{"checkpoints": (10, 1)}, {"checkpoints": ()}, {"watched": 0}, {"asked": 0}]
)
def test_odd_numbers_are_refused(options):
    with pytest.raises(ConfigError, match="use"):
        DecayConfig(**options)


@pytest.fixture(scope="module")
def model():
    return load_model(tiny_llama(), max_new_tokens=4)


def test_perplexity_agrees_with_one_text_at_a_time(model):
    import torch

    texts = ["Who runs Acme? The CEO of Acme is Jane Doe.", "Paris", "0 1 2 3"]
    total = count = 0.0
    for text in texts:
        ids = model.get_token_ids(text)
        with model.borrowed_module() as module:
            chances = module(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        total -= sum(float(chances[i, token]) for i, token in enumerate(ids[1:]))
        count += len(ids) - 1
    assert perplexity(model, texts) == pytest.approx(math.exp(total / count), rel=1e-4)


def test_a_text_longer_than_the_context_is_read_in_pieces(model):
    assert perplexity(model, ["Acme " * 1000]) > 1
    with pytest.raises(ConfigError, match="at least two tokens"):
        perplexity(model, [""])


def test_recall_is_of_the_facts_that_were_known_before():
    editor = Unedited(_Echo())
    facts = [Fact("yes", ("yes",)), Fact("no", ("maybe",))]
    known = known_facts(editor, facts)
    assert known == facts[:1]
    assert recall(editor, known) == 1.0
    assert recall(editor, facts) == 0.5
    assert recall(editor, []) is None


def test_the_harness_is_an_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtraError, match=r"lte-chains\[harness\]"):
        harness_scores(model, ["piqa"])


def test_methods_are_compared_and_not_run_twice(model, tmp_path):
    class Words(BagOfWordsEmbeddings):
        fingerprint = "all-MiniLM-L6-v2:test"

    resources = Resources(model=_Echo(), base=model, embeddings=Words(dim=256), k=1)
    given = {
        "methods": ("lte", "ft-m"),
        "config": DecayConfig(checkpoints=(1, 3)),
        "texts": ["Paris is the capital of France."],
        "results": tmp_path,
    }
    data = write_rows(tmp_path)
    report = compare_decay(data, resources, **given)
    curve = report["methods"]["ft-m"]["curve"]
    assert [point["edits"] for point in curve] == [1, 3]
    assert curve[-1]["perplexity"] != report["original"]["perplexity"]
    assert "perplexity" not in report["methods"]["lte"]["curve"][0]
    assert len(decay_table(report)[2]) == 4
    lines = (tmp_path / "decay.jsonl").read_text()
    again = compare_decay(data, resources, **given)
    assert (tmp_path / "decay.jsonl").read_text() == lines
    assert json.dumps(again["methods"]) == json.dumps(report["methods"])
