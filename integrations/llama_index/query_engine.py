"""EditableQueryEngine: retrieves with the original question, synthesises with the edited one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from langchain_core.messages import HumanMessage
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    StreamingResponse,
)
from llama_index.core.callbacks.base import CallbackManager, EventContext
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from lte_chains.editable.editing import CallEditor, EditedCall
from lte_chains.editable.query import queries_of
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index.nodes import as_nodes
from lte_chains.integrations.llama_index.planning import adeciding, decided, deciding, provenance_of
from lte_chains.integrations.llama_index.retriever import require_retriever
from lte_chains.prompts import PromptStyle
from lte_chains.retriever import EditRetriever


class EditableQueryEngine(BaseQueryEngine):
    """A query engine whose questions are edited after retrieval and before synthesis.

    The wrapped engine searches its documents with the question as it was asked,
    so that edits do not change what is found. Its synthesiser reads the
    question with the edits in front, which then stand below the documents that
    may state the old fact. If the documents give nothing but edits are in
    scope, the edits themselves are what is synthesised from.

    Instantiate:
        `EditableQueryEngine(index.as_query_engine(llm=llm), memory.as_retriever(k=3))`.
        The model in it can be any; an `EditableLlamaLLM` there does not search
        or edit a second time.

    Use:
        `query`; as the tool of an agent or a sub-question engine. Responses say
        in `metadata["lte"]` which edits were used. Streaming is the wrapped
        engine's: `index.as_query_engine(streaming=True)`.

    Async:
        `aquery` does not block the loop, if the wrapped engine does not.

    Raises:
        ConfigError: The engine cannot retrieve and synthesise apart, or the
            retriever is not one of edits.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from llama_index.core import MockEmbedding, VectorStoreIndex
        >>> from llama_index.core.llms import MockLLM
        >>> from lte_chains import Edit, EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> index = VectorStoreIndex([], embed_model=MockEmbedding(embed_dim=4))
        >>> engine = EditableQueryEngine(
        ...     index.as_query_engine(llm=MockLLM()), memory.as_retriever()
        ... )
        >>> response = engine.query("The CEO of Acme is")  # MockLLM answers with what it reads
        >>> "Jane Doe" in str(response), len(response.metadata["lte"]["edits"])
        (True, 1)
    """

    def __init__(
        self,
        query_engine: BaseQueryEngine,
        retriever: EditRetriever,
        *,
        prompt_style: PromptStyle = "training",
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Wrap a query engine.

        Args:
            query_engine: Retrieves and synthesises.
            retriever: Finds the edits that are in scope.
            prompt_style: Wording of the knowledge-editing prompt.
            callback_manager: The wrapped engine's, if None.
        """
        if not isinstance(query_engine, BaseQueryEngine):
            raise ConfigError(f"query_engine must be a LlamaIndex query engine: {query_engine!r}")
        if type(query_engine).synthesize is BaseQueryEngine.synthesize:
            raise ConfigError(
                f"a {type(query_engine).__name__} cannot retrieve and synthesise apart: wrap the "
                "engines that it chooses from, or give it an EditableLlamaLLM"
            )
        self._query_engine = query_engine
        self._retriever = require_retriever(retriever)
        self._prompt_style = prompt_style
        super().__init__(callback_manager or query_engine.callback_manager)

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve the wrapped engine's nodes, with the question as it was asked."""
        return self._query_engine.retrieve(query_bundle)

    async def aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve nodes, as `retrieve` does."""
        aretrieve = getattr(self._query_engine, "aretrieve", None)  # not all engines have it
        if aretrieve is None:
            return await asyncio.to_thread(self.retrieve, query_bundle)
        nodes: list[NodeWithScore] = await aretrieve(query_bundle)
        return nodes

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Answer from nodes, with the edits in front of the question."""
        asked = query_bundle.query_str
        plan = self._editor(asked).plan(asked, [HumanMessage(asked)], {})
        question = _edited_bundle(query_bundle, plan)
        if plan.edited and not nodes:
            nodes = as_nodes(self._retriever.retrieve(asked))
        with decided(question.query_str, plan):
            response = self._query_engine.synthesize(question, nodes, additional_source_nodes)
        return _stamped(response, question.query_str, plan)

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Answer from nodes, as `synthesize` does."""
        asked = query_bundle.query_str
        plan = await self._editor(asked).aplan(asked, [HumanMessage(asked)], {})
        question = _edited_bundle(query_bundle, plan)
        if plan.edited and not nodes:
            nodes = as_nodes(await self._retriever.aretrieve(asked))
        with decided(question.query_str, plan):
            response = await self._query_engine.asynthesize(
                question, nodes, additional_source_nodes
            )
        return _stamped(response, question.query_str, plan)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        with self._query_event(query_bundle) as event:
            response = self.synthesize(query_bundle, self.retrieve(query_bundle))
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        with self._query_event(query_bundle) as event:
            response = await self.asynthesize(query_bundle, await self.aretrieve(query_bundle))
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"query_engine": self._query_engine}

    def _query_event(self, query_bundle: QueryBundle) -> AbstractContextManager[EventContext]:
        payload: dict[str, Any] = {EventPayload.QUERY_STR.value: query_bundle.query_str}
        return self.callback_manager.event(CBEventType.QUERY, payload=payload)

    def _editor(self, asked: str) -> CallEditor:
        return CallEditor(
            retriever=self._retriever,
            query_extractor=lambda _: queries_of(asked),  # no template is around it yet
            prompt_style=self._prompt_style,
            namespace_from_config=False,
        )


def _edited_bundle(bundle: QueryBundle, call: EditedCall) -> QueryBundle:
    return replace(bundle, query_str=call.input[0].text) if call.edited else bundle


def _stamped(response: RESPONSE_TYPE, question: str, call: EditedCall) -> RESPONSE_TYPE:
    """Put the provenance on a response; a stream's model may not have been called yet."""
    response.metadata = {**(response.metadata or {}), **provenance_of(call)}
    if isinstance(response, StreamingResponse):
        response.response_gen = deciding(response.response_gen, question, call)
    elif isinstance(response, AsyncStreamingResponse):
        response.response_gen = adeciding(response.response_gen, question, call)
    return response
