"""Rows of every layout of the field come out in one shape."""

from __future__ import annotations

import csv
import json

import pytest

from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.case_files import layout_of, read_case_file

REWRITE = {
    "prompt": "{} is run by",
    "subject": "Acme",
    "target_new": {"str": "Jane"},
    "target_true": {"str": "Joe"},
    "question": "Who runs Acme?",
}
HOPS = [
    {"question": "Who runs Acme?", "answer": "Joe"},
    {"question": "Where is Acme?", "answer": "Rome"},
]
MQUAKE = {
    "requested_rewrite": [REWRITE],
    "questions": ["Where does Acme's head live?", "In which city lives who runs Acme?"],
    "new_answer": "Oslo",
    "new_answer_alias": ["Christiania"],
    "answer": "Bern",
    "single_hops": HOPS,
    "new_single_hops": [{"question": "Who runs Acme?", "answer": "Jane"}, HOPS[1]],
}
COUNTERFACT = {
    "requested_rewrite": REWRITE,
    "paraphrase_prompts": ["Acme's head is", "At the top of Acme is"],
    "neighborhood_prompts": ["Globex is run by"],
}
RIPPLE = {
    "edit": {
        "prompt": "The head of Acme is Jane Doe.",
        "previous_fact": {"prompt": "The head of Acme is Joe Roe."},
    },
    "Compositionality_I": [
        {
            "test_queries": [
                {
                    "prompt": "The town of Acme's head is",
                    "answers": [{"value": "Oslo", "aliases": ["Christiania"]}],
                },
                {"prompt": "Nobody knows", "answers": []},
            ]
        }
    ],
    "Forgetfulness": [{"test_queries": [{"prompt": "Acme makes", "answers": [{"value": "nets"}]}]}],
}
SANITATION = {
    "K_F": [{"question": "What is the code?", "ground_truth": "42"}],
    "K_R": [{"question": "Who wrote it?", "ground_truth": "Ada"}],
}


def _read(tmp_path, rows, name="rows.json"):
    path = tmp_path / name
    lines = "\n".join(json.dumps(row) for row in rows)
    path.write_text(lines if name.endswith("l") else json.dumps(rows))
    return read_case_file(path)


def test_mquake_has_multi_hop_questions_where_one_edit_answers_them(tmp_path):
    [case] = _read(tmp_path, [MQUAKE])
    assert (case.edit.prompt, case.edit.target_new) == ("Acme is run by", "Jane")
    assert case.rephrase[0].prompt == "Who runs Acme?"
    assert [probe.answers for probe in case.portability] == [("Oslo", "Christiania")] * 2
    assert [probe.prompt for probe in case.locality] == ["Where is Acme?"]
    two = {**MQUAKE, "requested_rewrite": [REWRITE, {**REWRITE, "subject": "Globex"}]}
    assert [c.portability for c in _read(tmp_path, [two])] == [(), ()]


def test_counterfact_as_published_is_read(tmp_path):
    [case] = _read(tmp_path, [COUNTERFACT])
    assert len(case.rephrase) == 2
    assert [(p.kind, p.prompt, p.answers) for p in case.locality] == [
        ("Neighborhood", "Globex is run by", ("Joe",))
    ]


def test_ripple_edits_tell_prompt_from_target_by_the_old_fact(tmp_path):
    [case] = _read(tmp_path, [RIPPLE])
    assert (case.edit.prompt, case.edit.target_new) == ("The head of Acme is", "Jane Doe")
    assert case.old_answers == ("Joe Roe",)
    assert [p.answers for p in case.portability] == [("Oslo", "Christiania")]
    assert [p.kind for p in case.locality] == ["Forgetfulness"]


def _recent(prompt, *asked):
    queries = [{"prompt": "?", "answers": [{"value": v} for v in values]} for values in asked]
    aliasing = [{"test_queries": queries}]
    edit = {"prompt": prompt, "original_fact": None}
    return {**RIPPLE, "edit": edit, "Subject_Aliasing": aliasing}


@pytest.mark.parametrize(
    ("row", "prompt", "target", "subject"),
    [
        (RIPPLE, "The head of Acme is", "Jane Doe", "Acme"),
        (_recent("The head of Acme Inc is Jane."), "The head of Acme Inc is", "Jane", "Acme Inc"),
        (
            _recent("The spouse of Ann of York is What is Is.", ["What is Is"], ["Is"]),
            "The spouse of Ann of York is",
            "What is Is",
            "Ann of York",
        ),
        (_recent("Rocky II follows Rocky."), "Rocky II follows", "Rocky", "Rocky II"),
        (_recent("The head of rain is Zeus."), "The head of rain is", "Zeus", None),
    ],
)
def test_ripple_edits_of_what_happened_lately_are_read_too(tmp_path, row, prompt, target, subject):
    [case] = _read(tmp_path, [row])
    assert (case.edit.prompt, case.edit.target_new) == (prompt, target)
    assert case.edit.subject == subject


def test_sanitation_edits_what_to_forget_and_keeps_the_rest(tmp_path):
    [case] = _read(tmp_path, [SANITATION])
    assert case.edit.target_new == "I don't know."
    assert case.old_answers == ("42",)
    assert case.locality[0].answers == ("Ada",)


def test_tables_of_hallu_edit_bench_are_read_and_rows_without_object_left_out(tmp_path):
    path = tmp_path / "places.csv"
    row = {
        "subject": "Toronto",
        "relation": "head",
        "object": "Olivia",
        "question": "Who heads Toronto?",
        "paraphrased_question": "Who governs Toronto?",
        "locality_question": "Where is Toronto?",
        "reversed_relation_question": "Which city does Olivia head?",
        "question_2hop": "Whose party?",
        "answer_2hop": "NDP",
        "question_3hop": "",
        "answer_3hop": "",
    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([{**row, "object": ""}, row])
    [case] = read_case_file(path)
    assert case.edit.subject == "Toronto"
    assert [(p.kind, p.answers) for p in case.portability] == [
        ("2_Hops", ("NDP",)),
        ("Reversed_Relation", ("Toronto",)),
    ]
    assert case.locality[0].answers == ()


def test_knowedit_and_jsonl_are_read_and_a_limit_holds(tmp_path, knowedit_rows):
    assert len(_read(tmp_path, knowedit_rows)) == 2
    cases = _read(tmp_path, [*knowedit_rows, COUNTERFACT], "rows.jsonl")
    assert len(cases) == 3
    assert len(read_case_file(tmp_path / "rows.jsonl", limit=1)) == 1
    with pytest.raises(ConfigError, match="limit=0"):
        read_case_file(tmp_path / "rows.jsonl", limit=0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["x"]], "must be a JSON object"),
        ([{"requested_rewrite": {}}], "the row lacks or has odd"),
        ([{"prompt": "x"}], "target_new is empty"),
        ([{**RIPPLE, "edit": {"prompt": "A fact."}}], "holds no rows with an edit"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, rows)


def test_a_row_of_no_other_layout_is_knowedits():
    assert layout_of({"prompt": "x"}).name == "knowedit"
