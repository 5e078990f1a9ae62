"""EditMemory: the durable, searchable memory of edits that people use."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor

from lte_chains.arguments import (
    holds,
    require_count,
    require_edits,
    require_ids,
    require_moment,
    require_namespace,
)
from lte_chains.documents import Shared
from lte_chains.edit import Edit
from lte_chains.embeddings import Embedder
from lte_chains.errors import ConfigError, UnknownEditError
from lte_chains.matching import SlotMatching
from lte_chains.proposals import EditProposals
from lte_chains.store.base import (
    Durability,
    EditStore,
    HistoryEntry,
    Vectors,
    VectorSpace,
    check_revision,
    check_space,
)
from lte_chains.store.location import open_store
from lte_chains.transfer import EditTransfer

if TYPE_CHECKING:
    from lte_chains.retriever import EditRetriever

__all__ = ["EditMemory", "HistoryEntry"]


class EditMemory(EditProposals, EditTransfer, SlotMatching):
    """A durable memory of edits: one namespace of a ledger, searched by meaning.

    Every call that changes something is one transaction and one new revision;
    what it returned is on the disk. Nothing is overwritten: an edit that loses
    its slot to a later one stays in the history. Safe for threads, and for
    processes that share the file: each sees the others' revisions before its
    next search.

    Setup:
        ``pip install "lte-chains[offline]"``, or bring any LangChain embeddings.

    Instantiate:
        `EditMemory.open("edits.db")`; ``":memory:"`` for one that is not saved.

    Use:
        `add_edits`, `retract`, `rollback`, `purge`, `edits`, `history`,
        `search_edits`, and everything a LangChain VectorStore has. `propose`,
        `pending`, `approve` and `reject` for edits that somebody must let in.

    Async:
        `aadd_edits`, `asearch_edits`, `apropose`, `aapprove`, `areject`, and
        the VectorStore's own twins.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> old = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
        >>> new = Edit(prompt="The CEO of Acme is", target_new="John Roe")
        >>> ids = memory.add_edits([old]) + memory.add_edits([new])
        >>> [edit.target_new for edit in memory.edits()], memory.revision
        (['John Roe'], 2)
        >>> memory.rollback(1)
        3
        >>> [edit.target_new for edit in memory.edits()]
        ['Jane Doe']
    """

    def __init__(
        self,
        store: EditStore,
        *,
        embeddings: Embeddings | None = None,
        namespace: str = "default",
    ) -> None:
        """Use a store that is open; most people call `EditMemory.open`.

        Args:
            store: Where the edits live.
            embeddings: The embedder; the one that the store records if None.
            namespace: Every call stays inside it.

        Raises:
            EmbeddingError: The store was made with another embedder.
            ConfigError: The namespace is not a name.
        """
        recorded = store.space()
        embedder = Embedder(embeddings, recorded=recorded.fingerprint if recorded else None)
        if recorded is not None:
            check_space(recorded, VectorSpace(embedder.fingerprint, recorded.dimension))
        super().__init__(Shared(store, embedder), require_namespace(namespace))
        self._owner = True

    @classmethod
    def open(
        cls,
        path_or_url: str | os.PathLike[str],
        *,
        embeddings: Embeddings | None = None,
        namespace: str = "default",
        reembed: bool = False,
        durability: Durability = "full",
    ) -> Self:
        """Open a memory, or make a new one.

        Args:
            path_or_url: The path of a SQLite file; ":memory:" for none.
            embeddings: Any LangChain embeddings. If None, an existing memory takes
                the default embedder that it records; a new one the offline
                all-MiniLM-L6-v2, or without it the LTE paper's from the hub.
            namespace: Every call on the memory stays inside it.
            reembed: Replace all stored vectors if another embedder made them.
            durability: "full": what a call has returned survives a power cut.
                "normal", for SQLite: only the end of the process; a power cut may
                take the last calls, each of them whole.

        Raises:
            StoreError: The path cannot be used: another program's file, a damaged
                one, a folder, or a place that cannot be written.
            EmbeddingError: The memory was made with another embedder.
            ConfigError: A URL that is not supported, or a bad namespace.
        """
        require_namespace(namespace)
        store = open_store(path_or_url, durability=durability)
        try:
            if reembed and not _is_of(new := Embedder(embeddings), store.space()):
                _reembed(store, new)
            return cls(store, embeddings=embeddings, namespace=namespace)
        except BaseException:
            store.close()
            raise

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: str | os.PathLike[str] = ":memory:",
        namespace: str = "default",
        **kwargs: Any,
    ) -> Self:
        """Open a memory and add texts to it; in memory only unless `path` is given."""
        memory = cls.open(path, embeddings=embedding, namespace=namespace)
        memory.add_texts(texts, metadatas, ids=ids, **kwargs)
        return memory

    def in_namespace(self, name: str) -> Self:
        """Return another namespace of the same store, with the same embedder.

        Closing it does not close the store.

        Raises:
            ConfigError: Not a name.
        """
        other = copy.copy(self)
        other._namespace, other._owner = require_namespace(name), False
        return other

    @property
    def revision(self) -> int:
        """The latest revision of this namespace; 0 if it never held an edit."""
        return self._shared.store.revision(self.namespace)

    def add_edits(
        self,
        edits: Iterable[Edit],
        *,
        batch_size: int = 256,
        show_progress: bool | None = None,
        if_revision: int | None = None,
    ) -> list[str]:
        """Add edits in one transaction and return their ids, in order.

        A later edit of the same slot supersedes an earlier one where their
        validity overlaps, inside one call too; the earlier one keeps the time
        before the later, or, if there is none, the time after it. Where the
        slot has many values (`Edit.many_valued`, `lte_chains.relations`), only
        the same value is superseded. A subject's alias names the same slot.
        Adding what is live already changes nothing and returns its id. An edit
        with an id replaces the edit of that id; the earlier version stays in
        the history.

        Args:
            edits: The edits; a version and a revision they carry are ignored.
            batch_size: How many are embedded at once.
            show_progress: Always or never a bar on stderr; with None if it takes
                long and stderr is a terminal.
            if_revision: Add nothing unless this is still the latest revision: what
                was decided by what was read then may not hold any more.

        Raises:
            ConflictError: It is not `if_revision`.
            InvalidEditError: Not edits, or metadata that are not JSON values.
            EmbeddingError: The embedder failed to give fitting vectors.
            StoreError: The store cannot be written. Nothing has been added.
        """
        listed = require_edits(edits)
        require_count("batch_size", batch_size)
        if not listed:
            check_revision(self.namespace, self.revision, if_revision)
            return []
        store, embedder = self._shared.store, self._shared.embedder
        vectors = embedder.edits(listed, batch_size=batch_size, show_progress=show_progress)
        return store.add(
            self.namespace,
            listed,
            vectors,
            fingerprint=embedder.fingerprint,
            if_revision=if_revision,
        )

    async def aadd_edits(self, edits: Iterable[Edit], **kwargs: Any) -> list[str]:
        """Add edits, as `add_edits` does."""
        return await run_in_executor(None, self.add_edits, edits, **kwargs)

    def edits(
        self, *, as_of: int | datetime | None = None, at: datetime | None = None
    ) -> list[Edit]:
        """Return the live edits, oldest first.

        Args:
            as_of: Those that were live at an earlier revision or moment (ledger time).
            at: Only those that hold at a moment (valid time).

        Raises:
            UnknownEditError: There is no such revision.
            ConfigError: A moment without a time zone.
        """
        if as_of is not None and (isinstance(as_of, bool) or not isinstance(as_of, int)):
            as_of = require_moment("as_of", as_of)
        moment = None if at is None else require_moment("at", at)
        found = self._shared.store.edits(self.namespace, as_of=as_of)
        return [edit for edit in found if moment is None or holds(edit, moment)]

    def get_edits(self, ids: Sequence[str]) -> list[Edit]:
        """Return live edits by id, in the order of the ids.

        Raises:
            UnknownEditError: One of them is not live; `history` may tell why.
        """
        wanted = require_ids(ids)
        found = self._shared.store.get(self.namespace, wanted)
        missing = [id_ for id_ in wanted if id_ not in found]
        if missing:
            raise UnknownEditError(
                f"no live edit {', '.join(map(repr, missing[:5]))} in namespace "
                f"{self.namespace!r}: it was never there, or history() tells what became of it"
            )
        return [found[id_] for id_ in wanted]

    def history(self, id_: str | None = None) -> list[HistoryEntry]:
        """Return what happened, oldest first: to one edit, or to all of the namespace.

        Raises:
            UnknownEditError: The namespace never held the id.
        """
        wanted = None if id_ is None else require_ids([id_])[0]
        return self._shared.store.history(self.namespace, wanted)

    def retract(self, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Withdraw edits: their slots are empty, the model's own answers are back.

        What a retracted edit had superseded stays superseded; `rollback` brings
        it back. Edits that are known but no longer live are left alone.

        Returns:
            The latest revision.

        Raises:
            ConflictError: The latest revision is not `if_revision`.
            UnknownEditError: The namespace never held an id; nothing is changed.
        """
        store = self._shared.store
        return store.retract(self.namespace, require_ids(ids), if_revision=if_revision)

    def rollback(self, revision: int, *, if_revision: int | None = None) -> int:
        """Make the live edits of this namespace those of an earlier revision again.

        That is a new revision: nothing is lost, and it can be rolled back itself.
        Purged edits do not come back. What is pending stays so, and what has been
        approved since is withdrawn, not pending again.

        Returns:
            The latest revision.

        Raises:
            ConflictError: The latest revision is not `if_revision`.
            UnknownEditError: There is no such revision.
        """
        if isinstance(revision, bool) or not isinstance(revision, int):
            raise ConfigError(f"a revision is a whole number, not {revision!r}")
        return self._shared.store.rollback(self.namespace, revision, if_revision=if_revision)

    def purge(self, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Erase edits beyond recovery: all versions, text and vectors, from the file itself.

        The history still says that, and when, something of that id was there.
        What is pending under an id goes too.

        Returns:
            The latest revision.

        Raises:
            ConflictError: The latest revision is not `if_revision`.
            UnknownEditError: The namespace never held an id; nothing is changed.
            StoreError: Another process keeps reading an old state of the file, so
                that traces remain: call again with the same ids.
        """
        store = self._shared.store
        return store.purge(self.namespace, require_ids(ids), if_revision=if_revision)

    def reembed(self, embeddings: Embeddings, *, show_progress: bool | None = None) -> None:
        """Change to another embedder for good: replace the vectors of all namespaces.

        One transaction, and a new revision of every namespace. Other processes
        must then open the memory with the new embedder too.

        Raises:
            EmbeddingError: The embedder failed; the memory is as before.
        """
        embedder = Embedder(embeddings)
        _reembed(self._shared.store, embedder, show_progress=show_progress)
        self._shared.embedder = embedder

    def as_retriever(self, **kwargs: Any) -> EditRetriever:
        """Return a retriever of the edits in scope; `k` is 3 unless given."""
        # The one place where this floor names the one above it.
        from lte_chains.retriever import EditRetriever

        tags = kwargs.pop("tags", None) or [type(self).__name__]
        return EditRetriever(vectorstore=self, tags=tags, **kwargs)

    def close(self) -> None:
        """Close the store; a memory from `in_namespace` leaves it open."""
        if self._owner:
            self._shared.store.close()

    def __enter__(self) -> Self:
        """Return the memory itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the memory."""
        self.close()

    def __repr__(self) -> str:
        """Name the namespace and the embedder."""
        return f"EditMemory(namespace={self.namespace!r}, embedder={self.fingerprint!r})"


def _reembed(store: EditStore, embedder: Embedder, *, show_progress: bool | None = None) -> None:
    def embed(edits: Sequence[Edit]) -> list[Vectors]:
        return embedder.edits(edits, show_progress=show_progress)

    store.reembed(embed, fingerprint=embedder.fingerprint)


def _is_of(embedder: Embedder, recorded: VectorSpace | None) -> bool:
    """Return whether the recorded vectors, if any, are of this embedder."""
    if recorded is None:
        return True
    if recorded.fingerprint != embedder.fingerprint:
        return False
    # The same name can hide another dimension; one query tells.
    return len(embedder.query("dimension")) == recorded.dimension
