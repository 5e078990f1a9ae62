"""The middleware in real agents, around a model that shows what reached it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import ConfigError
from lte_chains.integrations.langchain_agents import EditMemoryMiddleware
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
    return AIMessage("", tool_calls=[{"name": tool_name, "args": arguments, "id": f"{arguments}"}])


def asking(*texts: str) -> dict[str, list[HumanMessage]]:
    return {"messages": [HumanMessage(text) for text in texts]}


@pytest.fixture
def retriever():
    return retriever_with(EDIT)


@pytest.fixture
def inner():
    return RecordingModel()


class TestEveryEntryPoint:
    @pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "batch"])
    async def test_model_reads_the_edits_and_the_state_does_not(self, retriever, inner, way):
        agent = create_agent(inner, middleware=[EditMemoryMiddleware(retriever)])
        match way:
            case "ainvoke":
                state = await agent.ainvoke(asking(QUESTION))
            case "stream":
                *_, state = agent.stream(asking(QUESTION), stream_mode="values")
            case "astream":
                states = agent.astream(asking(QUESTION), stream_mode="values")
                *_, state = [state async for state in states]
            case "batch":
                [state] = agent.batch([asking(QUESTION)])
            case _:
                state = agent.invoke(asking(QUESTION))
        assert [seen[-1].text for seen in inner.seen] == [EDITED]
        asked, answer = state["messages"]
        assert asked.text == QUESTION
        assert "lte" not in asked.additional_kwargs
        [edit] = answer.response_metadata["lte"]["edits"]
        assert (edit["id"], answer.response_metadata["lte"]["revision"]) == ("e1", 1)

    async def test_tokens_are_streamed_once(self, retriever, inner):
        agent = create_agent(inner, middleware=[EditMemoryMiddleware(retriever)])
        chunks = agent.stream(asking(QUESTION), stream_mode="messages")
        assert "".join(chunk.text for chunk, _ in chunks) == f"answer to {QUESTION}"
        chunks = agent.astream(asking(QUESTION), stream_mode="messages")
        texts = [chunk.text async for chunk, _ in chunks]
        assert "".join(texts) == f"answer to {QUESTION}"

    def test_every_step_of_a_tool_loop_is_edited(self, retriever):
        inner = RecordingModel(scripted=[call("look_up", name=name) for name in ("Acme", "Jane")])
        agent = create_agent(inner, [look_up], middleware=[EditMemoryMiddleware(retriever)])
        runs = Runs()
        state = agent.invoke(asking(QUESTION), {"callbacks": [runs]})
        assert [seen[0].text for seen in inner.seen] == [EDITED] * 3
        assert state["messages"][0].text == QUESTION
        assert [type(m).__name__ for m in state["messages"][1:]] == [
            "AIMessage", "ToolMessage", "AIMessage", "ToolMessage", "AIMessage",
        ]  # fmt: skip
        assert len(runs.roots()) == 1
        assert runs.kinds().count("model") == runs.kinds().count("retriever") == 3

    @pytest.mark.parametrize("strategy", [Boss, ToolStrategy(Boss)])
    async def test_structured_output_is_of_the_edited_question(self, retriever, strategy):
        inner = RecordingModel(scripted=[call("Boss", name="Jane"), call("Boss", name="Jo")])
        agent = create_agent(
            inner, response_format=strategy, middleware=[EditMemoryMiddleware(retriever)]
        )
        state = agent.invoke(asking(QUESTION))
        assert state["structured_response"] == Boss(name="Jane")
        assert (await agent.ainvoke(asking(QUESTION)))["structured_response"] == Boss(name="Jo")
        assert [seen[-1].text for seen in inner.seen] == [EDITED] * 2
        assert state["messages"][1].response_metadata["lte"]["edits"]

    def test_unrelated_question_reaches_the_model_unchanged(self, retriever, inner):
        agent = create_agent(
            inner,
            system_prompt="Be brief.",
            middleware=[EditMemoryMiddleware(retriever)],
        )
        state = agent.invoke(asking(QUESTION, OTHER))
        assert inner.seen == [[SystemMessage("Be brief."), *state["messages"][:2]]]
        provenance = state["messages"][-1].response_metadata["lte"]
        assert provenance == {"edits": [], "revision": 1}

    def test_nothing_edited_is_in_a_checkpoint(self, retriever, inner):
        saver = InMemorySaver()
        agent = create_agent(
            inner, middleware=[EditMemoryMiddleware(retriever)], checkpointer=saver
        )
        config = {"configurable": {"thread_id": "1"}}
        agent.invoke(asking(QUESTION), config)
        agent.invoke(asking("And now?"), config)
        assert len(inner.seen) == 2
        assert [seen[-1].text.count("[Updated Information]") for seen in inner.seen] == [1, 1]
        assert inner.seen[1][0].text == QUESTION
        for snapshot in agent.get_state_history(config):
            assert "Updated Information" not in repr(snapshot.values)


class TestOtherModels:
    def test_editable_llm_is_not_edited_or_searched_twice(self, retriever, inner):
        agent = create_agent(
            EditableLLM(llm=inner, retriever=retriever),
            [look_up],
            middleware=[EditMemoryMiddleware(retriever)],
        )
        runs = Runs()
        state = agent.invoke(asking(QUESTION), {"callbacks": [runs]})
        agent.invoke(asking(OTHER), {"callbacks": [runs]})
        assert [seen[-1].text for seen in inner.seen] == [EDITED, OTHER]
        assert runs.queries == [QUESTION, OTHER]
        assert len(state["messages"][-1].response_metadata["lte"]["edits"]) == 1

    def test_editable_llm_out_of_the_middlewares_sight_leaves_the_marked_message(
        self, retriever, inner
    ):
        editable = EditableLLM(llm=inner, retriever=retriever)

        class Hidden(RecordingModel):
            def _generate(self, messages, stop=None, run_manager=None, **kwargs):
                return editable._generate(messages)

        agent = create_agent(Hidden(), middleware=[EditMemoryMiddleware(retriever)])
        agent.invoke(asking(QUESTION))
        assert inner.seen[0][-1].text == EDITED

    def test_namespace_of_the_run_holds_for_an_editable_llm_too(self, retriever, inner):
        agent = create_agent(
            EditableLLM(llm=inner, retriever=retriever),
            middleware=[EditMemoryMiddleware(retriever, namespace_from_config=True)],
            context_schema=dict,
        )
        agent.invoke(asking(QUESTION), context={"lte_namespace": "other"})
        assert inner.seen[0][-1].text == QUESTION

    @pytest.mark.parametrize("where", ["middleware", "editable", "own view"])
    def test_unedited_view_answers_what_is_out_of_scope(self, retriever, inner, where):
        plain = RecordingModel(label="plain")

        class WithView(RecordingModel):
            unedited = property(lambda self: plain)

        model, own = inner, plain if where == "middleware" else None
        if where == "editable":
            model = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        elif where == "own view":
            model = WithView()
        agent = create_agent(
            model, [look_up], middleware=[EditMemoryMiddleware(retriever, unedited_llm=own)]
        )
        texts = [
            agent.invoke(asking(question))["messages"][-1].text for question in (QUESTION, OTHER)
        ]
        assert texts == [f"answer to {QUESTION}", f"plain to {OTHER}"]
        assert plain.options[0]["tools"]

    def test_middleware_after_it_sees_the_edited_request_and_may_retry(self, retriever, inner):
        class Retry(AgentMiddleware):
            def wrap_model_call(self, request, handler):
                handler(request)
                return handler(request)

        agent = create_agent(inner, middleware=[EditMemoryMiddleware(retriever), Retry()])
        agent.invoke(asking(QUESTION))
        assert [seen[-1].text for seen in inner.seen] == [EDITED] * 2


@dataclass
class Tenant:
    lte_namespace: str | None


class Asked(BaseModel):
    lte_query: str


class TestRunOptions:
    @pytest.fixture
    def tenants(self, retriever):
        memory = retriever.memory.in_namespace("b")
        memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Bea", id="b1")])
        return EditMemoryMiddleware(retriever, namespace_from_config=True)

    @pytest.mark.parametrize("place", ["config", "mapping", "dataclass", "both"])
    def test_run_chooses_its_namespace(self, tenants, inner, place):
        agent = create_agent(inner, middleware=[tenants])
        config, context = {}, None
        if place in ("config", "both"):
            config = {"configurable": {"lte_namespace": "b"}}
        if place != "config":
            context = Tenant("b") if place == "dataclass" else {"lte_namespace": "b"}
        state = agent.invoke(asking(QUESTION), config, context=context)
        [edit] = state["messages"][-1].response_metadata["lte"]["edits"]
        assert edit["id"] == "b1"

    @pytest.mark.parametrize(
        ("context", "message"),
        [
            ({"lte_namespace": "a"}, "give one of them"),
            (Tenant(None), "give one of them"),
            ({"lte_namespce": "b"}, "unknown configurable"),
        ],
    )
    async def test_contradictions_and_misspellings_are_errors(
        self, tenants, inner, context, message
    ):
        agent = create_agent(inner, middleware=[tenants])
        config = {"configurable": {"lte_namespace": "b"}}
        with pytest.raises(ConfigError, match=message):
            agent.invoke(asking(QUESTION), config, context=context)
        with pytest.raises(ConfigError, match=message):
            await agent.ainvoke(asking(QUESTION), config, context=context)
        assert inner.seen == []

    @pytest.mark.parametrize("context", [Tenant("b"), Tenant(None)])
    def test_namespace_without_the_switch_is_an_error_and_so_is_none(
        self, retriever, inner, context
    ):
        agent = create_agent(inner, middleware=[EditMemoryMiddleware(retriever)])
        with pytest.raises(ConfigError, match="lte_namespace"):
            agent.invoke(asking(QUESTION), context=context)
        assert inner.seen == []

    @pytest.mark.parametrize("context", [Asked(lte_query=QUESTION), {"lte_query": QUESTION}])
    def test_run_says_what_to_search_with(self, retriever, inner, context):
        agent = create_agent(inner, middleware=[EditMemoryMiddleware(retriever)])
        agent.invoke(asking("?"), context=context)
        assert inner.seen[0][-1].text == knowledge_editing_prompt("?", [EDIT.descriptor])

    def test_query_extractor_and_wording_are_those_of_the_middleware(self, retriever, inner):
        middleware = EditMemoryMiddleware(
            retriever, query_extractor=lambda _: QUESTION, prompt_style="figure"
        )
        create_agent(inner, middleware=[middleware]).invoke(asking("?"))
        assert inner.seen[0][-1].text == knowledge_editing_prompt(
            "?", [EDIT.descriptor], style="figure"
        )


def test_request_made_by_hand_needs_no_graph(retriever, inner):
    request = ModelRequest(model=inner, messages=[HumanMessage(QUESTION)])
    seen = []

    def handler(edited):
        seen.append(edited.messages[-1].text)
        return ModelResponse(result=[AIMessage("Jane")])

    response = EditMemoryMiddleware(retriever).wrap_model_call(request, handler)
    assert seen == [EDITED]
    assert request.messages[-1].text == QUESTION
    assert response.result[0].response_metadata["lte"]["edits"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"retriever": None}, "retriever"),
        ({"unedited_llm": RunnableLambda(lambda x: x)}, "unedited_llm"),
    ],
)
def test_wrong_arguments_are_named(retriever, arguments, named):
    with pytest.raises(ConfigError, match=named):
        EditMemoryMiddleware(**{"retriever": retriever, **arguments})
