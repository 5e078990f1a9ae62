"""EditRetriever: search the memory, gate what was found, keep the best k."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.runnables import run_in_executor
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import Field

from lte_chains.arguments import require_count, require_query
from lte_chains.edit import Edit, EditMatch, normalise
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.scope import ScopeGate, SimilarityGate

CANDIDATES = 10
"""How many edits are searched and gated, at least; k of those in scope are kept."""


class EditRetriever(VectorStoreRetriever):
    """Retrieve the edits that a query's answer depends on.

    Instantiate:
        `memory.as_retriever(k=3)`, or `EditRetriever(vectorstore=memory, k=3)`.
        LangChain's `search_kwargs={"k": 3, "filter": {…}}` is understood too.

    Use:
        `retrieve` gives `EditMatch`es, `invoke` the same as Documents, with
        callbacks. `add_edits` writes to the memory.

    Async:
        `aretrieve`, `acandidates`, `aadd_edits` and `ainvoke` do not block the loop.

    Raises:
        ConfigError: The vector store is not an `EditMemory`, k is not a positive
            whole number, the search type is not "similarity", or a search
            argument is unknown.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from lte_chains import Edit, EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> retriever = EditRetriever(vectorstore=memory, k=1, gate=SimilarityGate(0.9))
        >>> ids = retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> [match.edit.target_new for match in retriever.retrieve("The CEO of Acme is")]
        ['Jane Doe']
    """

    vectorstore: EditMemory
    """The memory that is searched."""
    k: int = 3
    """Most edits that one query gets; the LTE paper uses 3."""
    gate: ScopeGate | None = Field(default_factory=SimilarityGate)
    """Decides what is in scope: by default the similarity gate, with the threshold that was
    calibrated for the memory's embedder. An explicit None holds everything in scope."""

    allowed_search_types: ClassVar[Collection[str]] = ("similarity",)

    def __init__(self, **fields: Any) -> None:
        """Check what LangChain's own constructor would accept and then ignore."""
        super().__init__(**_checked(fields))

    @property
    def memory(self) -> EditMemory:
        """The memory that is searched."""
        return self.vectorstore

    def retrieve(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return the edits in scope, best first, at most `k` of them.

        Args:
            query: The question, without any template around it.
            k: Most edits to return; the retriever's own `k` if None.
            at: The moment at which edits must hold; now if None.

        Raises:
            ConfigError: k is not a positive whole number, or the query is no text.
        """
        wanted = self._wanted(k)
        return _best(self.candidates(query, k=wanted, at=at), wanted)

    async def aretrieve(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return the edits in scope, as `retrieve` does."""
        wanted = self._wanted(k)
        return _best(await self.acandidates(query, k=wanted, at=at), wanted)

    def candidates(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return all edits that were judged, in scope or not, nearest first.

        Ten edits are judged (`k`, if that is more); of edits that say the same,
        only the nearest.

        Raises:
            ConfigError: k is not a positive whole number.
        """
        pool = size = max(self._wanted(k), CANDIDATES)
        if not require_query(query).strip():
            return []
        while True:
            found = self.memory.search_edits(query, size, at=at, **self.search_kwargs)
            distinct = _distinct(found)
            if len(distinct) >= pool or len(found) < size:
                break
            size *= 2
        return self._judge(query, distinct[:pool])

    async def acandidates(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return all edits that were judged, as `candidates` does."""
        pool = size = max(self._wanted(k), CANDIDATES)
        if not require_query(query).strip():
            return []
        while True:
            found = await self.memory.asearch_edits(query, size, at=at, **self.search_kwargs)
            distinct = _distinct(found)
            if len(distinct) >= pool or len(found) < size:
                break
            size *= 2
        # A gate may run a model, and judge() is synchronous.
        return await run_in_executor(None, self._judge, query, distinct[:pool])

    def add_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory and return their ids; see `EditMemory.add_edits`."""
        return self.memory.add_edits(edits)

    async def aadd_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory, as `add_edits` does."""
        return await self.memory.aadd_edits(edits)

    def in_namespace(self, name: str) -> EditRetriever:
        """Return the same retriever over another namespace of the memory."""
        return self.model_copy(update={"vectorstore": self.memory.in_namespace(name)})

    # The base class takes any keyword; here one that is not known is an error.
    def _get_relevant_documents(  # type: ignore[override]
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
        at: datetime | None = None,
    ) -> list[Document]:
        return [as_document(match) for match in self.retrieve(query, k=k, at=at)]

    async def _aget_relevant_documents(  # type: ignore[override]
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
        at: datetime | None = None,
    ) -> list[Document]:
        return [as_document(match) for match in await self.aretrieve(query, k=k, at=at)]

    def _wanted(self, k: int | None) -> int:
        return require_count("k", self.k if k is None else k)

    def _judge(self, query: str, matches: list[EditMatch]) -> list[EditMatch]:
        gate = self.gate
        if gate is None:
            return matches
        if isinstance(gate, SimilarityGate):
            # Now, not at construction: the memory may have been re-embedded since.
            gate = gate.for_embedder(self.memory.fingerprint)
        return gate.judge(query, matches)


def as_document(match: EditMatch) -> Document:
    """Return a match as a Document: what the model reads, and under "lte" where it comes from.

    Example:
        >>> edit = Edit(prompt="2 + 2 is", target_new="5", id="e1", metadata={"lang": "en"})
        >>> document = as_document(EditMatch(edit=edit, score=0.9))
        >>> document.page_content, document.metadata["lang"], document.metadata["lte"]["score"]
        ('2 + 2 is 5', 'en', 0.9)
    """
    edit = match.edit
    provenance = {
        "id": edit.id,
        "score": match.score,
        "in_scope": match.in_scope,
        "hop": match.hop,
        "namespace": edit.namespace,
        "version": edit.version,
        "revision": edit.revision,
        "subject": edit.subject,
        "relation": edit.relation,
        "source": edit.source,
        "valid_from": edit.valid_from.isoformat() if edit.valid_from else None,
        "valid_until": edit.valid_until.isoformat() if edit.valid_until else None,
    }
    return Document(
        id=edit.id, page_content=edit.descriptor, metadata={**edit.metadata, "lte": provenance}
    )


def _best(judged: Sequence[EditMatch], k: int) -> list[EditMatch]:
    in_scope = (match for match in judged if match.in_scope)
    # A gate may have set new scores; sorting is stable, so ties stay nearest first.
    return sorted(in_scope, key=lambda match: -match.score)[:k]


def _distinct(matches: Sequence[EditMatch]) -> list[EditMatch]:
    """Keep the nearest of the matches that would be rendered as the same text."""
    first: dict[str, EditMatch] = {}
    for match in matches:
        first.setdefault(normalise(match.edit.descriptor), match)
    return list(first.values())


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check the constructor's arguments and move `search_kwargs["k"]` to `k`."""
    ignored = sorted(fields.keys() - EditRetriever.model_fields.keys())
    if ignored:
        raise ConfigError(
            f"unknown arguments {ignored}: use k, gate, search_kwargs, name, tags and metadata"
        )
    memory = fields.get("vectorstore")
    if not isinstance(memory, EditMemory):
        raise ConfigError(f"vectorstore must be an EditMemory, not {type(memory).__name__}")
    search_type = fields.get("search_type", "similarity")
    if search_type not in EditRetriever.allowed_search_types:
        raise ConfigError(
            f"search_type={search_type!r} is not supported: edits are searched by similarity "
            "and then gated; for a threshold of your own use gate=SimilarityGate(threshold=…)"
        )
    gate = fields.get("gate")
    if gate is not None and not isinstance(gate, ScopeGate):
        raise ConfigError(f"gate must have a judge method, as SimilarityGate has, not {gate!r}")
    search_kwargs = dict(fields.get("search_kwargs") or {})
    unknown = sorted(search_kwargs.keys() - {"k", "filter"})
    if unknown:
        raise ConfigError(f"unknown search_kwargs {unknown}: use 'k' and 'filter'")
    in_kwargs = search_kwargs.pop("k", None)
    k = fields.get("k", in_kwargs if in_kwargs is not None else 3)
    if in_kwargs is not None and in_kwargs != k:
        raise ConfigError(f"k={k!r} and search_kwargs['k']={in_kwargs!r} differ: give one of them")
    return {**fields, "k": require_count("k", k), "search_kwargs": search_kwargs}
