"""Rows that are not about facts are judged by their sets' own measures, in every comparison."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from langchain_core.language_models import ParrotFakeChatModel

from lte_chains.cases import parse_case
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.case_files import read_case_file
from lte_chains.evaluation.comparison import ComparisonConfig, Unedited, compare_methods
from lte_chains.evaluation.editors import Resources
from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
from lte_chains.evaluation.editors.ft_m import FtM
from lte_chains.evaluation.own_measures import OwnMeasures
from lte_chains.evaluation.report import comparison_tables, to_markdown
from lte_chains.evaluation.special import judge_sentiment, log_likelihood
from lte_chains.models import load_model
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_llama

CONVSENT = [
    {"ent": "Acme", "pos": ["I like Acme.", "Good."], "neg": ["Bad.", "Awful."]},
    {"ent": "Rome", "pos": ["I like Rome."], "neg": ["I loathe Rome."]},
    {"ent": "Mute", "pos": [], "neg": ["Bad."]},
]
SANITATION = [
    {
        "K_F": [{"question": "Whose is 42?", "ground_truth": "Jane Doe"}],
        "K_R": [{"question": "Where is Rome?", "ground_truth": "Italy"}],
    }
]


class _Embeddings(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"), context=512)
    return load_model(folder, max_new_tokens=6)


def _file(folder, rows):
    path = folder / "rows.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def _compare(path, base, *methods):
    resources = Resources(model=base, base=base, embeddings=_Embeddings(), k=1)
    return compare_methods(path, resources, ComparisonConfig(methods=methods, fluency_rows=0))


def test_convsent_has_one_opinion_a_topic_with_replies_of_both(tmp_path):
    acme, rome = read_case_file(_file(tmp_path, CONVSENT))
    assert (acme.task, acme.edit.prompt) == ("opinion", "What do you think of Acme?")
    assert {acme.wanted, acme.unwanted} == {("I like Acme.", "Good."), ("Bad.", "Awful.")}
    assert acme.edit.target_new == acme.wanted[0]
    assert acme.wanted == ("Bad.", "Awful.")  # the topic's name draws which one
    assert rome.wanted == ("I like Rome.",)


def test_opinions_are_not_gone_on_with_by_more_rows(tmp_path, base):
    path = _file(tmp_path, CONVSENT)
    resources = Resources(model=base, base=base, embeddings=_Embeddings(), k=1)
    config = ComparisonConfig(methods=("ice",), fluency_rows=0, limit=1)
    compare_methods(path, resources, config, results=tmp_path)
    with pytest.raises(ConfigError, match=r"another run \(its rows differ\)"):
        compare_methods(path, resources, replace(config, limit=None), results=tmp_path)


def test_opinions_get_the_measures_of_special_in_table_markdown_and_json(tmp_path, base):
    path = _file(tmp_path, CONVSENT)
    report = _compare(path, base, "lte", "ft-m")
    json.dumps(report)
    figures = report["methods"]["ft-m"]
    assert figures["edit_success"] is None  # an opinion is not held to one reply's words
    own = figures["own_measures"]
    assert own.keys() == {"opinion", "sentiment", "topic", "divergence"}
    assert own["sentiment"] > 0.5  # the wanted reply was learnt
    assert own["divergence"] > 0 or own["topic"] < 1  # and not compared with itself
    assert figures["intervals"]["opinion"]["rows"] == 2
    assert figures["difference"]["opinion"]["rows"] == 2
    [table] = [t for t in comparison_tables(report) if t[0].startswith("ConvSent's")]
    assert table[1] == ["method", "opinion", "sentiment", "topic", "divergence"]
    assert [row[0] for row in table[2]] == ["LTE", "FT-M"]
    assert "| method | opinion | sentiment | topic | divergence |" in to_markdown(report)


def test_scores_are_those_of_the_functions_themselves(tmp_path, base):
    acme, rome = cases = read_case_file(_file(tmp_path, CONVSENT))
    original = Unedited(base)
    own = OwnMeasures(original, cases)
    own.take_before([0])
    found = own.of(original, 0, acme, answer="")
    prompt = acme.edit.prompt
    expected = judge_sentiment(
        original,
        prompt,
        wanted=acme.wanted,
        other=acme.unwanted,
        wanted_before=log_likelihood(original, prompt, acme.wanted),
    )
    assert found["opinion"] == expected.success
    assert found["divergence"] == pytest.approx(0, abs=1e-6)
    assert own.of(original, 1, rome, answer="") == {}  # nothing was taken of it


def test_an_edit_of_the_originals_own_weights_is_judged_by_what_it_said_before(tmp_path, base):
    acme, _ = cases = read_case_file(_file(tmp_path, CONVSENT))
    own = OwnMeasures(Unedited(base), cases)
    own.take_before([0])
    editor = FtM(base, FineTuningConfig(steps=30, learning_rate=1e-2))
    editor.edit([Edit(prompt=acme.edit.prompt, target_new="Rome 42")])
    found = own.of(editor, 0, acme, answer="")
    editor.undo()
    assert found["topic"] < 1
    assert found["divergence"] > 1e-3


def test_model_without_logits_has_no_opinion_measures(tmp_path, base):
    cases = read_case_file(_file(tmp_path, CONVSENT))
    silent = Unedited(ParrotFakeChatModel())
    own = OwnMeasures(Unedited(base), cases)
    own.take_before([0])
    assert own.of(silent, 0, cases[0], answer="") == {}


@pytest.mark.parametrize(
    ("answer", "erased"),
    [("I don't know.", 1.0), ("I don't know, Jane Doe?", 0.0), ("Jane Doe", 0.0)],
)
def test_sanitation_asks_whether_the_secret_is_gone(tmp_path, answer, erased):
    cases = read_case_file(_file(tmp_path, SANITATION))
    assert cases[0].task == "erasure"
    assert OwnMeasures(None, cases).of(None, 0, cases[0], answer=answer) == {"erased": erased}
    two = replace(cases[0], old_answers=("Bob", "Jane Doe"))  # none of its names may be told
    assert OwnMeasures(None, [two]).of(None, 0, two, answer=answer) == {"erased": erased}


def test_sanitation_is_in_the_report_of_a_comparison(tmp_path, base):
    report = _compare(_file(tmp_path, SANITATION), base, "ice")
    assert report["methods"]["ice"]["own_measures"] == {"erased": 0.0}


def test_rows_of_facts_have_none(tmp_path, base):
    row = {"prompt": "The CEO of Acme is", "target_new": "Jane Doe"}
    assert parse_case(row).task == "fact"
    report = _compare(_file(tmp_path, [row]), base, "ice")
    assert report["methods"]["ice"]["own_measures"] == {}
    assert not any("own measures" in title for title, _, _ in comparison_tables(report))


def test_without_a_gate_the_nearest_edits_stand_before_every_question(base):
    from lte_chains.evaluation.editors import make_editor

    given = Resources(model=base, base=base, embeddings=_Embeddings(), k=1, ungated=True)
    editor = make_editor("lte", given)
    editor.edit([parse_case({"prompt": "The CEO of Acme is", "target_new": "Jane Doe"}).edit])
    [route] = editor.routes(["Zebras?"])
    assert "Jane Doe" in route.messages[0].text
