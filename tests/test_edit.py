"""Edits: what is refused, what a slot is, how validity is read."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from lte_chains.edit import MAX_ALIASES, MAX_EDIT_CHARS, Edit, EditMatch, normalise
from lte_chains.errors import InvalidEditError, LteError

CEO = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO")


def test_descriptor_is_prompt_and_target_in_one_line() -> None:
    assert CEO.descriptor == "The CEO of Acme is Jane Doe"


def test_statement_is_its_own_descriptor_and_has_no_slot() -> None:
    edit = Edit.from_statement("Acme moved to Lisbon in 2026.")
    assert edit.descriptor == "Acme moved to Lisbon in 2026."
    assert edit.slot is None


def test_statement_may_be_given_a_slot() -> None:
    edit = Edit.from_statement("Jane Doe runs Acme now.", subject="ACME", relation="ceo")
    assert edit.slot == CEO.slot


def test_slot_without_relation_is_the_prompt_whatever_its_spelling() -> None:
    one = Edit(prompt="Who runs  Acme?", target_new="Jane")
    other = Edit(prompt="who runs ACME", target_new="John", subject="Acme")
    assert one.slot == other.slot


def test_subject_and_prompt_never_share_a_slot() -> None:
    plain = Edit(prompt="acme ceo", target_new="Jane")
    assert plain.slot != CEO.slot


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "", "target_new": "x"},
        {"prompt": "x", "target_new": " \t\n"},
        {"prompt": "x\x00", "target_new": "y"},
        {"prompt": "x", "target_new": "y", "subject": " "},
        {"statement": "   "},
        {"statement": "a fact", "prompt": "x", "target_new": "y"},
        {"instruction": "Praise it."},
        {"instruction": " ", "subject": "Acme"},
        {"instruction": "Praise it.", "subject": "Acme", "statement": "a fact"},
        {"instruction": "Praise it.", "prompt": "x", "target_new": "y"},
        {"instruction": "Praise it.", "prompt": " \n"},
        {"instruction": "Praise it.", "subject": "Acme", "many_valued": True},
        {"prompt": "x" * MAX_EDIT_CHARS, "target_new": "y"},
        {"prompt": "\u200b", "target_new": "y"},
        {"prompt": "x", "target_new": "y", "subject": "x" * (MAX_EDIT_CHARS + 1)},
        {"prompt": "x", "target_new": "y", "source": "x" * (MAX_EDIT_CHARS + 1)},
        {"prompt": "x", "target_new": "y", "id": "x" * (MAX_EDIT_CHARS + 1)},
        {"prompt": "x", "target_new": "y", "metadata": None},
        {"prompt": "x", "target_new": "y", "metadata": ["a"]},
        {"prompt": 3, "target_new": "y"},
        {"prompt": "x", "target_new": "y", "valid_from": datetime(2026, 1, 1)},
        {"prompt": "x", "target_new": "y", "valid_from": "2026"},
        {
            "prompt": "x",
            "target_new": "y",
            "valid_from": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))),
        },
        {
            "prompt": "x",
            "target_new": "y",
            "valid_from": date(2026, 1, 2),
            "valid_until": date(2026, 1, 2),
        },
    ],
)
def test_bad_fields_are_refused_with_an_error_of_both_families(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidEditError) as caught:
        Edit(**fields)  # type: ignore[arg-type]
    assert isinstance(caught.value, LteError)
    assert isinstance(caught.value, ValueError)


def test_a_huge_edit_is_not_echoed_whole() -> None:
    with pytest.raises(InvalidEditError, match="1,000,006 characters") as caught:
        Edit(prompt="a" * 1_000_000, target_new="other")
    assert len(str(caught.value)) < 400


def test_validity_is_kept_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    edit = Edit(
        prompt="x",
        target_new="y",
        valid_from=date(2026, 1, 1),
        valid_until=datetime(2026, 6, 1, 9, tzinfo=tokyo),
    )
    assert edit.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert edit.valid_until == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_statement_that_is_none_is_named() -> None:
    with pytest.raises(InvalidEditError, match="statement must be a string, not NoneType"):
        Edit.from_statement(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: metadata.__setitem__("ticket", 9),
        lambda metadata: metadata.__delitem__("ticket"),
        lambda metadata: metadata.__ior__({"ticket": 9}),
        lambda metadata: metadata.update(ticket=9),
        lambda metadata: metadata.setdefault("more", 9),
        lambda metadata: metadata.pop("ticket"),
        lambda metadata: metadata.popitem(),
        lambda metadata: metadata.clear(),
    ],
)
def test_metadata_cannot_be_changed_from_outside(change: Callable[[Any], object]) -> None:
    mine = {"ticket": 7}
    edit = Edit(prompt="x", target_new="y", metadata=mine)
    mine["ticket"] = 8
    with pytest.raises(TypeError, match="frozen"):
        change(edit.metadata)
    assert edit.metadata == {"ticket": 7}


def test_edits_can_be_copied_pickled_and_dumped() -> None:
    edit = replace(CEO, metadata={"ticket": [7]})
    match = EditMatch(edit=edit, score=0.9)
    assert copy.deepcopy(match) == match
    assert pickle.loads(pickle.dumps(match)) == match
    assert asdict(match)["edit"]["metadata"] == {"ticket": [7]}
    assert json.dumps(edit.metadata) == '{"ticket": [7]}'


def test_normalise_folds_case_width_and_space() -> None:
    assert normalise("  Ｗho  RUNS\nacme？ ") == "who runs acme"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who runs Moody’s?", "Who runs Moody's?"),
        ("Who runs Moodyʼs?", "Who runs Moody‘s"),
        ("Who wrote “Ulysses”?", 'Who wrote "Ulysses"'),
        ("Who wrote « Ulysses » ?", 'Who wrote " Ulysses "?'),
        ("Who runs Ac\u200bme?", "\ufeffWho runs Ac\u00adme?"),
        ("日本の首都は。", "日本の首都は？"),
        ('Who runs "Acme"', "Who runs “Acme"),
        ("Who runs Acme? . ", "who runs acme"),
    ],
)
def test_kinds_of_quotes_and_what_cannot_be_seen_make_no_other_slot(one: str, other: str) -> None:
    assert normalise(one) == normalise(other) == normalise(normalise(one))
    assert Edit(prompt=one, target_new="x").slot == Edit(prompt=other, target_new="x").slot


def test_aliases_are_a_tuple_each_once() -> None:
    edit = replace(CEO, aliases=["Acme Corp.", "Acme Corp.", "ACME"])
    assert edit.aliases == ("Acme Corp.", "ACME")
    assert hash(edit) == hash(replace(CEO, aliases=("Acme Corp.", "ACME")))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"aliases": "Acme Corp."}, "list of names"),
        ({"aliases": 7}, "list of names"),
        ({"aliases": [7]}, "must be a string"),
        ({"aliases": [" "]}, "an alias is empty"),
        ({"aliases": ["x" * 40_000]}, "too long"),
        ({"aliases": [f"name {n}" for n in range(MAX_ALIASES + 1)]}, "too many"),
        ({"aliases": ["ACME"], "subject": None, "relation": None}, "give subject"),
        ({"many_valued": "yes"}, "bool or None"),
        ({"many_valued": 3}, "bool or None"),
    ],
)
def test_bad_aliases_and_flags_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidEditError, match=message):
        replace(CEO, **fields)


@pytest.mark.parametrize(
    ("fields", "dates"),
    [
        ({}, ""),
        ({"valid_from": date(2026, 5, 1)}, " (from 2026-05-01)"),
        ({"valid_until": date(2027, 1, 1)}, " (until 2027-01-01)"),
        (
            {"valid_from": date(2026, 5, 1), "valid_until": date(2027, 1, 1)},
            " (from 2026-05-01 until 2027-01-01)",
        ),
        (
            {"valid_from": datetime(2026, 5, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))},
            " (from 2026-05-01 12:30 UTC)",
        ),
    ],
)
def test_an_edit_with_dates_is_read_with_them(fields: dict[str, Any], dates: str) -> None:
    assert replace(CEO, **fields).dated == f"The CEO of Acme is Jane Doe{dates}"


@pytest.mark.parametrize("prompt", [True, False, 0, 7, None, ["x"]])
def test_a_statement_with_something_else_for_a_prompt_is_refused(prompt: object) -> None:
    with pytest.raises(InvalidEditError, match="not both"):
        Edit(statement="Acme moved.", prompt=prompt)  # type: ignore[arg-type]
