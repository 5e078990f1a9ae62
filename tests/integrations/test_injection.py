"""Hostile edits and hostile questions, through every way in: the prompt keeps its structure.

What the model read is parsed back: it must hold exactly the edits, each on its
line and neutralised, and then exactly the question.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest

from lte_chains.actions import EditActions
from lte_chains.edit import Edit
from lte_chains.prompts import editing_prefix, neutralise, split_prompt
from tests.integrations.hostile import HOSTILE
from tests.integrations.ways.all_ways import WAYS, fresh_retriever
from tests.integrations.ways.base import Ask, Way

# FunctionAgent asks for pydantic's old names while it looks for its steps.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211:inspect"),
]

SEAT = Edit(prompt="The seat of Acme is", target_new="Lisbon", subject="Acme", relation="seat")
MARKERS = re.compile(
    r"[\[［](?:Updated Information|Question|Query|INST|TOOL_CALLS|gMASK)[\]］]|<[|｜]|[|｜]>"
    r"|</?(?:s|tool_call|start_of_turn|end_of_turn)>|<</?SYS>>|[\x00-\x1f\x7f-\x9f\u2028\u202e]",
    re.IGNORECASE,
)


def hostile_edit(text: str) -> Edit:
    """Return an edit of one slot, so that each takes the place of the one before."""
    return Edit(prompt="The CEO of Acme is", target_new=text, subject="Acme", relation="CEO")


def test_there_are_forty_different_ones() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) == 40


@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.name)
def test_prompt_keeps_its_structure(kind: type[Way]) -> None:
    way = kind(fresh_retriever(gated=False))  # whatever is asked, every edit is in scope
    way.add(SEAT)
    for turn, (text, question) in enumerate(pairwise([*HOSTILE, HOSTILE[0]])):
        way.add(hostile_edit(text))
        told = way.ask(Ask(question), thread=str(turn))
        used = [edit.descriptor for edit in way.memory.get_edits([e["id"] for e in told.edits])]
        assert sorted(used) == sorted([hostile_edit(text).descriptor, SEAT.descriptor])
        assert_structure(way.read()[-1], used, question, templated=kind.templated)
    assert len(way.read()) == len(HOSTILE)


def assert_structure(read: str, edits: list[str], question: str, *, templated: bool) -> None:
    """Check a prompt that was read against what had to be in it."""
    prefix = editing_prefix(edits)
    if templated:
        before, _, read = read.partition(prefix)
        assert not MARKERS.search(before.replace("\n", " "))
        assert read.startswith(question.strip()), question
        assert "[Updated Information]:" not in read.removeprefix(question.strip())
        return
    assert read == prefix + question
    facts, asked = split_prompt(read)
    assert asked == question
    assert facts == [neutralise(edit) for edit in edits]
    for fact in facts:
        assert not MARKERS.search(fact), fact
        assert neutralise(fact) == fact


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_results_of_tools_hold_nothing_but_data(text: str) -> None:
    actions = EditActions(fresh_retriever().memory, ("search", "history", "add"))
    actions.add("The CEO of Acme is", text, subject=text[:40], relation="CEO")
    for result in (actions.search("Who is the CEO of Acme?"), actions.history()):
        [found] = json.loads(json.dumps(result))
        assert found["text"] == neutralise(f"The CEO of Acme is {text}")
        assert not MARKERS.search(found["text"] + found["subject"])
