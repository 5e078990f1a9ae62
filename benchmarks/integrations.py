"""What each way in costs over the direct call, with a model that answers at once.

The model and the embedder cost next to nothing, so that the figures are the
library's and the frameworks' own. Each way is timed three times over: with no
edits at all (the framework alone), with a question that nothing is in scope
for, and with one that an edit is in scope for. `over_direct` holds a way over
an `EditableLLM` called directly with the same question, `over_framework` holds
it over the same framework without edits. What is timed is the processor's time,
so that other programs do not count; rounds are interleaved and medians taken.
One JSON object goes to stdout.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from time import process_time
from typing import Any

from langchain.agents import create_agent
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import START, MessagesState, StateGraph
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM

from lte_chains.actions import EditActions
from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.integrations.langchain_agents import EditMemoryMiddleware, EditMemoryToolkit
from lte_chains.integrations.llama_index import EditableLlamaLLM, EditableQueryEngine
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate

ROUNDS = 60
WARM_UP = 5
IN_SCOPE = "Who is the CEO of company 7?"
OUT_OF_SCOPE = "Which river flows through Lyon?"

Work = Callable[[str], object]


class WordEmbeddings(Embeddings):
    """Counts a text's words in hashed places."""

    fingerprint = "words:64"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the texts' vectors."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return a text's vector."""
        counts = [0.0] * 64
        for word in text.casefold().split():
            counts[zlib.crc32(word.strip("?.").encode()) % 64] += 1.0
        return counts


class WordNodeEmbedding(BaseEmbedding):
    """LlamaIndex's form of `WordEmbeddings`."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return WordEmbeddings().embed_query(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return WordEmbeddings().embed_query(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return WordEmbeddings().embed_query(text)


class InstantModel(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: Any = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Jane Doe"))])


def medians_ms(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Time all works in turn, a few times, and return each one's median in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(WARM_UP + ROUNDS):
        for name, work in works.items():
            start = process_time()
            work()
            if round_ >= WARM_UP:
                times[name].append(process_time() - start)
    return {name: round(statistics.median(taken) * 1e3, 3) for name, taken in times.items()}


def lcel(model: BaseChatModel) -> Work:
    """Return prompt | model | parser."""
    chain = ChatPromptTemplate([("human", "{question}")]) | model | StrOutputParser()
    return lambda question: chain.invoke({"question": question})


def agent(model: BaseChatModel, middleware: Sequence[Any] = ()) -> Work:
    """Return an agent without tools."""
    graph = create_agent(model, middleware=middleware)
    return lambda question: graph.invoke({"messages": [HumanMessage(question)]})


def graph(model: BaseChatModel) -> Work:
    """Return a LangGraph graph of one node."""

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", answer)
    builder.add_edge(START, "model")
    compiled = builder.compile()
    return lambda question: compiled.invoke({"messages": [HumanMessage(question)]})


def ways(retriever: EditRetriever) -> dict[str, tuple[Work, Work]]:
    """Return each way in, without edits and with them."""
    model, llama = InstantModel(), MockLLM(max_tokens=8)
    editable = EditableLLM(llm=model, retriever=retriever)
    editable_llama = EditableLlamaLLM(llm=llama, retriever=retriever)
    index = VectorStoreIndex.from_documents(
        [Document(text="Lyon has a town hall.")], embed_model=WordNodeEmbedding()
    )
    engine = index.as_query_engine(llm=llama)
    return {
        "direct": (model.invoke, editable.invoke),
        "LCEL": (lcel(model), lcel(editable)),
        "LangGraph": (graph(model), graph(editable)),
        "agent with EditableLLM": (agent(model), agent(editable)),
        "agent with middleware": (agent(model), agent(model, [EditMemoryMiddleware(retriever)])),
        "LlamaIndex LLM": (llama.complete, editable_llama.complete),
        "LlamaIndex query engine": (
            engine.query,
            EditableQueryEngine(engine, retriever).query,
        ),
    }


def measure_ways(retriever: EditRetriever) -> dict[str, dict[str, float]]:
    """Time every way in."""
    works: dict[str, Callable[[], object]] = {}
    for name, (plain, edited) in ways(retriever).items():
        works[f"{name}/framework"] = partial(plain, IN_SCOPE)
        works[f"{name}/out of scope"] = partial(edited, OUT_OF_SCOPE)
        works[f"{name}/in scope"] = partial(edited, IN_SCOPE)
    taken = medians_ms(works)
    report = {}
    for name in dict.fromkeys(key.partition("/")[0] for key in taken):
        framework, out_of_scope, in_scope = (
            taken[f"{name}/{kind}"] for kind in ("framework", "out of scope", "in scope")
        )
        report[name] = {
            "framework_ms": framework,
            "out_of_scope_ms": out_of_scope,
            "in_scope_ms": in_scope,
            "over_framework": round(in_scope / framework, 2),
            "over_direct": round(in_scope / taken["direct/in scope"], 2),
        }
    return report


def measure_tools(memory: EditMemory) -> dict[str, dict[str, float]]:
    """Time a search by tool, held over the same search called directly."""
    actions = EditActions(memory)
    [tool, _] = EditMemoryToolkit(memory=memory).get_tools()
    works: dict[str, Callable[[], object]] = {
        "direct": lambda: actions.search(IN_SCOPE),
        "LangChain tool": lambda: tool.invoke({"query": IN_SCOPE}),
    }
    taken = medians_ms(works)
    if find_spec("fastmcp"):
        taken["MCP tool, in memory"] = asyncio.run(mcp_search_ms(memory))
    direct = taken["direct"]
    return {
        name: {"ms": value, "over_direct": round(value / direct, 2)}
        for name, value in taken.items()
    }


async def mcp_search_ms(memory: EditMemory) -> float:
    """Time a search through a client and a server in one process."""
    from fastmcp import Client

    from lte_chains.integrations.mcp import build_server

    times = []
    async with Client(build_server(memory)) as client:
        for _ in range(WARM_UP + ROUNDS):
            start = process_time()
            await client.call_tool("search_edits", {"query": IN_SCOPE})
            times.append(process_time() - start)
    return round(statistics.median(times[WARM_UP:]) * 1e3, 3)


def main() -> None:
    """Measure all ways and print one JSON object."""
    memory = EditMemory.open(":memory:", embeddings=WordEmbeddings())
    memory.add_edits(
        Edit(prompt=f"The CEO of company {n} is", target_new=f"person {n}") for n in range(100)
    )
    retriever = EditRetriever(vectorstore=memory, k=3, gate=SimilarityGate(0.7))
    report = {"ways": measure_ways(retriever), "tools": measure_tools(memory)}
    print(json.dumps({"edits": 100, "rounds": ROUNDS, **report}, indent=2))


if __name__ == "__main__":
    main()
