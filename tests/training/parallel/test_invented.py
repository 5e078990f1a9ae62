"""Invented rows: what is asked for stands where it should, or is known."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lte_chains.errors import ConfigError
from lte_chains.training.parallel import ParallelRow
from lte_chains.training.parallel.connections import connections, leads_on_in_training
from lte_chains.training.parallel.invented import OWN_ANSWER, InventedRows
from lte_chains.training.pretraining.names import Corpus, Names
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Fact
from lte_chains.training.pretraining.wording import fact_wordings, own_wordings, read_wordings

COUNTRIES = ("France", "Japan", "Peru", "Chile", "Kenya", "Norway", "Cuba", "Ghana", "Nepal")
FACTS = [Fact(name, "P36", f"Capital of {name}") for name in COUNTRIES]
FROM_AN_EDIT = ("own", "harvested", "real", "pseudo", "alias", "unknown_alias", "fact_edited")

Make = Callable[..., InventedRows]


@pytest.fixture
def make(corpus: Corpus, data_folder: Path) -> Make:
    def maker(**settings: object) -> InventedRows:
        rng = random.Random(5)
        wordings = [*own_wordings(), *read_wordings(data_folder / "rows.json")]
        phrasing = Phrasing(Names(corpus, rng), wordings, rng)
        return InventedRows(phrasing, FACTS, fact_wordings(), rng, **settings)

    return maker


def _rows(maker: InventedRows, kind: str) -> list[ParallelRow]:
    return maker.rows({kind: 60})


@pytest.mark.parametrize("kind", FROM_AN_EDIT)
def test_the_answer_is_the_target_of_the_own_edit(make: Make, kind: str) -> None:
    for row in _rows(make(), kind):
        [place] = row.own_places
        assert row.facts[place].endswith(row.answer)
        assert (row.scope, row.variant) == ("in", "edited")


def test_an_inverse_question_is_answered_by_the_edits_subject(make: Make) -> None:
    for row in _rows(make(), "inverse"):
        [place] = row.own_places
        assert row.answer in row.facts[place]


def test_a_hop_goes_on_from_the_target_by_a_known_fact(make: Make) -> None:
    objects = {fact.object: fact.subject for fact in FACTS}
    for row in _rows(make(), "hop"):
        [place] = row.own_places
        between = objects[row.answer]
        assert row.facts[place].endswith(between)
        assert between not in row.question
        assert row.answer not in " ".join(row.facts)


def test_hops_are_trained_on_some_subjects_and_kept_for_tests_on_others(make: Make) -> None:
    used = {row.answer.removeprefix("Capital of ") for row in _rows(make(), "hop")}
    assert used
    assert all(leads_on_in_training(name) for name in used)
    assert not all(leads_on_in_training(name) for name in COUNTRIES)


def test_a_hop_in_two_edits_has_both_of_them(make: Make) -> None:
    for row in _rows(make(), "hop_in_two_edits"):
        first, second = (row.facts[place] for place in row.own_places)
        assert first.endswith(row.answer) or second.endswith(row.answer)


def test_a_known_fact_beside_irrelevant_edits_keeps_its_answer(make: Make) -> None:
    for row in _rows(make(), "fact_beside_edits"):
        assert row.answer in {fact.object for fact in FACTS}
        assert row.facts
        assert not row.own_places


def test_a_question_about_a_strange_name_waits_for_the_models_own_answer(make: Make) -> None:
    for row in _rows(make(), "unknown_beside_edits"):
        assert row.answer == OWN_ANSWER
        assert row.facts
        assert (row.scope, row.variant) == ("out", "irrelevant")


def test_the_place_of_the_target_is_random_or_the_first(make: Make) -> None:
    shuffled, first = (_rows(make(shuffle=shuffle), "own") for shuffle in (True, False))
    assert {row.own_places for row in shuffled} > {(0,)}
    assert {row.own_places for row in first} == {(0,)}


def test_shares_decide_how_many_edits_stand_in_a_prompt(make: Make) -> None:
    assert {len(row.facts) for row in _rows(make(extras=(1.0,)), "own")} == {1}
    assert {len(row.facts) for row in _rows(make(extras=(0.0, 0.0, 1.0)), "own")} == {3}


def test_the_same_seed_makes_the_same_rows(make: Make) -> None:
    assert make().rows({"own": 20, "hop": 5}) == make().rows({"own": 20, "hop": 5})


def test_an_unknown_kind_is_named(make: Make) -> None:
    with pytest.raises(ConfigError, match="poem"):
        make().rows({"poem": 1})


def test_every_connection_names_what_is_taught() -> None:
    steps, properties, inverse = connections()
    assert {step.object for step in steps} == set(properties)
    assert {step.property for step in steps if step.property} <= set(fact_wordings())
    assert {name for names in properties.values() for name in names} <= set(fact_wordings())
    own = {wording.name for wording in own_wordings()}
    assert set(inverse) <= own | set(fact_wordings())


def test_instructions_stand_in_their_own_part_and_are_followed_where_they_concern(
    make: Make,
) -> None:
    followed = ignored = 0
    for row in make().rows({"instruction": 300}):
        [told] = row.instructions
        assert told.startswith("About ")
        assert f"[Instructions]:\n{told}\n\n[Question]:\n{row.question}" in row.prompt
        topic = told.removeprefix("About ").partition(": ")[0]
        if topic.casefold() in row.question.casefold():
            followed += 1
        else:
            ignored += 1
            assert row.facts[0].endswith(row.answer)
    assert followed > 3 * ignored > 0


def test_recipe_without_instructions_draws_the_rows_that_it_drew_before(make: Make) -> None:
    one, other = (make().rows({"own": 5, "hop": 5, **more}) for more in ({}, {"instruction": 0}))
    assert one == other


def test_several_questions_are_asked_after_the_same_edits(make: Make) -> None:
    rows = make(questions=6).rows({"own": 20, "hop": 20})
    by_prompt: dict[tuple[str, ...], list[ParallelRow]] = {}
    for row in rows:
        by_prompt.setdefault(row.facts, []).append(row)
    assert len(by_prompt) == 40
    assert max(map(len, by_prompt.values())) == 6
    for asked in by_prompt.values():
        assert len({row.question for row in asked}) == len(asked)
    together = [row.facts for row in rows]
    assert len([at for at in range(1, len(rows)) if together[at] != together[at - 1]]) == 39


def test_further_questions_are_about_any_edit_or_about_none(make: Make) -> None:
    rows = make(questions=6, extras=(0.0, 0.0, 1.0)).rows({"own": 40})
    places = {row.own_places for row in rows}
    assert places == {(0,), (1,), (2,), ()}
    for row in rows:
        if row.own_places:
            assert row.facts[row.own_places[0]].endswith(row.answer)
        else:
            assert (row.kind, row.variant) == ("fact_beside_edits", "irrelevant")
            assert row.answer in {fact.object for fact in FACTS}


def test_an_edit_that_stands_first_is_the_only_one_that_is_asked_about(make: Make) -> None:
    rows = make(questions=6, extras=(0.0, 0.0, 1.0), shuffle=False).rows({"own": 20})
    assert {row.own_places for row in rows} == {(0,), ()}


def test_other_names_are_of_one_edit_only(make: Make) -> None:
    for row in make(questions=4).rows({"alias": 60}):
        if row.kind == "alias":
            [place] = row.own_places
            assert row.facts[place].endswith(row.answer)


def test_edits_are_asked_back_by_targets_that_no_other_of_the_prompt_has(make: Make) -> None:
    backwards = 0
    for row in make(questions=4, extras=(0.0, 0.0, 1.0)).rows({"asked_back": 60}):
        if row.kind == "asked_back":
            [place] = row.own_places
            assert row.answer in row.facts[place]
            if not row.facts[place].endswith(row.answer):
                backwards += 1
                assert len([f for f in row.facts if f.endswith(row.facts[place][-12:])]) == 1
    assert backwards > 60


def test_edits_that_are_alike_share_words_and_are_told_apart(make: Make) -> None:
    shared = 0
    for row in make(extras=(0.0, 0.0, 1.0)).rows({"alike": 60}):
        [place] = row.own_places
        assert row.facts[place].endswith(row.answer)
        own = set(row.facts[place].split())
        shared += any(own & set(fact.split()) for fact in row.facts if fact != row.facts[place])
    assert shared > 50
