"""Every format of the field arrives in the one shape."""

from __future__ import annotations

import json

import pytest

from lte_chains.errors import DataError
from lte_chains.prompts import knowledge_editing_prompt
from lte_chains.training.parallel import read_source

KNOWEDIT = {
    "subject": "Acme",
    "prompt": "Who founded Acme?",
    "target_new": "Jane Doe",
    "ground_truth": ["Joe Bloggs"],
    "rephrase_prompt": "By whom was Acme founded?",
    "portability": {
        "Reasoning": [{"prompt": "Where was Acme's founder born?", "ground_truth": "Rome"}],
        "Subject_Aliasing": [{"prompt": "Who founded Acme Inc?", "ground_truth": "Jane Doe"}],
    },
    "locality": {
        "Relation_Specificity": [
            {"prompt": "The seat of Acme is", "ground_truth": [["Oslo", "Kristiania"]]},
            {"prompt": "The founder of Acme is", "ground_truth": ["Joe Bloggs"]},
        ]
    },
}


@pytest.fixture
def read(tmp_path):
    def read_rows(*rows, name="rows.json", **options):
        path = tmp_path / name
        text = "\n".join(map(json.dumps, rows)) if name.endswith("l") else json.dumps(list(rows))
        path.write_text(text, encoding="utf-8")
        return read_source(path, **options)

    return read_rows


def told(case):
    return [(q.kind, q.scope, q.prompt, q.answer, q.unedited) for q in case.queries]


def test_a_knowedit_row_gives_every_kind_with_and_without_the_edit(read):
    (case,) = read(KNOWEDIT, name="zsre.json")
    assert case.source == "zsre"
    assert case.subjects == ("Acme",)
    assert told(case) == [
        ("rewrite", "in", "Who founded Acme?", "Jane Doe", "Joe Bloggs"),
        ("rephrase", "in", "By whom was Acme founded?", "Jane Doe", "Joe Bloggs"),
        ("Reasoning", "in", "Where was Acme's founder born?", "Rome", None),
        ("Subject_Aliasing", "in", "Who founded Acme Inc?", "Jane Doe", "Joe Bloggs"),
        ("Relation_Specificity", "out", "The seat of Acme is", "Oslo", "Oslo"),
    ]


def test_an_edit_that_changes_nothing_asks_nothing(read):
    (case,) = read({**KNOWEDIT, "ground_truth": "jane doe."})
    assert case.queries == ()


def test_wikibio_is_free_text(read):
    (case,) = read({"text": "About Ann. Ann is a poet.", "labels": "She is 40.", "concept": "ann"})
    assert told(case) == [("free_text", "in", "About Ann. Ann is a poet.", "She is 40.", None)]


def test_zsre_as_mend_publishes_it_asks_natural_questions_out_of_scope(read):
    (case,) = read(
        {
            "subject": "Acme",
            "src": "Who founded Acme?",
            "alt": "Jane",
            "answers": ["Joe"],
            "rephrase": "Acme was founded by whom?",
            "loc": "nq question: where is the nile",
            "loc_ans": "Africa",
        }
    )
    assert told(case)[1:] == [
        ("rephrase", "in", "Acme was founded by whom?", "Jane", "Joe"),
        ("Natural_Questions", "out", "where is the nile", "Africa", "Africa"),
    ]


def test_counterfact_as_rome_publishes_it(read):
    (case,) = read(
        {
            "case_id": 1,
            "requested_rewrite": {
                "prompt": "The mother tongue of {} is",
                "subject": "Ann",
                "relation_id": "P103",
                "target_new": {"str": "English", "id": "Q1"},
                "target_true": {"str": "French", "id": "Q2"},
            },
            "paraphrase_prompts": ["Shayna does this. Ann, a native"],
            "neighborhood_prompts": ["The mother tongue of Luc is"],
            "attribute_prompts": ["The mother tongue of Bob is"],
        }
    )
    assert case.edits[0].descriptor == "The mother tongue of Ann is English"
    assert told(case) == [
        ("rewrite", "in", "The mother tongue of Ann is", "English", "French"),
        ("rephrase", "in", "Shayna does this. Ann, a native", "English", "French"),
        ("Neighborhood", "out", "The mother tongue of Luc is", "French", "French"),
        ("Attribute", "out", "The mother tongue of Bob is", "English", "English"),
    ]


def test_mquake_puts_all_edits_of_an_instance_before_its_multi_hop_questions(read):
    hop = {"question": "What is the capital of Libya?", "cloze": "The capital of Libya is"}
    (case,) = read(
        {
            "case_id": 1,
            "requested_rewrite": [
                {
                    "prompt": "{} is a citizen of",
                    "relation_id": "P27",
                    "target_new": {"str": "Libya"},
                    "target_true": {"str": "Spain"},
                    "subject": "Vince",
                    "question": "Of which country is Vince a citizen?",
                }
            ],
            "questions": ["What is the capital of Vince's country?"],
            "answer": "Madrid",
            "new_answer": "Tripoli",
            "single_hops": [{**hop, "answer": "Tripoli"}],
            "new_single_hops": [
                {"question": "Vince's country?", "cloze": "Vince is of", "answer": "Libya"},
                {**hop, "answer": "Tripoli"},
            ],
        }
    )
    assert case.edits[0].descriptor == "Vince is a citizen of Libya"
    assert told(case) == [
        ("multi_hop", "in", "What is the capital of Vince's country?", "Tripoli", "Madrid"),
        ("rewrite", "in", "Of which country is Vince a citizen?", "Libya", "Spain"),
        ("unchanged_hop", "out", "What is the capital of Libya?", "Tripoli", "Tripoli"),
    ]
    assert case.queries[0].rests_on == ("Vince is of Libya", "The capital of Libya is Tripoli")


def ripple_test(prompt, *values, condition="OR"):
    answers = [{"value": value, "aliases": []} for value in values]
    query = {"prompt": prompt, "answers": answers, "query_type": "regular"}
    return {"test_queries": [query, query], "test_condition": condition, "condition_queries": []}


RIPPLE = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the spouse of Ann is Bob.",
        "subject_id": "Q1",
        "relation": "SPOUSE",
        "target_id": "Q2",
        "previous_fact": {"prompt": "The name of the spouse of Ann is Carl Cox."},
    },
    "Relation_Specificity": [ripple_test("The gender of Ann is", "female")],
    "Logical_Generalization": [ripple_test("The name of the spouse of Bob is", "Ann")],
    "Subject_Aliasing": [ripple_test("The name of the spouse of Annie is", "Bob")],
    "Compositionality_I": [ripple_test("Ann's spouse was born in", "Rome", condition="AND")],
    "Compositionality_II": [ripple_test("Nobody knows", *[])],
    "Forgetfulness": [],
}


def test_ripple_edits_find_the_prompt_in_what_both_facts_begin_with(read):
    (case,) = read(RIPPLE)
    assert case.edits[0].prompt == "The name of the spouse of Ann is"
    assert told(case) == [
        ("rewrite", "in", "The name of the spouse of Ann is", "Bob", "Carl Cox"),
        ("Logical_Generalization", "in", "The name of the spouse of Bob is", "Ann", None),
        ("Subject_Aliasing", "in", "The name of the spouse of Annie is", "Bob", "Carl Cox"),
        ("Compositionality_I", "in", "Ann's spouse was born in", "Rome", None),
        ("Compositionality_I", "in", "Ann's spouse was born in", "Rome", None),
        ("Relation_Specificity", "out", "The gender of Ann is", "female", "female"),
    ]


def test_a_recent_ripple_edit_without_a_previous_fact_is_a_statement(read):
    fact = {key: value for key, value in RIPPLE["edit"].items() if key != "previous_fact"}
    (case,) = read({**RIPPLE, "example_type": "recent", "edit": fact})
    assert case.edits[0].statement == "The name of the spouse of Ann is Bob."
    assert "rewrite" not in [query.kind for query in case.queries]


def lte_row(number, prompt, answer, source="zsre_train"):
    turns = [{"from": "human", "value": prompt}, {"from": "gpt", "value": answer}]
    return {"id": f"identity_{number}_{source}", "conversations": turns}


def test_lte_conversations_are_taken_apart_and_paired_with_their_unedited_twin(read):
    facts = ["Who runs Acme? Jane", "Who runs Globex? Hank"]
    cases = read(
        lte_row(0, knowledge_editing_prompt("Who runs Acme?", facts), "Jane"),
        lte_row(1, "Who runs Acme?", "Joe"),
        lte_row(2, knowledge_editing_prompt("where is the nile", facts[:1]), "Africa"),
        lte_row(3, "where is the nile", "Africa"),
        lte_row(4, knowledge_editing_prompt("Open?", facts[:1]), None),
        lte_row(0, knowledge_editing_prompt("Two hops?", facts), "Rome", source="mquake_cf"),
        name="LTE_train_data.json",
    )
    assert [[edit.statement for edit in case.edits] for case in cases] == [
        facts[:1],
        facts[:1],
        facts,
    ]
    assert [told(case)[0] for case in cases] == [
        ("lte_in_scope", "in", "Who runs Acme?", "Jane", "Joe"),
        ("lte_out_scope", "out", "where is the nile", "Africa", "Africa"),
        ("lte_in_scope", "in", "Two hops?", "Rome", None),
    ]
    assert cases[0].source == "LTE_train_data/zsre_train"


def test_convsent_takes_each_stance_in_turn(read):
    liked, disliked = read({"ent": "Tea", "pos": ["I love it.", "Great."], "neg": ["Awful."]})
    assert (liked.subjects, len(liked.queries), len(disliked.queries)) == (("Tea",), 2, 1)
    assert liked.edits[0].slot == disliked.edits[0].slot
    assert disliked.queries[0].answer == "Awful."


@pytest.mark.parametrize(("forget", "retain"), [("K_F", "K_R"), ("success", "locality")])
def test_sanitation_shares_out_what_is_to_be_retained(read, forget, retain):
    item = {
        "question": "Capital of France?",
        "target_new": "I don't know.",
        "ground_truth": "Paris",
    }
    kept = [{"question": f"Q{n}?", "ground_truth": f"A{n}"} for n in range(3)]
    first, second = read({forget: [item, item], retain: kept})
    assert told(first) == [
        ("rewrite", "in", "Capital of France?", "I don't know.", "Paris"),
        ("Retained", "out", "Q0?", "A0", "A0"),
        ("Retained", "out", "Q2?", "A2", "A2"),
    ]
    assert [query.prompt for query in second.queries][1:] == ["Q1?"]


def test_json_lines_of_ones_own_bring_edits_with_queries(read):
    queries = [
        {"prompt": "Tell me of Acme.", "answer": "Jane runs it.", "unedited": "Joe runs it."},
        {"kind": "other", "scope": "out", "prompt": "What is tea?", "answer": "A drink."},
    ]
    with_target, statement = read(
        {
            "prompt": "Acme is run by",
            "target_new": "Jane",
            "ground_truth": "Joe",
            "queries": queries,
        },
        {"statement": "Acme moved to Oslo.", "queries": queries[:1]},
        name="own.jsonl",
    )
    assert told(with_target) == [
        ("rewrite", "in", "Acme is run by", "Jane", "Joe"),
        ("free_text", "in", "Tell me of Acme.", "Jane runs it.", "Joe runs it."),
        ("other", "out", "What is tea?", "A drink.", "A drink."),
    ]
    assert len(statement.queries) == 1


def test_the_limit_counts_cases_from_the_front(read):
    rows = [{**KNOWEDIT, "target_new": f"Jane {n}"} for n in range(4)]
    assert [case.edits[0].target_new for case in read(*rows, limit=2)] == ["Jane 0", "Jane 1"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no rows"),
        (["text"], "a row is a JSON object"),
        ([{"question": "?"}], "no known format has the fields"),
        ([KNOWEDIT, {"prompt": "x"}], "row 2: target_new is empty"),
        ([{"src": "Who?", "alt": {}}], "row 1: an answer must be text"),
        ([{"requested_rewrite": {}}], "row 1 is not as the format has it"),
        ([{"prompt": "a", "target_new": "b", "queries": [{"prompt": "?"}]}], "row 1 is not as"),
        ([{"statement": "a", "queries": [{"prompt": "?", "answer": ""}]}], "needs text as its"),
        (
            [{"statement": "a", "queries": [{"prompt": "?", "answer": "b", "scope": "x"}]}],
            "scope is 'in' or 'out'",
        ),
        ([{"id": "1", "conversations": []}], "row 1 has no conversation"),
        ([{"id": "1", "conversations": [{"from": "gpt", "value": "x"}] * 2}], "expected a human"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_file_and_row(read, rows, message):
    with pytest.raises(DataError, match=message):
        read(*rows)


def test_a_format_can_be_named_and_a_wrong_name_lists_them(read):
    assert read(KNOWEDIT, format_name="knowedit")
    with pytest.raises(DataError, match=r"unknown format 'x'.*mquake"):
        read(KNOWEDIT, format_name="x")
