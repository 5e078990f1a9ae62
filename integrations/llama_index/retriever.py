"""EditMemoryRetriever: the edits in scope, as a LlamaIndex retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index.nodes import as_nodes
from lte_chains.retriever import EditRetriever


class EditMemoryRetriever(BaseRetriever):
    """Retrieve the edits that a query's answer depends on, as nodes.

    Instantiate:
        `EditMemoryRetriever(memory.as_retriever(k=3))`. How many and by which
        gate is set on that `EditRetriever`.

    Use:
        `retrieve`, alone or beside an index's own retriever, in a query engine,
        a fusion retriever or a tool. `add_edits` writes to the memory.

    Async:
        `aretrieve` and `aadd_edits` do not block the loop.

    Raises:
        ConfigError: What is given is not an `EditRetriever`.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from lte_chains import EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> retriever = EditMemoryRetriever(memory.as_retriever())
        >>> ids = retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> [node.text for node in retriever.retrieve("The CEO of Acme is")]
        ['The CEO of Acme is Jane Doe']
    """

    def __init__(self, retriever: EditRetriever, **kwargs: Any) -> None:
        """Use a retriever of edits.

        Args:
            retriever: Finds the edits in scope.
            **kwargs: LlamaIndex's own, such as `callback_manager`.
        """
        self.edit_retriever = require_retriever(retriever)
        super().__init__(**kwargs)

    def add_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory and return their ids; see `EditMemory.add_edits`."""
        return self.edit_retriever.add_edits(edits)

    async def aadd_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory, as `add_edits` does."""
        return await self.edit_retriever.aadd_edits(edits)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return as_nodes(self.edit_retriever.retrieve(query_bundle.query_str))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return as_nodes(await self.edit_retriever.aretrieve(query_bundle.query_str))


def require_retriever(retriever: object) -> EditRetriever:
    """Return a retriever of edits.

    Raises:
        ConfigError: Something else.
    """
    if isinstance(retriever, EditRetriever):
        return retriever
    raise ConfigError(
        f"retriever must be an EditRetriever, as memory.as_retriever() makes one, not {retriever!r}"
    )
