"""Rows: in which proportions, with what beside them, and without whom."""

from __future__ import annotations

from collections import Counter

import pytest
from langchain_core.language_models import FakeListChatModel

from lte_chains.cases import parse_case
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, DataError
from lte_chains.training.parallel import (
    ParallelCase,
    ParallelConfig,
    Query,
    answer_missing,
    build_parallel_data,
    keep_own_answers,
    subjects_of,
)
from lte_chains.training.parallel.case import from_case
from lte_chains.training.parallel.extras import may_stand_beside
from tests.fakes_embeddings import BagOfWordsEmbeddings

NAMES = [f"Firm{letter}{digit}" for letter in "ABCDEFGHIJ" for digit in range(4)]


def case_of(name, number):
    return from_case(
        parse_case(
            {
                "subject": name,
                "prompt": f"The CEO of {name} is",
                "target_new": f"New{number}",
                "ground_truth": f"Old{number}",
                "rephrase_prompt": f"Who is the CEO of {name}?",
                "portability": {
                    "Reasoning": [
                        {"prompt": f"The home of the CEO of {name} is", "ground_truth": "Rome"}
                    ]
                },
                "locality": {
                    "Relation_Specificity": [
                        {"prompt": f"The seat of {name} is", "ground_truth": f"Town{number}"}
                    ]
                },
            }
        ),
        source="firms",
    )


CASES = [case_of(name, number) for number, name in enumerate(NAMES)]


def build(cases=CASES, held_out=(), **settings):
    return build_parallel_data(
        cases,
        held_out=held_out,
        config=ParallelConfig(**settings),
        embeddings=BagOfWordsEmbeddings(dim=256),
    )


def test_every_question_comes_with_its_edit_and_without_it():
    rows = build(dev_share=0).train
    edited = {(row.question, row.answer) for row in rows if row.variant == "edited"}
    unedited = {(row.question, row.answer) for row in rows if row.variant == "unedited"}
    assert ("Who is the CEO of FirmA0?", "New0") in edited
    assert ("Who is the CEO of FirmA0?", "Old0") in unedited
    assert ("The seat of FirmA0 is", "Town0") in edited & unedited
    assert {row.prompt for row in rows if row.variant == "unedited"} == {q for q, _ in unedited}


def test_what_no_source_answers_has_no_unedited_row_and_is_counted():
    data = build(dev_share=0)
    asked = {row.question for row in data.train if row.variant == "unedited"}
    assert not any(question.startswith("The home") for question in asked)
    assert data.dropped["unedited answers that no source tells"] == len(CASES)


def test_the_threefold_strategy_keeps_its_proportions_exactly():
    rows = [row for row in build(dev_share=0).train if row.variant == "edited"]
    assert Counter(len(row.facts) for row in rows) == {1: 80, 2: 40, 3: 40}


def test_the_proportions_are_parameters():
    rows = build(dev_share=0, extras=(0, 0, 0, 1.0)).train
    assert {len(row.facts) for row in rows if row.variant == "edited"} == {4}


def test_the_questions_of_a_case_can_stand_after_the_same_edits():
    rows = [r for r in build(extras=(0.0, 0.5, 0.5), together=True).train if r.variant == "edited"]
    prompts = {}
    for row in rows:
        prompts.setdefault(row.facts, set()).add(row.question)
    assert len(prompts) == len(NAMES)
    assert {len(questions) for questions in prompts.values()} == {4}
    counts = Counter(len(facts) for facts in prompts)
    assert counts == {2: len(NAMES) / 2, 3: len(NAMES) / 2}


def test_own_edits_stand_at_every_place_unless_they_are_kept_first():
    def places(rows):
        return {row.own_places[0] for row in rows if len(row.facts) == 3 and row.own_places}

    assert places(build(dev_share=0).train) == {0, 1, 2}
    assert places(build(dev_share=0, shuffle=False).train) == {0}


def test_a_share_of_rows_has_irrelevant_edits_only_and_the_old_answer():
    rows = [row for row in build(dev_share=0).train if row.variant == "irrelevant"]
    assert len(rows) == 16
    for row in rows:
        name = next(name for name in NAMES if name in row.question)
        assert row.facts
        assert not any(name in fact for fact in row.facts)
        assert row.answer.startswith(("Old", "Town"))


def test_extra_edits_are_of_other_subjects():
    for row in build(dev_share=0).train:
        name = next(name for name in NAMES if name in row.question)
        mine = [name in fact for fact in row.facts]
        assert mine == [place in row.own_places for place in range(len(row.facts))]


def test_out_of_scope_questions_can_be_left_out():
    assert {row.scope for row in build(out_of_scope=False).train} == {"in"}


def test_the_same_seed_gives_the_same_rows_and_another_one_others():
    assert build(seed=1).train == build(seed=1).train
    assert build(seed=1).train != build(seed=2).train


def test_no_edited_subject_of_dev_is_trained_on():
    data = build(dev_share=0.1)
    in_dev = {name for name in NAMES for row in data.dev if name in row.question}
    assert len(in_dev) == 4
    assert not any(name in row.prompt for row in data.train for name in in_dev)


def test_held_out_subjects_are_mentioned_nowhere():
    gossip = Query(kind="x", scope="out", prompt="Is FirmB1 big?", answer="Yes", unedited="Yes")
    cases = [*CASES, ParallelCase(source="x", edits=CASES[0].edits, queries=(gossip,))]
    data = build(cases, held_out=["firmb1", "FirmB1", "Nobody At All"], dev_share=0)
    assert not any("FirmB1" in row.prompt for row in data.train)
    assert data.dropped["held out: cases"] == 1
    assert data.dropped["held out: questions"] == 1


def test_questions_are_asked_once_and_contradictions_are_counted():
    other = ParallelCase(
        source="x",
        edits=(Edit(prompt="The CEO of Ox is", target_new="Bo", subject="Ox"),),
        queries=(
            Query(kind="y", scope="out", prompt="The seat of FirmA0 is", answer="C", unedited="C"),
        ),
    )
    data = build([*CASES, CASES[0], other], dev_share=0)
    assert data.dropped["repeated questions"] == len(CASES[0].queries)
    assert data.dropped["unedited rows that contradict an earlier one"] == 1


def test_per_kind_bounds_what_one_case_gives():
    queries = [
        Query(kind="free_text", scope="in", prompt=f"Question {n}?", answer="Bo") for n in range(9)
    ]
    case = ParallelCase(source="x", edits=CASES[0].edits, queries=tuple(queries))
    assert len(build([case], per_kind=2, dev_share=0).train) == 2
    assert len(build([case], per_kind=None, dev_share=0).train) == 9


def test_too_few_neighbours_are_counted_and_not_made_up():
    data = build(CASES[:1], dev_share=0, extras=(0, 1.0))
    assert data.dropped["extra edits that were not to be found"] == 4
    assert all(len(row.facts) <= 1 for row in data.train)


@pytest.mark.parametrize(
    ("candidate", "may"),
    [
        (Edit(prompt="The CEO of Globex is", target_new="Hank", subject="Globex"), True),
        (Edit(prompt="The seat of Acme is", target_new="Oslo", subject="Acme"), False),
        (Edit(prompt="Jane Doe lives in", target_new="Oslo", subject="Jane Doe"), False),
        (Edit(prompt="Rome lies in", target_new="Spain", subject="Rome"), False),
        (Edit(prompt="Bo works for", target_new="Acme", subject="Bo"), False),
        (Edit.from_statement("Acme has moved."), False),
        (Edit.from_statement("Globex has moved."), True),
        (Edit(prompt="Who runs Acme?", target_new="Bo"), False),
    ],
)
def test_an_extra_edit_touches_nothing_the_answer_rests_on(candidate, may):
    own = Edit(prompt="Who runs Acme?", target_new="Jane Doe", subject="Acme")
    query = Query(
        kind="multi_hop",
        scope="in",
        prompt="Where does Acme's boss live?",
        answer="Lazio",
        rests_on=("Jane Doe lives in Rome",),
    )
    assert may_stand_beside(candidate, query, [own]) is may


def test_an_own_edit_without_a_subject_shares_no_name_with_its_extras():
    query = Query(kind="free_text", scope="in", prompt="What of it?", answer="Moved.")
    own = [Edit.from_statement("Acme moved to Lisbon.")]
    about_lisbon = Edit(prompt="The mayor of Lisbon is", target_new="Bo", subject="the mayor")
    assert not may_stand_beside(about_lisbon, query, own)


def test_the_original_model_answers_what_no_source_tells():
    model = FakeListChatModel(responses=["Naples", "  "])
    cases = answer_missing(CASES[:2], model)
    assert [q.unedited for case in cases for q in case.queries if q.kind == "Reasoning"] == [
        "Naples",
        None,
    ]


def test_the_models_own_answers_stand_for_all_unedited_ones():
    [case] = keep_own_answers(CASES[:1], FakeListChatModel(responses=["own"]))
    by_scope = {query.scope: query for query in case.queries}
    assert (by_scope["in"].answer, by_scope["in"].unedited) != ("own", "Old0")
    assert by_scope["in"].unedited == "own"
    assert by_scope["out"].answer == by_scope["out"].unedited == "own"


def test_a_file_without_subjects_cannot_be_held_out():
    case = ParallelCase(source="x", edits=(Edit.from_statement("Acme moved."),), queries=())
    with pytest.raises(DataError, match=r"dev\.json names no subjects"):
        subjects_of([case], name="dev.json")


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(DataError, match="no training row is left"):
        build(CASES[:1], held_out=["FirmA0"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"extras": ()}, "shares that add up to 1"),
        ({"extras": (0.5, 0.6)}, "shares that add up to 1"),
        ({"extras": (1.5, -0.5)}, "shares that add up to 1"),
        ({"irrelevant": 1.0}, "irrelevant must be"),
        ({"dev_share": -0.1}, "dev_share must be"),
        ({"nearest": 1}, "nearest=1 edits are too few"),
        ({"per_kind": 0}, "per_kind must be"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        ParallelConfig(**setting)
