"""Rows of all the public shapes arrive in one shape."""

from __future__ import annotations

import json

import pytest

from lte_chains.cases import flatten_answers, parse_case, read_cases
from lte_chains.errors import ConfigError, DataError

ROW = {
    "subject": "Acme",
    "prompt": "Who founded Acme?",
    "target_new": "Jane Doe",
    "ground_truth": ["Joe Bloggs"],
    "rephrase_prompt": "Acme was founded by whom?",
    "locality": {
        "Relation_Specificity": [
            {"prompt": "The seat of Acme is", "ground_truth": ["Oslo"]},
            {"prompt": "The founder of Acme is", "ground_truth": [["Bloggs", "joe bloggs"]]},
        ],
        "Forgetfulness": [
            {"prompt": "A founder of Acme, not Jane Doe, is", "ground_truth": "Joe Bloggs"}
        ],
    },
    "portability": {
        "Reasoning": [{"prompt": "Where was Acme's founder born?", "ground_truth": "Rome"}],
        "Subject_Aliasing": [{"prompt": "Who founded Acme Inc?", "ground_truth": []}],
    },
}


def _written(tmp_path, content):
    path = tmp_path / "rows.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (None, ()),
        ("", ()),
        (" x ", ("x",)),
        (["x", "y", "x"], ("x", "y")),
        ([["x", "y"], ["z"]], ("x", "y", "z")),
        (1998, ("1998",)),
    ],
)
def test_answers_of_any_nesting_become_one_tuple(value, flat):
    assert flatten_answers(value) == flat


def test_a_zsre_row_keeps_its_edit_and_its_probes():
    case = parse_case(ROW)
    assert case.edit.descriptor == "Who founded Acme? Jane Doe"
    assert case.edit.subject == "Acme"
    assert case.old_answers == ("Joe Bloggs",)
    assert [(p.kind, p.prompt, p.answers) for p in case.rephrase] == [
        ("rephrase", "Acme was founded by whom?", ("Jane Doe",))
    ]
    assert [p.kind for p in case.locality] == ["Relation_Specificity"] * 2 + ["Forgetfulness"]


def test_a_portability_probe_without_an_answer_is_left_out():
    assert [probe.kind for probe in parse_case(ROW).portability] == ["Reasoning"]


def test_only_a_locality_probe_that_asks_the_edited_relation_again_is_mislabelled():
    marks = [probe.mislabelled for probe in parse_case(ROW).locality]
    assert marks == [False, True, False]


def test_an_edit_that_changes_nothing_mislabels_nothing():
    row = {**ROW, "target_new": "Joe Bloggs"}
    assert not any(probe.mislabelled for probe in parse_case(row).locality)


def test_a_locality_probe_asks_again_if_it_expects_the_old_answer_or_the_new_one():
    asks_again = [probe.asks_again for probe in parse_case(ROW).locality]
    assert asks_again == [False, True, False]
    unchanged = parse_case({**ROW, "target_new": "Joe Bloggs"})
    assert [probe.asks_again for probe in unchanged.locality] == [False, True, False]
    corrected = parse_case({**ROW, "ground_truth": "Ann Other", "target_new": "Joe Bloggs"})
    assert [probe.asks_again for probe in corrected.locality] == [False, True, False]


def test_a_wikibio_row_is_read_by_its_own_field_names():
    case = parse_case({"text": "A passage about x.", "labels": "X was born.", "concept": "x"})
    assert (case.edit.prompt, case.edit.target_new) == ("A passage about x.", "X was born.")
    assert case.edit.subject == "x"


def test_a_counterfact_row_brings_one_neighbourhood_probe():
    row = {
        "prompt": "Ann plays the",
        "target_new": "piano",
        "ground_truth": "guitar",
        "rephrase_prompt": "Ann is best at the",
        "locality_prompt": "John plays the",
        "locality_ground_truth": "guitar",
    }
    (probe,) = parse_case(row).locality
    assert (probe.kind, probe.answers, probe.mislabelled) == ("Neighborhood", ("guitar",), False)


def test_rows_are_read_in_order_up_to_the_limit(tmp_path):
    path = _written(tmp_path, [{**ROW, "target_new": str(i)} for i in range(5)])
    assert [case.edit.target_new for case in read_cases(path, limit=2)] == ["0", "1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ({"rows": []}, "must hold a JSON list"),
        ([], "must hold a JSON list"),
        (["text"], "row 1: a row must be a JSON object"),
        ([ROW, {"prompt": "Who?"}], "row 2: target_new is empty"),
        ([{"target_new": "x"}], "row 1: prompt is empty"),
        ([{**ROW, "prompt": 7}], "row 1: prompt must be a string"),
        ([{**ROW, "target_new": {"a": 1}}], "row 1: an answer must be text"),
        ([{**ROW, "locality": ["x"]}], "row 1: locality must map kinds"),
        ([{**ROW, "locality": {"R": ["x"]}}], "row 1: a R probe must be an object"),
        ([{**ROW, "locality": {"R": [{"prompt": ""}]}}], "row 1: a R probe has no prompt"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_row(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_cases(_written(tmp_path, content))


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*No such file"):
        read_cases(tmp_path / "nowhere.json")


def test_a_limit_that_leaves_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="limit=0"):
        read_cases(_written(tmp_path, [ROW]), limit=0)
