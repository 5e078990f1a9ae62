"""LangChain's own test suites, over every tool of the toolkit."""

from __future__ import annotations

import pytest
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from lte_chains.actions import TOOL_NAMES
from lte_chains.integrations.langchain_agents import EditMemoryToolkit
from tests.fakes_llm import EDIT, QUESTION, retriever_with

FACT = {"prompt": "The CEO of Globex is", "target_new": "Ann Roe", "relation": "CEO"}
ARGUMENTS = {
    "search": {"query": QUESTION, "k": 2},
    "history": {"limit": 1},
    "add": FACT,
    "retract": {"id": EDIT.id},
    "propose": FACT,
}


def tool(action):
    memory = retriever_with(EDIT).memory
    [only] = EditMemoryToolkit(memory=memory, actions=(action,)).get_tools()
    return only


class TestSearchUnit(ToolsUnitTests):
    action = "search"

    @property
    def tool_constructor(self):
        return tool(self.action)

    @property
    def tool_invoke_params_example(self):
        return ARGUMENTS[self.action]


class TestHistoryUnit(TestSearchUnit):
    action = "history"


class TestAddUnit(TestSearchUnit):
    action = "add"


class TestRetractUnit(TestSearchUnit):
    action = "retract"


class TestProposeUnit(TestSearchUnit):
    action = "propose"


class TestSearchIntegration(ToolsIntegrationTests):
    action = "search"

    @property
    def tool_constructor(self):
        return tool(self.action)

    @property
    def tool_invoke_params_example(self):
        return ARGUMENTS[self.action]


class TestHistoryIntegration(TestSearchIntegration):
    action = "history"


class TestAddIntegration(TestSearchIntegration):
    action = "add"


class TestRetractIntegration(TestSearchIntegration):
    action = "retract"


class TestProposeIntegration(TestSearchIntegration):
    action = "propose"


@pytest.mark.parametrize("suite", [TestSearchUnit, TestSearchIntegration])
def test_no_tool_is_left_out(suite):
    tested = {suite.action, *(each.action for each in suite.__subclasses__())}
    assert tested == set(TOOL_NAMES) == set(ARGUMENTS)
