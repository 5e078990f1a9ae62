"""Every way in, in one list."""

from __future__ import annotations

from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from tests.integrations.ways.base import Way
from tests.integrations.ways.langchain_ways import (
    LCEL,
    Agent,
    AgentWithBoth,
    AgentWithMiddleware,
    Direct,
    Graph,
)
from tests.integrations.ways.llama_index_ways import Function, LlamaLLM, QueryEngine
from tests.integrations.ways.mcp_way import MCP
from tests.integrations.ways.readers import TopicEmbeddings

ANSWERING: list[type[Way]] = [
    LCEL,
    Agent,
    AgentWithMiddleware,
    AgentWithBoth,
    Graph,
    LlamaLLM,
    QueryEngine,
    Function,
]
"""Those in which a framework stands between the caller and the model."""

WAYS: list[type[Way]] = [*ANSWERING, MCP]


def fresh_retriever(*, gated: bool = True) -> EditRetriever:
    """Return a retriever over an empty memory; shared meanings decide the scope, if anything."""
    memory = EditMemory.open(":memory:", embeddings=TopicEmbeddings())
    return EditRetriever(vectorstore=memory, k=3, gate=SimilarityGate(0.6) if gated else None)


def direct(retriever: EditRetriever | None = None, *, tools: bool = False) -> Direct:
    """Return the call against which every way is held."""
    return Direct(retriever or fresh_retriever(), tools=tools)
