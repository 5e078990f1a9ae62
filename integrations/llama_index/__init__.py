"""Edits in LlamaIndex: as its LLM, retriever, query engine, node postprocessor and tools.

Setup:
    ``pip install "lte-chains[llama-index]"``. Importing this package without
    it is a `MissingExtraError`.
"""

from lte_chains.errors import MissingExtraError

try:
    import llama_index.core  # noqa: F401  # asked first, so that the remedy can be named
except ImportError as error:
    raise MissingExtraError("llama-index-core", "llama-index") from error

from lte_chains.integrations.llama_index.llm import EditableLlamaLLM
from lte_chains.integrations.llama_index.postprocessor import EditNodePostprocessor
from lte_chains.integrations.llama_index.query_engine import EditableQueryEngine
from lte_chains.integrations.llama_index.retriever import EditMemoryRetriever
from lte_chains.integrations.llama_index.tools import EditMemoryToolSpec

__all__ = [
    "EditMemoryRetriever",
    "EditMemoryToolSpec",
    "EditNodePostprocessor",
    "EditableLlamaLLM",
    "EditableQueryEngine",
]
