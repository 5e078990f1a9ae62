"""Measures against figures that were worked out by hand, case by case."""

from __future__ import annotations

import math

import pytest

from lte_chains.answers import alias_match, same_answer
from lte_chains.cases import parse_case
from lte_chains.evaluation.judging import Said, harmonic, judge_forced, judge_generated
from lte_chains.evaluation.metrics import mean_over_rows, ngram_entropy
from lte_chains.evaluation.teacher_forcing import Forced


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("Jane Doe", ["Jane Doe"], True),
        ("jane doe.", ["Jane Doe"], True),
        ("the United States", ["United States"], True),
        ("U.S.A.", ["USA"], True),
        ("New  York", ["new york"], True),
        ("an apple", ["Apple"], True),
        ("USSR", ["Soviet Union", "USSR"], True),
        ("Jane", ["Jane Doe"], False),
        ("Jane Doe, of course", ["Jane Doe"], False),
        ("", ["Jane Doe"], False),
        ("Paris", [], False),
        ("The", ["The"], True),
        ("", ["!"], False),
    ],
)
def test_an_answer_is_right_if_the_whole_of_it_is(answer, accepted, right):
    assert alias_match(answer, accepted) is right


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [("A guitar.", "guitar", True), ("", "", True), ("guitar", "piano", False), ("", "x", False)],
)
def test_locality_compares_answers_as_they_are_normalised(before, after, same):
    assert same_answer(after, before) is same


@pytest.mark.parametrize(
    ("target", "predicted", "accuracy"),
    [
        ((1,), (1,), 1.0),
        ((1,), (2,), 0.0),
        ((1, 2), (1, 3), 0.5),
        ((1, 2, 3), (3, 2, 1), 1 / 3),
        ((1, 2, 3, 4), (1, 2, 3, 9), 0.75),
        ((), (), 0.0),
    ],
)
def test_teacher_forced_accuracy_is_the_mean_over_target_tokens(target, predicted, accuracy):
    assert Forced(target, predicted).accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("before", "after", "agreement"),
    [
        ((7, 8), (7, 8), 1.0),
        ((7, 8), (7, 9), 0.5),
        ((7, 8), (8, 7), 0.0),
        # Both are wrong, and in the same way: the edit changed nothing.
        ((9, 9), (9, 9), 1.0),
    ],
)
def test_teacher_forced_locality_is_agreement_whether_right_or_wrong(before, after, agreement):
    assert Forced((1, 2), after).agreement(Forced((1, 2), before)) == agreement


@pytest.mark.parametrize(
    ("text", "entropy"),
    [
        ("", 0.0),
        ("one", 0.0),
        ("so so so so", 0.0),
        # Two bigrams, one trigram: H2 = 1, H3 = 0.
        ("a b c", 100 * (2 / 3) / 2),
        # Three bigrams, two trigrams: H2 = log2 3, H3 = 1.
        ("a b c d", 100 * (2 / 3 * math.log2(3) + 4 / 3) / 2),
        # Bigrams ab, ba, ab: H2 = log2 3 − 2/3; trigrams aba, bab: H3 = 1.
        ("a b a b", 100 * (2 / 3 * (math.log2(3) - 2 / 3) + 4 / 3) / 2),
    ],
)
def test_fluency_is_the_weighted_entropy_of_bigrams_and_trigrams(text, entropy):
    assert ngram_entropy(text) == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"edit_success": 1.0, "rephrase": 1.0, "portability": 1.0, "locality": 1.0}, 1.0),
        ({"edit_success": 1.0, "portability": 0.5, "locality": 0.5}, 0.6),
        ({"edit_success": 1.0, "locality": 0.0}, 0.0),
        ({"edit_success": 0.5, "rephrase": None, "locality": 0.5}, 0.5),
        ({}, None),
    ],
)
def test_the_harmonic_mean_is_of_the_measures_that_there_are(scores, expected):
    assert harmonic(scores) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"a": [1, 0], "b": [1]}], 0.75),
        ([{"a": [1]}, {"a": [0]}, {"a": [0]}, {"a": [1]}], 0.5),
        ([{"a": [1]}, {}], 1.0),
        ([{"a": []}], None),
    ],
)
def test_means_are_over_prompts_then_kinds_then_rows(rows, expected):
    assert mean_over_rows(rows) == expected


ROW = {
    "subject": "Acme",
    "prompt": "The CEO of Acme is",
    "target_new": "Jane Doe",
    "ground_truth": ["Old Boss"],
    "rephrase_prompt": ["Who heads Acme?", "Acme's CEO?"],
    "portability": {
        "Reasoning": [
            {"prompt": "Where was Acme's CEO born?", "ground_truth": [["Rome", "Roma"]]},
            {"prompt": "What does Acme's CEO speak?", "ground_truth": "Italian"},
        ],
        "Subject_Aliasing": [{"prompt": "The CEO of Acme Inc is", "ground_truth": "Jane Doe"}],
    },
    "locality": {
        "Relation_Specificity": [
            {"prompt": "Acme was founded by", "ground_truth": ["Ada"]},
            {"prompt": "The boss of Acme is", "ground_truth": ["Old Boss"]},  # mislabelled
        ],
        "Forgetfulness": [{"prompt": "Acme makes", "ground_truth": ["anvils"]}],
    },
}
ANSWERS = {
    "The CEO of Acme is": "jane doe",
    "Who heads Acme?": "Jane Doe",
    "Acme's CEO?": "Jane",
    "Where was Acme's CEO born?": "Roma",
    "What does Acme's CEO speak?": "English",
    "The CEO of Acme Inc is": "Jane Doe",
    "Acme was founded by": "Ada",
    "The boss of Acme is": "Jane Doe",
    "Acme makes": "Jane Doe",
}
ORIGINAL = {**ANSWERS, "The boss of Acme is": "Old Boss", "Acme makes": "nets"}


def test_a_whole_row_is_judged_as_by_hand():
    scores = judge_generated(parse_case(ROW), Said(answers=ANSWERS), Said(answers=ORIGINAL))
    assert scores == {
        "edit_success": 1.0,
        "rephrase": 0.5,
        "portability": (0.5 + 1.0) / 2,  # of the mean of two, and of one
        "portability.Reasoning": 0.5,
        "portability.Subject_Aliasing": 1.0,
        "locality": 0.5,  # the founder is kept, the product is not
        "locality_marked": 0.0,
    }


def test_measures_without_probes_are_left_out():
    bare = parse_case({"prompt": "2 + 2 is", "target_new": "5"})
    said = Said(answers={"2 + 2 is": "4"})
    assert judge_generated(bare, said, said) == {"edit_success": 0.0}
    assert judge_forced(bare, said, said) == {}


def test_a_row_is_forced_as_by_hand():
    row = {key: ROW[key] for key in ("prompt", "target_new", "ground_truth", "locality")}
    case = parse_case(row)
    after = {
        ("The CEO of Acme is", "Jane Doe"): Forced((1, 2), (1, 3)),
        ("Acme was founded by", "Ada"): Forced((4,), (5,)),
        ("The boss of Acme is", "Old Boss"): Forced((6, 7), (6, 0)),
        ("Acme makes", "anvils"): Forced((8,), (8,)),
    }
    before = {
        ("Acme was founded by", "Ada"): Forced((4,), (5,)),
        ("The boss of Acme is", "Old Boss"): Forced((6, 7), (6, 7)),
        ("Acme makes", "anvils"): Forced((8,), (9,)),
    }
    scores = judge_forced(case, Said(answers={}, forced=after), Said(answers={}, forced=before))
    # Mislabelled probes count, as they do in EasyEdit: (1 + 0.5)/2 of one kind, 0 of the other.
    assert scores == {"edit_success": 0.5, "locality": 0.375}
