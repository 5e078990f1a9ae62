"""Rows about known facts: every probe rests on a fact that the model gets right."""

from langchain_core.language_models import FakeListChatModel

from lte_chains.cases import parse_case
from lte_chains.training.known_facts import known_facts, make_rows, question
from lte_chains.training.parallel.connections import leads_on_in_training
from lte_chains.training.pretraining.rows import Fact

FACTS = [
    *(Fact(f"Person {n}", "P27", ("Peru", "Chile", "Kenya", "Norway")[n % 4]) for n in range(12)),
    Fact("Peru", "P36", "Lima"),
    Fact("Chile", "P36", "Santiago"),
    Fact("Kenya", "P36", "Nairobi"),
    Fact("Norway", "P36", "Oslo"),
    Fact("Person 1", "P19", "Arica"),
    Fact("Person 2", "P19", "Kisumu"),
]


def test_only_what_the_model_gets_right_is_known() -> None:
    known = known_facts(FakeListChatModel(responses=["Lima", "Buenos Aires"]), FACTS[12:14])
    assert known.facts == (FACTS[12],)
    assert known.recall == 0.5


def test_rows_are_knowedit_rows_whose_edit_changes_a_known_fact() -> None:
    for row in make_rows(FACTS, count=10, seed=1):
        case = parse_case(row)
        assert case.edit.target_new not in case.old_answers
        assert case.rephrase
        assert Fact(row["subject"], "P27", row["ground_truth"]) in FACTS or case.old_answers


def test_a_reasoning_probe_goes_on_by_a_known_fact_that_was_kept_for_tests() -> None:
    made = [row for seed in range(9) for row in make_rows(FACTS, count=3, seed=seed)]
    rows = [row for row in made if "bridge" in row]
    assert rows
    for row in rows:
        [probe] = row["portability"]["Reasoning"]
        bridges = [fact for fact in FACTS if fact.object == probe["ground_truth"]]
        assert row["target_new"] in {fact.subject for fact in bridges}
        assert not leads_on_in_training(row["target_new"])
        assert row["bridge"].endswith(probe["ground_truth"])


def test_locality_asks_for_other_known_facts() -> None:
    asked = {question(fact): fact.object for fact in FACTS}
    for row in make_rows(FACTS, count=10, seed=1):
        for probe in row["locality"]["Known_Facts"]:
            assert asked[probe["prompt"]] == probe["ground_truth"]
            assert row["subject"] not in probe["prompt"] or len(row["locality"]) == 1


def test_no_probe_rests_on_a_fact_that_another_row_edits() -> None:
    by_question = {question(fact): fact for fact in FACTS}
    for seed in range(5):
        rows = make_rows(FACTS, count=8, seed=seed)
        edited = {row["subject"] for row in rows}
        for row in rows:
            asked = {by_question[p["prompt"]].subject for p in row["locality"]["Known_Facts"]}
            assert not (asked - {row["subject"]}) & edited
            assert "bridge" not in row or row["target_new"] not in edited
