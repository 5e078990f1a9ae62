"""Tokens of a question beside an edit, and what each is marked as."""

from __future__ import annotations

from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.scope.cross_encoder import SHIPPED
from lte_chains.scope.pairs import (
    ASKS_PROMPT,
    ASKS_SUBJECT,
    ASKS_TARGET,
    EDIT_TOKENS,
    POSITIONS,
    PROMPT,
    QUESTION,
    QUESTION_TOKENS,
    SHARED,
    SUBJECT,
    TARGET,
    PairEncoder,
    with_chain,
)

CEO = Edit(prompt="The boss of Acme is", target_new="Jane Doe", subject="Acme")


@pytest.fixture(scope="module")
def encoder() -> PairEncoder:
    return PairEncoder(SHIPPED / "vocab.txt")


@pytest.fixture(scope="module")
def words() -> list[str]:
    return Path(SHIPPED / "vocab.txt").read_text(encoding="utf-8").split("\n")


def _marked(encoder: PairEncoder, words: list[str], question: str, edit: Edit):
    ids, types = encoder.pair(question, edit)
    return [(words[token], kind) for token, kind in zip(ids, types, strict=True)]


def test_every_token_says_to_which_part_it_belongs(encoder, words):
    assert _marked(encoder, words, "who runs it ?", CEO)[6:] == [
        ("the", PROMPT),
        ("boss", PROMPT),
        ("of", PROMPT),
        *[(piece, SUBJECT) for piece in ("ac", "##me")],
        ("is", PROMPT),
        ("jane", TARGET),
        ("doe", TARGET),
        ("[SEP]", PROMPT),
    ]


def test_tokens_on_both_sides_are_marked_on_both(encoder, words):
    marked = dict(_marked(encoder, words, "Is Jane the head of Acme?", CEO)[:10])
    assert marked["##me"] == ASKS_SUBJECT
    assert marked["jane"] == ASKS_TARGET
    assert marked["of"] == ASKS_PROMPT
    assert marked["head"] == QUESTION
    told = _marked(encoder, words, "Is Jane the head of Acme?", CEO)[10:]
    assert ("##me", SUBJECT + SHARED) in told
    assert ("doe", TARGET) in told


def test_case_makes_no_difference(encoder):
    assert encoder.pair("WHO RUNS ACME?", CEO) == encoder.pair("who runs acme?", CEO)


def test_a_subject_that_the_prompt_does_not_hold_is_passed_over(encoder):
    _, types = encoder.pair("who?", Edit(prompt="It is", target_new="red", subject="Mars"))
    assert SUBJECT not in types


def test_a_statement_has_no_target(encoder):
    _, types = encoder.pair("who?", Edit.from_statement("Acme moved to Oslo", subject="Acme"))
    assert SUBJECT in types
    assert TARGET not in types


def test_of_a_long_question_the_end_is_read_and_of_a_long_edit_the_beginning(encoder, words):
    edit = Edit(prompt="first " + "padding " * 999, target_new="last " * 999)
    ids, _ = encoder.pair("first " * 999 + "final", edit)
    assert len(ids) == QUESTION_TOKENS + 2 * EDIT_TOKENS + 3 == POSITIONS
    assert words[ids[QUESTION_TOKENS]] == "final"
    assert words[ids[QUESTION_TOKENS + 2]] == "first"


def test_any_text_can_be_read(encoder):
    for text in ("", "👩‍🚀 \x00\u200b", "東京タワー", "a" * 500):
        ids, types = encoder.pair(text, Edit(prompt="日本の首都は", target_new="🍣"))
        assert len(ids) == len(types) <= POSITIONS


def test_a_batch_is_padded_to_its_longest_pair(encoder):
    pairs = [encoder.pair("who?", CEO), encoder.pair("who in the world is the boss of Acme?", CEO)]
    batch = encoder.batch(pairs)
    assert batch.ids.shape == batch.types.shape == batch.mask.shape == (2, len(pairs[1][0]))
    assert batch.mask.sum(axis=1).tolist() == [len(ids) for ids, _ in pairs]


def test_a_chain_is_told_in_order():
    first, second = CEO, Edit.from_statement("Jane Doe was born in Oslo.")
    assert with_chain("Where?", [first, second]) == (
        "Where? given: The boss of Acme is Jane Doe; Jane Doe was born in Oslo."
    )
    assert with_chain("Where?", []) == "Where?"


def test_a_subject_is_called_as_the_question_calls_it(encoder):
    burma = Edit(
        prompt="The capital of Burma is", target_new="Bago", subject="Burma", aliases=("Myanmar",)
    )
    myanmar = Edit(prompt="The capital of Myanmar is", target_new="Bago", subject="Myanmar")
    asked = "What is the capital of myanmar?"
    assert encoder.pair(asked, burma) == encoder.pair(asked, myanmar)
    for other in ("What is the capital of Burma, now Myanmar?", "What is the capital of Peru?"):
        assert encoder.pair(other, burma) != encoder.pair(other, myanmar)
