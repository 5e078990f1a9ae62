"""Edits as LlamaIndex nodes."""

from __future__ import annotations

from llama_index.core.schema import NodeWithScore, TextNode

from lte_chains.edit import EditMatch
from lte_chains.messages import LTE_KEY
from lte_chains.prompts import neutralise
from lte_chains.retriever import as_document


def as_node(match: EditMatch) -> NodeWithScore:
    """Return a match as a node: what the model reads, and under "lte" where it comes from.

    The text is rendered as in the knowledge-editing prompt, for it will stand in
    somebody's template; "lte" is kept out of what models and embedders read.

    Example:
        >>> from lte_chains.edit import Edit
        >>> node = as_node(EditMatch(edit=Edit(prompt="2 + 2 is", target_new="5"), score=0.9))
        >>> node.text, node.score, node.metadata["lte"]["in_scope"]
        ('2 + 2 is 5', 0.9, True)
    """
    document = as_document(match)
    fields = {} if document.id is None else {"id_": document.id}
    node = TextNode(
        text=neutralise(document.page_content),
        metadata=document.metadata,
        excluded_llm_metadata_keys=[LTE_KEY],
        excluded_embed_metadata_keys=[LTE_KEY],
        **fields,
    )
    return NodeWithScore(node=node, score=match.score)
