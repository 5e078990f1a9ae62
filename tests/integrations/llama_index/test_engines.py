"""Chat engines, agents and sub-question engines, with what they keep and pass on."""

from __future__ import annotations

import json

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.tools import FunctionTool, QueryEngineTool

from lte_chains.integrations.llama_index import (
    EditableLlamaLLM,
    EditableQueryEngine,
    EditMemoryToolSpec,
)
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION
from tests.integrations.llama_index.fakes import ToolLLM, WordEmbedding, tool_call

STALE = "Bob Roe has been the CEO of Acme since 2019."
EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])


@pytest.fixture
def index():
    return VectorStoreIndex.from_documents([Document(text=STALE)], embed_model=WordEmbedding())


def chat_memory():
    """LlamaIndex's default one leaves a database connection open."""
    return ChatMemoryBuffer.from_defaults(token_limit=3000)


class TestRetrieverQueryEngine:
    async def test_model_finds_the_question_in_the_template(self, index, llm, inner):
        engine = RetrieverQueryEngine.from_args(index.as_retriever(), llm=llm)
        engine.query(QUESTION)
        await engine.aquery(QUESTION)
        for read in inner.texts:
            assert read.startswith(EDITED.removesuffix(QUESTION))
            assert STALE in read


class TestChatEngine:
    @pytest.mark.parametrize("mode", ["simple", "context", "condense_plus_context"])
    async def test_answers_are_edited_and_memory_is_not(self, index, llm, inner, mode):
        engine = index.as_chat_engine(chat_mode=mode, llm=llm, memory=chat_memory())
        engine.chat(QUESTION)
        engine.reset()
        await engine.achat(QUESTION)
        engine.reset()
        "".join(engine.stream_chat(QUESTION).response_gen)
        engine.reset()
        stream = await engine.astream_chat(QUESTION)
        [token async for token in stream.async_response_gen()]
        assert inner.texts == [EDITED] * 4
        kept = [(m.role.value, m.content) for m in engine.chat_history]
        assert kept == [("user", QUESTION), ("assistant", f"answer to {QUESTION}")]
        assert all(m.additional_kwargs == {} for m in engine.chat_history)

    def test_follow_up_finds_the_edit_of_the_question_before(self, index, llm, inner):
        engine = index.as_chat_engine(chat_mode="context", llm=llm, memory=chat_memory())
        engine.chat(QUESTION)
        engine.chat("Is he?")
        assert inner.texts[1] == knowledge_editing_prompt("Is he?", [EDIT.descriptor])

    def test_unrelated_turn_is_not_edited(self, index, llm, inner):
        index.as_chat_engine(chat_mode="context", llm=llm, memory=chat_memory()).chat(OTHER)
        assert inner.texts == [OTHER]


def weather(city: str) -> str:
    """Tell the weather."""
    return f"{city}: fine"


# LlamaIndex's workflows look at every attribute of an agent, deprecated ones too.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20:inspect")
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211:inspect")
class TestFunctionAgent:
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_every_step_is_edited_and_one_call(self, llm, inner, streaming):
        inner.scripted += [tool_call("weather", city="Oslo"), tool_call("weather", city="Rome")]
        agent = FunctionAgent(
            tools=[FunctionTool.from_defaults(weather)], llm=llm, streaming=streaming
        )
        handler = agent.run(QUESTION, memory=chat_memory())
        streamed = [e async for e in handler.stream_events() if isinstance(e, AgentStream)]
        output = await handler
        assert str(output) == f"answer to {QUESTION}"
        assert len(inner.seen) == 3
        for seen in inner.seen:
            assert [m.content for m in seen if m.role == "user"] == [EDITED]
        assert output.raw["lte"]["edits"][0]["id"] == "e1"
        assert bool(streamed) is streaming
        assert all(event.raw["lte"]["edits"] for event in streamed)

    async def test_state_keeps_the_question_as_it_was_asked(self, llm, inner):
        memory = chat_memory()
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm)
        await agent.run(QUESTION, memory=memory)
        saved = json.dumps([m.model_dump(mode="json") for m in memory.get_all()])
        assert "Updated Information" not in saved
        assert "lte" not in saved

    async def test_agent_writes_an_edit_and_the_next_answer_follows(self, llm, inner, retriever):
        retriever.memory.retract(["e1"])
        spec = EditMemoryToolSpec(memory=retriever.memory, actions=("search", "add"))
        agent = FunctionAgent(tools=spec.to_tool_list(), llm=llm)
        inner.scripted.append(
            tool_call("add_edit", prompt="The CEO of Acme is", target_new="Ann Roe")
        )
        await agent.run("Please note: Ann Roe leads Acme now.", memory=chat_memory())
        await agent.run(QUESTION, memory=chat_memory())
        assert inner.texts[-1] == knowledge_editing_prompt(QUESTION, ["The CEO of Acme is Ann Roe"])

    async def test_query_engine_as_a_tool_says_which_edits(self, index, inner, retriever):
        engine = EditableQueryEngine(index.as_query_engine(llm=ToolLLM()), retriever)
        tool = QueryEngineTool.from_defaults(engine, name="firms", description="Firms.")
        inner.scripted.append(tool_call("firms", input=QUESTION))
        output = await FunctionAgent(tools=[tool], llm=inner).run(
            "Look it up.", memory=chat_memory()
        )
        [called] = output.tool_calls
        assert called.tool_output.raw_output.metadata["lte"]["edits"][0]["id"] == "e1"


class TestSubQuestionEngine:
    @pytest.fixture
    def engine(self, index, inner, retriever):
        llm = EditableLlamaLLM(llm=inner, retriever=retriever)
        plan = {"items": [{"sub_question": QUESTION, "tool_name": "firms"}]}
        generator = ToolLLM(
            scripted=[ChatMessage(f"```json\n{json.dumps(plan)}\n```", role="assistant")]
        )
        tool = QueryEngineTool.from_defaults(
            EditableQueryEngine(index.as_query_engine(llm=llm), retriever),
            name="firms",
            description="Firms.",
        )
        return SubQuestionQueryEngine.from_defaults(
            [tool],
            llm=llm,
            question_gen=LLMQuestionGenerator.from_defaults(llm=generator),
            verbose=False,
            use_async=False,
        )

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_sub_questions_are_edited(self, engine, inner, asynchronous):
        whole = "Compare the heads of both firms."
        response = await engine.aquery(whole) if asynchronous else engine.query(whole)
        first, last = inner.texts
        assert f"Query: {EDITED}\nAnswer:" in first
        assert first.count("[Updated Information]:") == 1
        assert "Updated Information" not in last
        assert str(response) == "answer to Answer:"
