"""Train files are read into edits with questions in and out of their scope."""

from __future__ import annotations

import json

import pytest

from lte_chains.edit import Edit
from lte_chains.training.scope_gate.rows import (
    Group,
    read_asked_facts,
    read_facts,
    read_groups,
    without_subjects,
)

KNOWEDIT = {
    "prompt": "The mother of Ann Lee is",
    "target_new": "Eve Roe",
    "subject": "Ann Lee",
    "ground_truth": "May Lee",
    "portability": {
        "Reasoning": [
            {"prompt": "The occupation of the mother of Ann Lee is", "ground_truth": "nurse"},
            {"prompt": "The occupation of the author of Ode is", "ground_truth": "nurse"},
        ],
        "Subject_Aliasing": [{"prompt": "The mother of A. Lee is", "ground_truth": "Eve Roe"}],
        "Logical_Generalization": [
            {"prompt": "The names of the siblings of Ann Lee are", "ground_truth": "Ted"},
            {"prompt": "Who is the child of Eve Roe?", "ground_truth": "Ann Lee"},
        ],
    },
    "locality": {
        "Relation_Specificity": [
            {"prompt": "The father of Ann Lee is", "ground_truth": "Jon Lee"},
            {"prompt": "Ann Lee mother", "ground_truth": "May Lee"},
        ]
    },
}
COUNTERFACT = {
    "prompt": "Acme is based in",
    "target_new": "Oslo",
    "subject": "Acme",
    "ground_truth": "Rome",
    "rephrase_prompt": "It rained all day. The seat of Acme is in",
    "locality_prompt": "Globex is based in",
    "locality_ground_truth": "Rome",
}
POKEMQA = {
    "edit": "Acme was founded by Ann Lee",
    "questions": ["Who founded Acme?", "Who is Ann Lee?", "Who founded Acme?"],
}
HALLU = {
    "subject": "Acme",
    "relation": "country",
    "object": "Norway",
    "question": "What is the country of Acme?",
    "paraphrased_question": "Which country is Acme from?",
    "yes_question": "Is Norway the country of Acme?",
    "no_question": "Is Peru the country of Acme?",
    "locality_question": "What does Acme make?",
    "reversed_relation_question": "Which company is from Norway?",
    "question_2hop": "What is the capital of the country of Acme?",
    "question_3hop": "Which river flows through Oslo?",
}


@pytest.fixture
def data(tmp_path):
    hallu = {**HALLU, **{f"question_{n}hop": "" for n in (4, 5, 6)}}
    files = {
        "knowedit/wiki_counterfact_train_cf.json": [KNOWEDIT],
        "knowedit/wiki_recent_train.json": [],
        "counterfact/counterfact_train.json": [COUNTERFACT],
        "pokemqa/edit_questions.json": [POKEMQA],
    }
    for name, rows in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "hallueditbench").mkdir()
    table = ",".join(hallu) + "\n" + ",".join(hallu.values()) + "\n" + "," * (len(hallu) - 1) + "\n"
    (tmp_path / "hallueditbench" / "a.csv").write_text(table, encoding="utf-8")
    (tmp_path / "pararel").mkdir()
    (tmp_path / "pararel" / "facts.tsv").write_text(
        "relation\tsubject\tobject\nP36\tPeru\tLima\nP999\tPeru\tx\n", encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def groups(data):
    return {group.edit.descriptor: group for group in read_groups(data)}


def test_questions_that_only_another_fact_connects_are_no_examples(groups):
    group = groups["The mother of Ann Lee is Eve Roe"]
    assert group.inside == (
        ("prompt", "The mother of Ann Lee is"),
        ("Reasoning", "The occupation of the mother of Ann Lee is"),
        ("Subject_Aliasing", "The mother of A. Lee is"),
        ("Logical_Generalization", "Who is the child of Eve Roe?"),
    )


def test_a_locality_probe_that_asks_the_edited_fact_again_is_none(groups):
    group = groups["The mother of Ann Lee is Eve Roe"]
    assert group.outside == (("Relation_Specificity", "The father of Ann Lee is"),)


def test_a_rephrasing_behind_noise_waits_for_the_embedder(groups):
    group = groups["Acme is based in Oslo"]
    assert group.doubtful == ((COUNTERFACT["rephrase_prompt"], "The seat of Acme is in"),)
    assert group.outside == (("Neighborhood", "Globex is based in"),)


def test_a_question_that_asks_for_no_relation_is_left_out(groups):
    assert groups["Acme was founded by Ann Lee"].inside == (("question", "Who founded Acme?"),)


def test_hops_count_as_long_as_they_begin_at_the_subject(groups):
    group = groups["What is the country of Acme? Norway"]
    kinds = [kind for kind, _ in group.inside]
    assert kinds == ["prompt", "paraphrase", "confirm", "confirm", "2 hops"]
    assert group.outside == (("locality", "What does Acme make?"),)


def test_rows_without_an_object_are_passed_over(groups):
    assert len(groups) == 4


def test_only_facts_of_known_properties_are_read(data):
    [fact] = read_facts(data, {"P36": "capital"})
    assert (fact.subject, fact.relation, fact.target, fact.form) == (
        "Peru",
        "capital",
        "Lima",
        None,
    )


def test_facts_come_with_the_form_that_their_source_has(data, tmp_path):
    for name in ("easy", "hard"):
        (tmp_path / "pitfalls").mkdir(exist_ok=True)
        row = {
            "edit": {
                "relation": {"prompt": "The genre of {} is", "query": "Which genre is {}?"},
                "subject": {"label": "Ode"},
                "new_object": {"label": "poem"},
            }
        }
        (tmp_path / "pitfalls" / f"GPTJ_{name}.json").write_text(
            json.dumps([row]), encoding="utf-8"
        )
    assert {fact.form for fact in read_asked_facts(data) if fact.subject == "Ode"} == {
        "The genre of {s} is",
        "Which genre is {s}?",
    }


def test_nothing_that_mentions_a_held_out_subject_is_kept():
    group = Group(
        Edit(prompt="The mother of Ann Lee is", target_new="Eve Roe", subject="Ann Lee"),
        (("prompt", "The mother of Ann Lee is"), ("Reasoning", "Did Ann Lee meet Bob Ray?")),
    )
    assert without_subjects([group], ["Eve Roe"]) == []
    [kept] = without_subjects([group], ["Bob Ray"])
    assert [kind for kind, _ in kept.inside] == ["prompt"]
