"""Edits as LlamaIndex nodes."""

from __future__ import annotations

from collections.abc import Iterable

from llama_index.core.schema import NodeWithScore, TextNode

from lte_chains.edit import EditMatch
from lte_chains.messages import LTE_KEY
from lte_chains.prompts import neutralise
from lte_chains.retriever import as_document, facts_among


def as_nodes(matches: Iterable[EditMatch]) -> list[NodeWithScore]:
    """Return the matches that are facts as nodes."""
    return [as_node(match) for match in facts_among(matches)]


def as_node(match: EditMatch) -> NodeWithScore:
    """Return a match as a node: what the model reads, and under "lte" where it comes from.

    The text is rendered as in the knowledge-editing prompt, for it will stand in
    somebody's template. Kept out of what models and embedders read are "lte", and metadata
    that would not come through such rendering as they are.

    Example:
        >>> from lte_chains.edit import Edit
        >>> node = as_node(EditMatch(edit=Edit(prompt="2 + 2 is", target_new="5"), score=0.9))
        >>> node.text, node.score, node.metadata["lte"]["in_scope"]
        ('2 + 2 is 5', 0.9, True)
    """
    document = as_document(match)
    hidden = [LTE_KEY, *(name for name, value in match.edit.metadata.items() if _acts(name, value))]
    fields = {} if document.id is None else {"id_": document.id}
    node = TextNode(
        text=document.page_content,
        metadata=document.metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        **fields,
    )
    return NodeWithScore(node=node, score=match.score)


def _acts(name: str, value: object) -> bool:
    """Tell whether metadata hold what could pass for a part of the prompt."""
    text = f"{name}: {value}"
    return neutralise(text) != text
