"""LTE knowledge editing for LangChain and LlamaIndex.

A durable memory of edits (`EditMemory`), a retriever that finds those a
question depends on (`EditRetriever`), and a chat model that applies them
(`EditableLLM`).
"""

from lte_chains.edit import Edit, EditMatch
from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import (
    ConfigError,
    ConflictError,
    DataError,
    EmbeddingError,
    InvalidEditError,
    LteError,
    MissingExtraError,
    ModelError,
    StoreError,
    UnknownEditError,
)
from lte_chains.memory import EditMemory
from lte_chains.models import load_model
from lte_chains.retrieval.edit_aware import EditAwareRetriever
from lte_chains.retriever import EditRetriever

__all__ = [
    "ConfigError",
    "ConflictError",
    "DataError",
    "Edit",
    "EditAwareRetriever",
    "EditMatch",
    "EditMemory",
    "EditRetriever",
    "EditableLLM",
    "EmbeddingError",
    "InvalidEditError",
    "LteError",
    "MissingExtraError",
    "ModelError",
    "StoreError",
    "UnknownEditError",
    "load_model",
]
