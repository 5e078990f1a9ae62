from __future__ import annotations

import json

import pytest

from lte_chains.errors import ConfigError, UnknownEditError
from lte_chains.integrations.llama_index import EditMemoryToolSpec
from tests.fakes_llm import EDIT, QUESTION

ALL = ("search", "history", "add", "retract", "propose")


def tools(spec):
    return {tool.metadata.name: tool for tool in spec.to_tool_list()}


async def call(tool, **arguments):
    """What a tool answers, the same both ways."""
    answer = json.loads(tool.call(**arguments).content)
    assert json.loads((await tool.acall(**arguments)).content) == answer
    return answer


@pytest.fixture
def memory(retriever):
    return retriever.memory


async def test_tools_are_read_only_unless_the_app_says_otherwise(memory):
    spec = EditMemoryToolSpec(memory=memory)
    assert list(tools(spec)) == ["search_edits", "edit_history"]
    for write in (spec.add_edit, spec.aadd_edit):
        with pytest.raises(ConfigError, match="not allowed"):
            _ = await result if hasattr(result := write("a", "b"), "__await__") else result
    for refused in ("add_edit", "retract_edit"):
        with pytest.raises(ConfigError, match="not allowed"):
            spec.to_tool_list([refused])[0].call(*(["x"] * (2 if refused == "add_edit" else 1)))
    assert memory.revision == 1


async def test_search_gives_the_nearest_edits(memory):
    search = tools(EditMemoryToolSpec(memory=memory))["search_edits"]
    [found] = await call(search, query=QUESTION)
    assert (found["id"], found["text"], found["subject"]) == ("e1", EDIT.descriptor, "Acme")
    assert found["score"] > 0.6


async def test_history_says_what_happened(memory):
    memory.retract(["e1"])
    history = tools(EditMemoryToolSpec(memory=memory))["edit_history"]
    assert [entry["action"] for entry in await call(history)] == ["add", "retract"]
    assert [entry["action"] for entry in await call(history, id="e1", limit=1)] == ["retract"]


async def test_allowed_writes_write(memory):
    allowed = tools(EditMemoryToolSpec(memory=memory, actions=ALL))
    assert list(allowed) == [
        "search_edits", "edit_history", "add_edit", "retract_edit", "propose_edit",
    ]  # fmt: skip
    fact = {"prompt": "The CEO of Acme is", "target_new": "Jo", "subject": "Acme"}
    added = await call(allowed["add_edit"], **fact, relation="CEO")
    assert [edit.target_new for edit in memory.edits()] == ["Jo"]
    await call(allowed["retract_edit"], id=added["id"])
    assert memory.edits() == []


async def test_proposed_edit_waits_for_approval(memory):
    propose = tools(EditMemoryToolSpec(memory=memory, actions=("propose",)))["propose_edit"]
    proposed = await call(propose, prompt="The seat of Acme is", target_new="Lisbon")
    assert [edit.id for edit in memory.edits()] == ["e1"]
    memory.approve([proposed["id"]])
    assert [(edit.target_new, edit.source) for edit in memory.edits()][1:] == [("Lisbon", "agent")]


def test_models_are_told_about_every_argument(memory):
    for tool in tools(EditMemoryToolSpec(memory=memory, actions=ALL)).values():
        schema = tool.metadata.get_parameters_dict()["properties"]
        assert schema
        assert all(field.get("description") for field in schema.values())


def test_no_argument_leaves_the_namespace(memory):
    other = memory.in_namespace("other")
    spec = EditMemoryToolSpec(memory=other, actions=ALL)
    assert spec.search_edits(QUESTION) == "[]"
    for attempt in (spec.retract_edit, spec.edit_history):
        with pytest.raises(UnknownEditError):
            attempt("e1")
    with pytest.raises(TypeError, match="namespace"):
        tools(spec)["search_edits"].call(query=QUESTION, namespace="default")


@pytest.mark.parametrize("actions", [("write",), (), "everything"])
def test_unknown_actions_are_refused(memory, actions):
    with pytest.raises(ConfigError, match="choose among"):
        EditMemoryToolSpec(memory=memory, actions=actions)


def test_something_else_than_a_memory_is_refused(retriever):
    with pytest.raises(ConfigError, match="EditMemory"):
        EditMemoryToolSpec(memory=retriever)
