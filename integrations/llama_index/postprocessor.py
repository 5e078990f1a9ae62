"""EditNodePostprocessor: edits in front of retrieved nodes, and a mark on what they contradict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from pydantic import Field, InstanceOf, ValidationError

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index.nodes import as_node
from lte_chains.messages import LTE_KEY
from lte_chains.prompts import neutralise
from lte_chains.retrieval.mentions import holds_name, subject_names
from lte_chains.retrieval.value_slots import states
from lte_chains.retrieval.whole_names import holds_whole_name, plain
from lte_chains.retriever import EditRetriever, facts_among
from lte_chains.slots import is_many_valued

SUPERSEDED_BY = "superseded_by"
"""Metadata key of the mark that the model reads: the facts that override the node."""


class EditNodePostprocessor(BaseNodePostprocessor):
    """Put the edits in scope in front of the nodes, and mark nodes that they contradict.

    A node is held to be contradicted by an edit in scope if it names what the
    edit is about (the subject or one of its aliases, or without a subject the
    prompt) and does not hold the new answer, in whole words. It stays where it
    is, in a copy with two metadata: "superseded_by" has the facts, for the model;
    "lte" has the edits' ids under "contradicted_by". Edits without subject and
    prompt mark nothing, nor do those of a relation with many values, which add.

    Instantiate:
        `EditNodePostprocessor(retriever=memory.as_retriever(k=3))`, as the last
        of `node_postprocessors`: a cut-off after it would judge the edits too.

    Async:
        `apostprocess_nodes` does not block the loop.

    Raises:
        ConfigError: An argument is not of the right kind.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from llama_index.core.schema import TextNode
        >>> from lte_chains import EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits(
        ...     [Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")]
        ... )
        >>> stale = NodeWithScore(node=TextNode(text="Acme is led by John Roe."))
        >>> postprocessor = EditNodePostprocessor(retriever=memory.as_retriever())
        >>> edit, marked = postprocessor.postprocess_nodes([stale], query_str="The CEO of Acme is")
        >>> edit.text, marked.metadata["superseded_by"]
        ('The CEO of Acme is Jane Doe', 'The CEO of Acme is Jane Doe')
    """

    retriever: InstanceOf[EditRetriever] = Field(exclude=True)
    """Finds the edits that are in scope."""

    def __init__(self, **fields: Any) -> None:
        """Check the arguments."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"EditNodePostprocessor cannot be built: {error}") from error

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises it."""
        return "EditNodePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        matches = self.retriever.retrieve(query_bundle.query_str) if query_bundle else []
        return _edits_first(nodes, matches)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        matches = await self.retriever.aretrieve(query_bundle.query_str) if query_bundle else []
        return _edits_first(nodes, matches)


def _edits_first(nodes: list[NodeWithScore], matches: Sequence[EditMatch]) -> list[NodeWithScore]:
    matches = facts_among(matches)
    if not matches:
        return nodes
    edits = [as_node(match) for match in matches]
    ids = {node.node_id for node in edits}
    # An EditMemoryRetriever beside the index's own may have found them as well.
    others = [n for n in nodes if not (n.node_id in ids and LTE_KEY in n.metadata)]
    return [*edits, *(_marked(node, matches) for node in others)]


def _marked(found: NodeWithScore, matches: Sequence[EditMatch]) -> NodeWithScore:
    text = plain(found.get_content())
    against = [match.edit for match in matches if _contradicts(match.edit, text)]
    if not against:
        return found
    node = found.node
    metadata = {
        **node.metadata,
        SUPERSEDED_BY: "; ".join(neutralise(edit.dated) for edit in against),
        LTE_KEY: {"contradicted_by": [edit.id for edit in against]},
    }
    update = {
        "metadata": metadata,
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, LTE_KEY],
        "excluded_embed_metadata_keys": [
            *node.excluded_embed_metadata_keys,
            LTE_KEY,
            SUPERSEDED_BY,
        ],
    }
    # The index may hold the very node.
    return NodeWithScore(node=node.model_copy(update=update), score=found.score)


def _contradicts(edit: Edit, text: str) -> bool:
    if is_many_valued(edit) or not edit.target_new or states(text, plain(edit.target_new)):
        return False
    names = subject_names(edit)
    if not names:
        return holds_name(text, plain(edit.prompt))
    return any(holds_whole_name(text, name) for name in names)
