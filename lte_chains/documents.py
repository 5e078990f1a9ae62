"""A memory of edits as a LangChain VectorStore."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor
from langchain_core.vectorstores import VectorStore

from lte_chains.arguments import holds, require_count, require_ids, require_moment, require_query
from lte_chains.edit import Edit, EditMatch
from lte_chains.embeddings import Embedder
from lte_chains.errors import ConfigError
from lte_chains.filters import Filter, acceptance, to_document
from lte_chains.store.base import EditStore, Vectors
from lte_chains.unit_vectors import unit_vectors
from lte_chains.wordings import ABOUT_A_SUBJECT


@dataclass
class Shared:
    """What the namespaces of one open store have in common."""

    store: EditStore
    embedder: Embedder
    topics: dict[str, tuple[tuple[int, str | None], list[Edit]]] = field(default_factory=dict)
    """By namespace the instructions about subjects, as of a revision of a content."""
    marks: dict[str, Vectors] = field(default_factory=dict)
    """By embedder the vector under which these are found."""
    begun: set[str] = field(default_factory=set)
    """Namespaces that are known to have held an edit: such a one is never new again."""


class EditDocuments(VectorStore):
    """The VectorStore side of `EditMemory`, with LangChain's semantics.

    A Document is a free-text edit without a slot: two of equal text and
    different ids are two edits. Ids are overwritten, metadata come back
    verbatim, `delete` retracts and is silent about unknown ids, and a search is
    ungated. Scores are cosines: higher is nearer.
    """

    def __init__(self, shared: Shared, namespace: str) -> None:
        """Use one namespace of an open store."""
        self._shared = shared
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The namespace that every call stays inside."""
        return self._namespace

    @property
    def embeddings(self) -> Embeddings:
        """The embedder; a default one is loaded here."""
        return self._shared.embedder.embeddings

    @property
    def fingerprint(self) -> str:
        """The embedder's identity, the same in every process."""
        return self._shared.embedder.fingerprint

    def has_begun(self) -> bool:
        """Return whether the namespace ever held an edit; once it has, nothing is read."""
        begun = self._shared.begun
        if self.namespace not in begun and self._shared.store.revision(self.namespace):
            begun.add(self.namespace)
        return self.namespace in begun

    async def ahas_begun(self) -> bool:
        """Return whether the namespace ever held an edit, as `has_begun` does."""
        if self.namespace in self._shared.begun:
            return True
        return await run_in_executor(None, self.has_begun)

    def embed_queries(self, queries: Sequence[str], *, ahead: Sequence[str] = ()) -> Vectors:
        """Return unit vectors of queries, embedded together, shape (len(queries), dimension).

        A query that was embedded lately is not embedded again.

        Args:
            queries: The questions.
            ahead: Texts that `embed_texts` may be asked for next: they are embedded with the
                queries, where the embedder treats both alike.

        Raises:
            ConfigError: A query is no text.
            EmbeddingError: The embedder failed to give fitting vectors.
        """
        checked = [require_query(query) for query in queries]
        return self._shared.embedder.queries(checked, ahead=ahead)

    async def aembed_queries(self, queries: Sequence[str], *, ahead: Sequence[str] = ()) -> Vectors:
        """Return unit vectors of queries, as `embed_queries` does."""
        checked = [require_query(query) for query in queries]
        return await self._shared.embedder.aqueries(checked, ahead=ahead)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of texts that are no queries; see `embed_queries`."""
        return self._shared.embedder.texts(texts)

    async def aembed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of texts that are no queries; see `embed_queries`."""
        return await self._shared.embedder.atexts(texts)

    @abstractmethod
    def add_edits(
        self,
        edits: Sequence[Edit],
        *,
        batch_size: int = 256,
        show_progress: bool | None = None,
    ) -> list[str]:
        """Add edits and return their ids."""

    def search_edits(
        self,
        query: str,
        k: int = 10,
        *,
        at: datetime | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[EditMatch]:
        """Return the edits nearest to a query, best first, ungated.

        Args:
            query: The question, without any template around it.
            k: Most edits to return.
            at: The moment at which edits must hold; now if None.
            filter: Metadata that must be equal, or a function of a Document.

        Returns:
            Matches whose score is the cosine, in [-1, 1]; equal ones oldest first.

        Raises:
            ConfigError: k is not a positive whole number, or a bad filter or moment.
            EmbeddingError: The embedder is not the one of the stored vectors.
        """
        require_count("k", k)
        return self.search_edits_by_vector(self._embed_query(query), k, at=at, filter=filter)

    async def asearch_edits(
        self,
        query: str,
        k: int = 10,
        *,
        at: datetime | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[EditMatch]:
        """Return the edits nearest to a query, as `search_edits` does."""
        require_count("k", k)
        vector = await self._aembed_query(query)
        search = self.search_edits_by_vector
        return await run_in_executor(None, search, vector, k, at=at, filter=filter)

    def search_edits_by_vector(
        self,
        embedding: Sequence[float] | Vectors,
        k: int = 10,
        *,
        at: datetime | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[EditMatch]:
        """Return the edits nearest to a vector of the memory's embedder; see `search_edits`."""
        require_count("k", k)
        moment = datetime.now(UTC) if at is None else require_moment("at", at)
        passes = acceptance(filter)
        found = self._shared.store.nearest(
            self.namespace,
            unit_vectors([embedding], count=1)[0],
            k,
            fingerprint=self.fingerprint,
            accept=lambda edit: holds(edit, moment) and passes(edit),
        )
        return [EditMatch(edit=edit, score=score) for edit, score in found]

    def instructions_about_subjects(self) -> list[Edit]:
        """Return the live edits that tell how to answer whatever names a subject, at any time.

        They are searched once for each revision.
        """
        store = self._shared.store
        now = store.content(self.namespace)
        if now[0] == 0:
            return []
        seen, known = self._shared.topics.get(self.namespace, (None, []))
        if seen == now:
            return known
        if (vector := self._shared.marks.get(self.fingerprint)) is None:
            vector = self._shared.marks[self.fingerprint] = self.embed_texts([ABOUT_A_SUBJECT])[0]
        size, found = 0, list[Edit]()
        while len(found) == size:  # nothing is nearer than they are
            size = max(64, 4 * size)
            near = store.nearest(self.namespace, vector, size, fingerprint=self.fingerprint)
            found = [edit for edit, _ in near if edit.instruction is not None and not edit.prompt]
        self._shared.topics[self.namespace] = now, found
        return found

    def add_documents(self, documents: Sequence[Document], **kwargs: Any) -> list[str]:
        """Add Documents as free-text edits, or overwrite those of the same ids.

        Args:
            documents: What to add; they are not changed.
            **kwargs: `ids` (in place of the documents' own), `batch_size` and
                `show_progress`, as in `EditMemory.add_edits`.

        Raises:
            ConfigError: An unknown argument, or not one id for each document.
            InvalidEditError: A document has no text, or metadata that are not JSON.
        """
        ids = _paired("ids", kwargs.pop("ids", None), len(documents))
        unknown = sorted(kwargs.keys() - {"batch_size", "show_progress"})
        if unknown:
            raise ConfigError(f"unknown arguments {unknown}: use ids, batch_size and show_progress")
        edits = [
            Edit.from_statement(
                document.page_content,
                metadata=document.metadata,
                id=id_ or document.id or uuid.uuid4().hex,
            )
            for document, id_ in zip(documents, ids, strict=True)
        ]
        return self.add_edits(edits, **kwargs)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts as free-text edits; see `add_documents`."""
        listed = list(texts)
        each = _paired("metadatas", metadatas, len(listed))
        documents = [
            Document(page_content=text, metadata=metadata or {})
            for text, metadata in zip(listed, each, strict=True)
        ]
        return self.add_documents(documents, ids=ids, **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add Documents, as `add_documents` does."""
        return await run_in_executor(None, self.add_documents, documents, **kwargs)

    def similarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> list[Document]:
        """Return the `k` Documents nearest to a query, best first.

        Args:
            query: Any text.
            k: Most Documents to return.
            filter: Metadata that must be equal, or a function of a Document.
            **kwargs: `at`, the moment at which edits must hold; now if not given.

        Raises:
            ConfigError: k is not a positive whole number, or the filter is neither.
        """
        found = self.similarity_search_with_score(query, k, filter=filter, **kwargs)
        return [document for document, _ in found]

    async def asimilarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,  # noqa: A002
        **kwargs: Any,
    ) -> list[Document]:
        """Return the nearest Documents, as `similarity_search` does."""
        found = await self.asimilarity_search_with_score(query, k, filter=filter, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest Documents with their cosines; see `similarity_search`."""
        return self.similarity_search_with_score_by_vector(self._embed_query(query), k, **kwargs)

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest Documents with their cosines; see `similarity_search`."""
        vector = await self._aembed_query(query)
        search = self.similarity_search_with_score_by_vector
        return await run_in_executor(None, search, vector, k, **kwargs)

    def similarity_search_by_vector(
        self, embedding: Sequence[float] | Vectors, k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Return the Documents nearest to a vector; see `similarity_search`."""
        found = self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score_by_vector(
        self, embedding: Sequence[float] | Vectors, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the Documents nearest to a vector with their cosines."""
        matches = self.search_edits_by_vector(embedding, k, **kwargs)
        return [(to_document(match.edit), match.score) for match in matches]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` Documents that are near to a query and far from one another.

        Args:
            query: Any text.
            k: Most Documents to return.
            fetch_k: Among how many of the nearest to choose.
            lambda_mult: 1 weighs nearness alone, 0 difference alone.
            **kwargs: `filter` and `at`, as in `similarity_search`.
        """
        vector = self._embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector.tolist(), k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` Documents near to a vector; see `max_marginal_relevance_search`."""
        from langchain_core.vectorstores.utils import maximal_marginal_relevance

        pool = max(require_count("k", k), require_count("fetch_k", fetch_k))
        found = self.search_edits_by_vector(embedding, pool, **kwargs)
        edits = {str(match.edit.id): match.edit for match in found}
        stored = self._shared.store.vectors(self.namespace, list(edits))
        ids = [id_ for id_ in edits if id_ in stored]  # less what was just retracted
        vectors = [stored[id_].tolist() for id_ in ids]
        import numpy as np

        chosen = maximal_marginal_relevance(np.asarray(embedding), vectors, lambda_mult, k)
        return [to_document(edits[ids[position]]) for position in chosen]

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return live edits as Documents; unknown ids are left out."""
        wanted = require_ids(ids)
        found = self._shared.store.get(self.namespace, wanted)
        return [to_document(found[id_]) for id_ in dict.fromkeys(wanted) if id_ in found]

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Retract edits, all if `ids` is None; unknown ids are passed over."""
        store = self._shared.store
        if ids is None:
            ids = [str(edit.id) for edit in store.edits(self.namespace)]
        store.retract(self.namespace, require_ids(ids), missing_ok=True)
        return True

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(max(cosine, 0.0), 1.0)

    def _embed_query(self, query: str) -> Vectors:
        return self._shared.embedder.query(require_query(query))

    async def _aembed_query(self, query: str) -> Vectors:
        return await self._shared.embedder.aquery(require_query(query))


def _paired(name: str, values: Sequence[Any] | None, count: int) -> Sequence[Any]:
    if values is None:
        return [None] * count
    if len(values) != count:
        raise ConfigError(f"{len(values)} {name} for {count} texts: give one for each, or none")
    return values
