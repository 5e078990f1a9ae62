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
from lte_chains.evaluation.decay_plan import fillings, spread
from lte_chains.evaluation.decay_report import decay_tables, write_decay
from lte_chains.evaluation.editors import Resources
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.judging import Said
from lte_chains.models import load_model
from tests.evaluation.rows import ROWS, write_rows
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


def test_every_checkpoint_asks_the_same_rows():
    editor, curve = _curve()
    assert [point["edits"] for point in curve] == [1, 10, 30]
    assert [point["all"]["rows"] for point in curve] == [10, 10, 10]
    assert [point["all"]["edit_success"] for point in curve] == [1.0, 1.0, 0.3]
    assert editor.calls == [1] * (10 + 10 + 30)
    assert editor.kept == []


def test_what_is_lost_is_each_rows_own_loss():
    _, curve = _curve()
    assert curve[0]["all"]["difference"] is None
    assert curve[1]["all"]["difference"]["edit_success"]["mean"] == 0.0
    lost = curve[2]["all"]["difference"]["edit_success"]
    assert (lost["mean"], lost["rows"]) == (-0.7, 10)
    assert lost["low"] < lost["mean"] < lost["high"] < 0


def test_the_first_edits_are_asked_about_when_they_are_made_and_in_the_end():
    _, curve = _curve()
    assert curve[0]["first"] is None
    kept, lost = curve[1]["first"], curve[2]["first"]
    assert (kept["when_made"]["edit_success"], kept["edit_success"]) == (1.0, 1.0)
    assert (lost["when_made"]["edit_success"], lost["edit_success"]) == (1.0, 0.0)
    assert lost["difference"]["edit_success"]["mean"] == -1.0


def test_a_batch_of_each_size_goes_into_a_model_without_edits():
    editor, curve = _curve(sequential=False)
    assert editor.calls == [1] * 10 + [10, 30]
    assert [point["first"] for point in curve] == [None, None, None]


def test_a_group_that_is_not_full_is_filled_up_with_rows_that_were_asked():
    groups = fillings(4, 30, list(range(10)))
    assert [group.rows for group in groups] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 0, 1)]
    assert [group.asked for group in groups][-1] == (8, 9)


@pytest.mark.parametrize("edits", [10, 11, 17, 30])
def test_asked_rows_lie_spread_among_the_edits(edits):
    asked = spread(30, 10)
    [filling] = fillings(edits, 30, asked)
    assert len(set(filling.rows)) == len(filling.rows) == edits
    assert [row for row in filling.rows if row in asked] == asked
    assert (filling.rows[0], filling.rows[-1]) == (asked[0], asked[-1])
    if edits == 30:
        assert filling.rows == tuple(range(30))


def test_more_can_be_measured_once_a_checkpoint():
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


class _Words(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"


def _decay(model, data, results, **more):
    given = {
        "methods": ("lte", "ft-m"),
        "config": DecayConfig(checkpoints=(1, 3), watched=2),
        "texts": ["Paris is the capital of France."],
        "results": results,
    }
    resources = Resources(model=_Echo(), base=model, embeddings=_Words(dim=256), k=1)
    return compare_decay(data, resources, **{**given, **more})


def test_methods_are_compared_and_not_run_twice(model, tmp_path):
    data = write_rows(tmp_path)
    report = _decay(model, data, tmp_path)
    curve = report["methods"]["ft-m"]["curve"]
    assert [point["edits"] for point in curve] == [1, 3]
    assert curve[-1]["perplexity"] != report["original"]["perplexity"]
    assert "perplexity" not in report["methods"]["lte"]["curve"][0]
    lines = (tmp_path / "decay.jsonl").read_text()
    again = _decay(model, data, tmp_path)
    assert (tmp_path / "decay.jsonl").read_text() == lines
    assert json.dumps(again["methods"]) == json.dumps(report["methods"])


def test_an_interrupted_run_goes_on_at_the_next_checkpoint(model, tmp_path):
    data = write_rows(tmp_path)
    report = _decay(model, data, tmp_path)
    log = tmp_path / "decay.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    again = _decay(model, data, tmp_path)
    assert [point["edits"] for point in again["methods"]["ft-m"]["curve"]] == [1, 3]
    assert json.dumps(again["methods"]) == json.dumps(report["methods"])


def test_rows_of_several_files_make_up_a_checkpoint_and_a_cut_one_is_told(model, tmp_path):
    (tmp_path / "more").mkdir()
    more = [{"prompt": f"The CEO of {n} is", "target_new": "Bob"} for n in range(3)]
    files = [write_rows(tmp_path), write_rows(tmp_path / "more", more)]
    config = DecayConfig(checkpoints=(1, 5, 100), watched=2)
    report = _decay(model, files, tmp_path, methods=("lte",), config=config)
    assert (report["rows"], report["asked"], report["cut"]) == (6, 6, [100])
    assert [point["edits"] for point in report["methods"]["lte"]["curve"]] == [1, 5, 6]
    assert "not rows enough for 100 edits: cut to 6" in decay_tables(report)[0][0]


def test_an_edit_that_is_too_long_has_failed_at_every_checkpoint(model, tmp_path):
    long = {"prompt": "The CEO of Hooli is", "target_new": "word " * 600, "subject": "Hooli"}
    data = write_rows(tmp_path, [*ROWS, long])
    config = DecayConfig(checkpoints=(1, 4), watched=4)
    report = _decay(model, data, None, methods=("ft-m",), config=config)
    curve = report["methods"]["ft-m"]["curve"]
    assert [point["too_long"] for point in curve] == [1, 1]
    assert curve[-1]["all"]["rows"] == curve[-1]["first"]["rows"] == 4
    assert "counted as failed: 1 edits of FT-M" in decay_tables(report)[0][0]


def test_curves_of_other_rows_are_not_gone_on_from(model, tmp_path):
    data = write_rows(tmp_path)
    _decay(model, data, tmp_path, methods=("lte",))
    write_rows(tmp_path, ROWS[::-1])
    with pytest.raises(ConfigError, match=r"another run \(its content differ\)"):
        _decay(model, data, tmp_path, methods=("lte",))


def test_the_report_is_written_beside_what_was_measured(model, tmp_path):
    report = _decay(model, write_rows(tmp_path), tmp_path)
    files = {path.name: path for path in write_decay(report, tmp_path)}
    assert json.loads(files["report.json"].read_text()) == json.loads(json.dumps(report))
    titles = [title.partition(" ")[0] for title, _, _ in decay_tables(report)]
    assert titles == ["The", "Difference", "Retention:"]
    assert len(decay_tables(report)[0][2]) == 4
    assert "| FT-M | 3 |" in files["report.md"].read_text()
    assert files["decay-locality.png"].read_bytes().startswith(b"\x89PNG")
