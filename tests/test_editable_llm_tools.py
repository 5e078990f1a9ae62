from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableBinding, RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel

from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import ConfigError
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, Runs, retriever_with

EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])


@tool
def look_up(name: str) -> str:
    """Look a name up."""
    return f"found {name}"


class Boss(BaseModel):
    """A person in charge."""

    name: str


def call(tool_name: str, **arguments: str) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"name": tool_name, "args": arguments, "id": f"c-{arguments}"}]
    )


@pytest.fixture
def retriever():
    return retriever_with(EDIT)


class TestTools:
    def test_binding_tools_keeps_editing(self, retriever):
        inner = RecordingModel()
        bound = EditableLLM(llm=inner, retriever=retriever).bind_tools([look_up], tool_choice="any")
        assert isinstance(bound, RunnableBinding)
        assert bound.kwargs["tools"][0]["function"]["name"] == "look_up"
        answer = bound.invoke(QUESTION)
        assert inner.seen[0][-1].text == EDITED
        assert inner.options[0]["tool_choice"] == "any"
        assert answer.response_metadata["lte"]["edits"]

    def test_unedited_model_of_another_make_gets_its_own_form_of_tools(self, retriever):
        inner, plain = RecordingModel(), RecordingModel(tools_style="functions")
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        bound = llm.bind_tools([look_up])
        bound.invoke(QUESTION, temperature=1)
        bound.invoke(OTHER, temperature=1)
        assert inner.options[0].keys() == {"stop", "tools", "temperature"}
        assert plain.options[0].keys() == {"stop", "functions", "temperature"}

    @pytest.mark.parametrize("kind", ["a new model", "itself", "nested bindings"])
    def test_every_way_in_which_models_bind_tools_is_understood(self, retriever, kind):
        class Other(RecordingModel):
            def bind_tools(self, tools, **kwargs):
                if kind == "a new model":
                    return self.model_copy(update={"label": "bound"})
                return self if kind == "itself" else super().bind_tools(tools).bind(extra=1)

        inner = Other()
        bound = EditableLLM(llm=inner, retriever=retriever).bind_tools([look_up])
        assert isinstance(bound, RunnableBinding)
        assert bound.invoke(QUESTION).text.split()[0] == (
            "bound" if kind == "a new model" else "answer"
        )
        assert inner.seen[0][-1].text == EDITED
        assert ("extra" in inner.options[0]) == (kind == "nested bindings")

    def test_binding_that_cannot_be_edited_is_an_error(self, retriever):
        class Odd(RecordingModel):
            def bind_tools(self, tools, **kwargs):
                return RunnableLambda(lambda _: AIMessage("?"))

        with pytest.raises(ConfigError, match="RunnableLambda"):
            EditableLLM(llm=Odd(), retriever=retriever).bind_tools([look_up])

    def test_model_without_tools_says_so(self, retriever):
        class Plain(RecordingModel):
            bind_tools = BaseChatModel.bind_tools

        with pytest.raises(NotImplementedError):
            EditableLLM(llm=Plain(), retriever=retriever).bind_tools([look_up])

    async def test_every_step_of_a_tool_loop_is_edited_and_no_state_is(self, retriever):
        inner = RecordingModel(scripted=[call("look_up", name=name) for name in ("Acme", "Jane")])
        agent = create_agent(EditableLLM(llm=inner, retriever=retriever), [look_up])
        runs = Runs()
        state = await agent.ainvoke({"messages": [HumanMessage(QUESTION)]}, {"callbacks": [runs]})
        assert len(inner.seen) == 3
        assert {seen[0].text for seen in inner.seen} == {EDITED}
        assert state["messages"][0].text == QUESTION
        assert not any("lte" in m.additional_kwargs for m in state["messages"])
        assert [type(m) for m in state["messages"]] == [
            HumanMessage, AIMessage, ToolMessage, AIMessage, ToolMessage, AIMessage,
        ]  # fmt: skip
        assert state["messages"][-1].response_metadata["lte"]["edits"]
        assert len(runs.roots()) == 1

    def test_bound_model_streams_batches_and_takes_configs(self, retriever):
        inner = RecordingModel()
        bound = EditableLLM(llm=inner, retriever=retriever).bind_tools([look_up])
        list(bound.stream(QUESTION))
        bound.batch([QUESTION, OTHER])
        bound.with_config(configurable={"lte_query": QUESTION}).invoke("?")
        assert [EDIT.descriptor in seen[-1].text for seen in inner.seen].count(True) == 3
        assert all("tools" in options for options in inner.options)


class TestStructuredOutput:
    @pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "batch"])
    async def test_structured_output_is_of_the_edited_question(self, retriever, way):
        inner = RecordingModel(scripted=[call("Boss", name="Jane")])
        llm = EditableLLM(llm=inner, retriever=retriever).with_structured_output(Boss)
        match way:
            case "ainvoke":
                result = await llm.ainvoke(QUESTION)
            case "stream":
                *_, result = llm.stream(QUESTION)
            case "astream":
                *_, result = [chunk async for chunk in llm.astream(QUESTION)]
            case "batch":
                [result] = llm.batch([QUESTION])
            case _:
                result = llm.invoke(QUESTION)
        assert result == Boss(name="Jane")
        assert inner.seen[0][-1].text == EDITED
        assert len(inner.seen) == 1

    @pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
    async def test_raw_message_carries_provenance(self, retriever, way):
        inner = RecordingModel(scripted=[call("Boss", name="Jane")])
        llm = EditableLLM(llm=inner, retriever=retriever)
        structured = llm.with_structured_output(Boss, include_raw=True)
        match way:
            case "ainvoke":
                result = await structured.ainvoke(QUESTION)
            case "stream":
                result = merged(list(structured.stream(QUESTION)))
            case "astream":
                result = merged([chunk async for chunk in structured.astream(QUESTION)])
            case _:
                result = structured.invoke(QUESTION)
        assert [e["id"] for e in result["raw"].response_metadata["lte"]["edits"]] == ["e1"]

    def test_unrelated_question_goes_to_the_unedited_view_unchanged(self, retriever):
        inner = RecordingModel()
        plain = RecordingModel(scripted=[call("Boss", name="Rhone")])
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        messages = [HumanMessage(OTHER)]
        assert llm.with_structured_output(Boss).invoke(messages) == Boss(name="Rhone")
        assert plain.seen[0][0] is messages[0]

    def test_search_and_model_are_in_one_trace(self, retriever):
        runs = Runs()
        inner = RecordingModel(scripted=[call("Boss", name="Jane")])
        llm = EditableLLM(llm=inner, retriever=retriever).with_structured_output(Boss)
        llm.invoke(QUESTION, {"callbacks": [runs]})
        assert len(runs.roots()) == 1
        assert runs.kinds().count("model") == runs.kinds().count("retriever") == 1

    def test_agent_with_a_response_format_gets_it(self, retriever):
        inner = RecordingModel(scripted=[call("Boss", name="Jane")])
        agent = create_agent(EditableLLM(llm=inner, retriever=retriever), [], response_format=Boss)
        state = agent.invoke({"messages": [HumanMessage(QUESTION)]})
        assert state["structured_response"] == Boss(name="Jane")
        assert inner.seen[0][0].text == EDITED


def merged(chunks):
    full = chunks[0]
    for chunk in chunks[1:]:
        full = full + chunk
    return full
