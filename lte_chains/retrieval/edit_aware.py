"""EditAwareRetriever: documents of any retriever, with the edits that overrule them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, patch_config
from pydantic import Field, InstanceOf

from lte_chains.arguments import require_count
from lte_chains.edit import EditMatch
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.messages import LTE_KEY
from lte_chains.prompts import neutralise
from lte_chains.retrieval.configured import ConfiguredRetriever
from lte_chains.retrieval.contradiction import (
    Contradiction,
    ContradictionRules,
    OldValues,
    contradictions,
    known_old_values,
)
from lte_chains.retriever import EditRetriever, as_document, facts_among


class EditAwareRetriever(ConfiguredRetriever):
    """Retrieve documents, with the edits in scope in front, and the stale ones marked or dropped.

    In RAG the documents often still carry the fact that an edit replaces. Each
    edit in scope is put in as a document of its own, with its source; a document
    that it contradicts (see `lte_chains.retrieval.contradiction` for the rule) is
    marked in its metadata, or left out.

    Instantiate:
        `EditAwareRetriever(retriever=vector_store.as_retriever(), edits=memory.as_retriever())`

    Use:
        `invoke`, as any LangChain retriever. A marked document has
        ``metadata["lte"]["contradicted_by"]``, a list of edit ids, and
        ``["lte"]["stale"]``, the sentences. The run's options (see
        `ConfiguredRetriever`) hold for the edits; the retriever of documents gets
        the run's config as it is.

    Async:
        `ainvoke` does not block the loop.

    Raises:
        ConfigError: An argument is of the wrong kind.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from lte_chains import Edit, EditMemory
        >>> from lte_chains.scope import SimilarityGate
        >>> embeddings = DeterministicFakeEmbedding(size=8)
        >>> store = InMemoryVectorStore(embeddings)
        >>> _ = store.add_texts(["Acme's CEO is Bob Smith.", "Acme makes anvils."])
        >>> memory = EditMemory.open(":memory:", embeddings=embeddings)
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme",
        ...             metadata={"old_values": ["Bob Smith"]})
        >>> ids = memory.add_edits([edit])
        >>> retriever = EditAwareRetriever(retriever=store.as_retriever(), stale="drop",
        ...                                edits=memory.as_retriever(gate=SimilarityGate(0.9)))
        >>> [document.page_content for document in retriever.invoke("The CEO of Acme is")]
        ['The CEO of Acme is Jane Doe', 'Acme makes anvils.']
    """

    retriever: InstanceOf[BaseRetriever]
    """Finds the documents."""
    edits: InstanceOf[EditRetriever]
    """Finds the edits that are in scope."""
    stale: Literal["mark", "drop"] = "mark"
    """What becomes of a document that an edit contradicts."""
    k: int | None = None
    """Most documents in all, edits included, the edits first; None sets no limit."""
    rules: ContradictionRules = Field(default_factory=ContradictionRules)
    """How close a sentence must be to an edit of which it states no known old value."""
    old_values: OldValues = Field(default=known_old_values, exclude=True)
    """Says what held before an edit; by default what its metadata tell."""

    def __init__(self, **fields: Any) -> None:
        """Check the arguments."""
        for name, kind in (("retriever", BaseRetriever), ("edits", EditRetriever)):
            if not isinstance(fields.get(name), kind):
                raise ConfigError(f"{name} must be a {kind.__name__}, not {fields.get(name)!r}")
        if fields.get("stale", "mark") not in ("mark", "drop"):
            raise ConfigError(f"stale must be 'mark' or 'drop', not {fields['stale']!r}")
        if fields.get("k") is not None:
            require_count("k", fields["k"])
        super().__init__(**fields)

    @property
    def memory(self) -> EditMemory:
        """The memory whose edits are found."""
        return self.edits.memory

    def in_namespace(self, name: str) -> Self:
        """Return the same retriever with the edits of another namespace; the documents stay."""
        return self.model_copy(update={"edits": self.edits.in_namespace(name)})

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        at: datetime | None = None,
        run: RunnableConfig | None = None,
    ) -> list[Document]:
        edits, at = self._edits_for(run, at)
        config = patch_config(run, callbacks=run_manager.get_child())
        documents = self.retriever.invoke(query, config)
        matches = edits.retrieve(query, at=at)
        driver = edits.driver(at=at)
        found = driver.run(self._compared(documents, matches, driver.at))
        return self._together(documents, matches, found, k)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        at: datetime | None = None,
        run: RunnableConfig | None = None,
    ) -> list[Document]:
        edits, at = self._edits_for(run, at)
        config = patch_config(run, callbacks=run_manager.get_child())
        documents = await self.retriever.ainvoke(query, config)
        matches = await edits.aretrieve(query, at=at)
        driver = edits.driver(at=at)
        found = await driver.arun(self._compared(documents, matches, driver.at))
        return self._together(documents, matches, found, k)

    def _edits_for(
        self, run: RunnableConfig | None, at: datetime | None
    ) -> tuple[EditRetriever, datetime | None]:
        retriever, at = self._for_run(run, at)
        return retriever.edits, at

    def _compared(
        self, documents: Sequence[Document], matches: Sequence[EditMatch], at: datetime
    ) -> Any:
        edits = [match.edit for match in matches]
        return contradictions(documents, edits, rules=self.rules, old_values=self.old_values, at=at)

    def _together(
        self,
        documents: Sequence[Document],
        matches: Sequence[EditMatch],
        found: Sequence[Sequence[Contradiction]],
        k: int | None,
    ) -> list[Document]:
        most = self.k if k is None else require_count("k", k)
        kept = [
            _marked(document, wrong) if wrong else document
            for document, wrong in zip(documents, found, strict=True)
            if not wrong or self.stale == "mark"
        ]
        return [*map(_with_source, facts_among(matches)), *kept][:most]


def _with_source(match: EditMatch) -> Document:
    """Return an edit as a document, with its source where RAG chains look for it."""
    document = as_document(match)
    if match.edit.source is not None:
        document.metadata.setdefault("source", neutralise(match.edit.source))
    return document


def _marked(document: Document, wrong: Sequence[Contradiction]) -> Document:
    """Return a copy of a document that says which edits contradict it, and where."""
    mark = {
        "contradicted_by": list(dict.fromkeys(found.edit.id for found in wrong)),
        "stale": list(dict.fromkeys(found.sentence for found in wrong)),
    }
    return document.model_copy(update={"metadata": {**document.metadata, LTE_KEY: mark}})
