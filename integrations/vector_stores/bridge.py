"""Any LangChain vector store as the index of a memory: the ledger stays SQL, and the truth.

The engine holds vectors and ids, never an edit's text. It is derived: it is
brought up to the ledger's revision before each search, and what it finds is
looked up in the ledger, so that a stale, shared or damaged engine can miss an
edit but never give one that is not live, or another namespace's.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from lte_chains.edit import MAX_ALIASES, Edit
from lte_chains.errors import ConfigError, StoreError
from lte_chains.integrations.vector_stores.carrier import VectorCarrier, spelled
from lte_chains.integrations.vector_stores.shared_lock import SharedLock
from lte_chains.store.base import HistoryEntry, Vectors, VectorSpace, check_space
from lte_chains.store.sqlite import SQLiteStore
from lte_chains.wordings import wordings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MakeEngine = Callable[[str, Embeddings], VectorStore]
"""Makes, or opens, the engine for a namespace. It must embed with what it is given."""

_IDS = uuid.UUID("1d5e6a0c-0d6f-4a5e-9a34-8a5c4b1f2e77")
"""Namespace of the engine's ids: UUIDs, as some engines take nothing else."""
_BATCH = 1000
_MARGIN = 8
"""Edits fetched beyond k, as some may be refused by validity or a filter."""
_WORDINGS = 2
"""Under how many wordings most edits are held."""
_MOST_WORDINGS = MAX_ALIASES + 3
"""Under how many wordings an edit is held at most."""
_SEARCHES_AGAIN = 3
"""How often a search begins anew, at most, as others write while it runs."""


class VectorStoreBridge(SQLiteStore):
    """A SQLite ledger that is searched by a LangChain vector store.

    Everything but the search is `SQLiteStore`'s. After each write the engine is
    behind, until the next search or `sync` tells it what has changed; a purge
    tells it at once. Which revision it shows is noted in the engine itself, so
    one that is saved is taken up where it was left, and one that is new, empty
    or was away gets what it lacks. Scores are exact cosines, from the ledger's
    vectors; which edits are found is the engine's, exact or approximate.

    Processes may share a file with its engine, if the engine allows that. Two
    that bring it up to date in the same moment can leave it without an edit
    until the next change: for many writers use the built-in index.

    Args:
        path: The ledger's file, made if it does not exist; ":memory:" for none.
        make_engine: Called with a namespace and the embeddings to use, once for
            each namespace that is searched. Either each namespace gets an
            engine (a collection) of its own, or all share one and `where` tells
            them apart.
        where: Called with a namespace; returns arguments for the engine's
            `similarity_search` that restrict it to Documents whose metadata have
            ``lte_namespace`` equal to it. The engine must apply them while it
            searches, not to what it has found. Without it, results of other
            namespaces are dropped here, which costs further searches.

    Raises:
        StoreError: The path cannot be used.
        ConfigError: An argument cannot be called.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from lte_chains import EditMemory
        >>> store = VectorStoreBridge(":memory:", lambda _, given: InMemoryVectorStore(given))
        >>> memory = EditMemory(store, embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> [match.edit.target_new for match in memory.search_edits("The CEO of Acme is")]
        ['Jane Doe']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        make_engine: MakeEngine,
        *,
        where: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        """Open or create the ledger; an engine is made when it is first needed."""
        for name, value in (("make_engine", make_engine), ("where", where or make_engine)):
            if not callable(value):
                raise ConfigError(f"{name} must be a function of a namespace, not {value!r}")
        super().__init__(path)
        self._make_engine = make_engine
        self._where = where or (lambda _: {})
        self._engines: dict[str, _Engine] = {}
        self._making = threading.Lock()

    def nearest(
        self,
        namespace: str,
        vector: Vectors,
        k: int,
        *,
        fingerprint: str,
        accept: Callable[[Edit], bool] | None = None,
    ) -> list[tuple[Edit, float]]:
        """Return `k` live, accepted edits of high cosine, best first; see `EditStore`.

        Raises:
            EmbeddingError: The vector is not of the store's space.
            StoreError: The engine failed, or belongs to another ledger.
        """
        space = VectorSpace(fingerprint, len(vector))
        recorded = self.space()
        if recorded is None:
            return []
        check_space(recorded, space)
        self.sync(namespace)
        engine, width = self._engine(namespace, space), (k + _MARGIN) * _WORDINGS
        again = _SEARCHES_AGAIN
        while True:
            shown = engine.checked
            found, full = engine.search(vector, width)
            hits, gone = self._hits(namespace, vector, found, accept)
            if gone and again and (shown is None or self.revision(namespace) != shown.revision):
                # Of what took the place of an edit in the meantime the engine knew nothing yet.
                again -= 1
                self.sync(namespace)
            elif len(hits) >= k or not full:
                return hits[:k]
            else:
                width *= 4

    def purge(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Erase all versions of edits beyond recovery, from the engine too.

        Raises:
            UnknownEditError: The namespace never held an id.
            StoreError: Traces stay in the ledger's log, see `SQLiteStore`; or the
                ledger is clean but the engine failed: call `sync`.
        """
        revision = super().purge(namespace, ids, if_revision=if_revision)
        self.sync(namespace)
        return revision

    def sync(self, namespace: str, *, anew: bool = False) -> None:
        """Bring the engine up to the ledger's latest revision.

        Args:
            namespace: Whose engine.
            anew: Write every live edit, whatever the engine says it shows: it has
                lost some.

        Raises:
            StoreError: The engine failed, or belongs to another ledger.
        """
        space = self.space()
        if space is None:
            return
        engine = self._engine(namespace, space)
        with engine.lock:
            (head, epoch), mark = self.content(namespace), _Mark() if anew else engine.mark()
            # The revisions of a backup that was put back may have the numbers of others.
            if mark.revision == head and (mark, epoch) == (engine.checked, engine.epoch):
                return
            since = max(mark.revision - 1, 0)
            entries = self.history(namespace, since=since)
            at = {entry.revision: entry.at.isoformat() for entry in entries}
            if mark.revision and at.get(mark.revision) != mark.at:
                raise StoreError(
                    f"the vector store shows revision {mark.revision} of {namespace!r} as of "
                    f"{mark.at}, which {self.name} does not have: it belongs to another ledger, "
                    "or to a later state of this one. Give it an empty collection"
                )
            new = [entry for entry in entries if entry.revision > mark.revision]
            changed = {entry.id for entry in new if entry.id is not None}
            if any(entry.operation == "reembed" for entry in new):
                changed.update(edit.id for edit in self.edits(namespace) if edit.id is not None)
            engine.expect(entries)
            # What others have written since `head` was read is done again next time.
            with engine.searches.writing():
                self._bring(engine, sorted(changed), anew=anew)
                engine.note(_Mark(head, at.get(head, "")))
            engine.epoch = epoch

    def _bring(self, engine: _Engine, ids: Sequence[str], *, anew: bool) -> None:
        """Make the engine hold these edits if they are live, and not if they are not."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            live = self.get(engine.namespace, batch)
            vectors = self.wordings(engine.namespace, batch)
            rows = {id_: (live[id_], vectors[id_]) for id_ in live if id_ in vectors}
            engine.replace(batch, rows, anew=anew)

    def _hits(
        self,
        namespace: str,
        vector: Vectors,
        ids: Sequence[str],
        accept: Callable[[Edit], bool] | None,
    ) -> tuple[list[tuple[Edit, float]], bool]:
        """Return the live, accepted ones by their exact cosines, and whether some are not live."""
        live, vectors = self.get(namespace, ids), self.wordings(namespace, ids)
        hits = [
            (edit, _best_cosine(vectors[id_], vector))
            for id_, edit in live.items()
            if id_ in vectors and (accept is None or accept(edit))
        ]
        ranked = sorted(hits, key=lambda hit: (-hit[1], hit[0].revision or 0, hit[0].id or ""))
        return ranked, any(id_ not in live or id_ not in vectors for id_ in ids)

    def _engine(self, namespace: str, space: VectorSpace) -> _Engine:
        with self._making:
            engine = self._engines.get(namespace)
            if engine is None or engine.space != space:
                carrier = VectorCarrier(space.dimension)
                with _explained():
                    made = self._make_engine(namespace, carrier)
                if not isinstance(made, VectorStore):
                    raise ConfigError(f"make_engine must return a VectorStore, not {made!r}")
                engine = _Engine(namespace, space, made, carrier, dict(self._where(namespace)))
                self._engines[namespace] = engine
            return engine


@dataclass(frozen=True)
class _Mark:
    """Which revision an engine shows, and when that was committed."""

    revision: int = 0
    at: str = ""


@dataclass
class _Engine:
    """One namespace's view of a LangChain vector store."""

    namespace: str
    space: VectorSpace
    store: VectorStore
    carrier: VectorCarrier
    where: dict[str, Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Of whoever brings the engine up to date."""
    searches: SharedLock = field(default_factory=SharedLock)
    """Of those who search; who replaces an edit, first without and then with it, waits for them."""
    checked: _Mark | None = None
    """The mark that is known to be of this ledger."""
    epoch: str | None = None
    """Of which content of the ledger it is."""
    _readable: bool = True
    """Whether the engine can read a Document by id; else it is filled anew by each process."""
    _counts: dict[str, int] = field(default_factory=dict)
    """Under how many wordings an engine that cannot be read may hold each edit."""

    def search(self, vector: Vectors, width: int) -> tuple[list[str], bool]:
        """Return the ids of the nearest edits, and whether there may be more of them."""
        with _explained(), self.searches.reading():
            documents = self.store.similarity_search(spelled(vector), k=width, **self.where)
        own = [d.metadata for d in documents if d.metadata.get("lte_namespace") == self.namespace]
        return list(dict.fromkeys(metadata["lte_id"] for metadata in own)), len(documents) >= width

    def replace(
        self, ids: Iterable[str], rows: Mapping[str, tuple[Edit, Vectors]], *, anew: bool
    ) -> None:
        """Hold a Document for each wording of the given rows, and none of the other ids.

        What the engine shows of an edit already is left alone, unless all is written `anew`.
        """
        firsts = {self._key(id_): id_ for id_ in ids}
        looked_up = list(firsts)
        if anew:  # it may have lost some rows of an edit and not others
            looked_up += [self._key(i, n) for i, (_, own) in rows.items() for n in range(len(own))]
        held, stale, new = self._held(list(dict.fromkeys(looked_up))), [], []
        carried: dict[str, list[float]] = {}
        for first, id_ in firsts.items():
            edit, vectors = rows.get(id_, (None, ()))
            metadata = {
                "lte_namespace": self.namespace,
                "lte_id": id_,
                "lte_version": edit and edit.version,
                "lte_wordings": len(vectors),
                "lte_space": self.space.fingerprint,
            }
            if first in held:
                if held[first].metadata == metadata and not anew:
                    continue
                count = held[first].metadata.get("lte_wordings", self._counts.get(id_, 1))
                stale += [self._key(id_, position) for position in range(count)]
            elif anew:
                own = (self._key(id_, position) for position in range(len(vectors)))
                stale += [key for key in own if key in held]
            for position, vector in enumerate(vectors):
                key = self._key(id_, position)
                new.append(Document(id=key, page_content=key, metadata=metadata))
                carried[key] = vector.tolist()
        with self.carrier.carrying(carried):
            self._write(stale, new)

    def expect(self, entries: Iterable[HistoryEntry]) -> None:
        """Work out what an engine that cannot be read may hold, from all versions of edits."""
        for entry in () if self._readable else entries:
            if entry.id is not None:
                # Of what is purged nobody knows any more how many there were.
                count = len(wordings(entry.edit)) if entry.edit else _MOST_WORDINGS
                self._counts[entry.id] = max(count, self._counts.get(entry.id, 0))

    def mark(self) -> _Mark:
        """Return what the engine shows; the beginning, if it is new or cannot tell."""
        held = self._held([self._mark_key]).get(self._mark_key)
        if not self._readable:
            return self.checked or _Mark()
        if held is None:
            return _Mark()
        return _Mark(held.metadata["lte_revision"], held.metadata["lte_at"])

    def note(self, mark: _Mark) -> None:
        """Write down what the engine shows now."""
        self.checked = mark
        if not self._readable:
            return
        metadata = {
            "lte_namespace": "",  # no namespace's name: no search of one finds it
            "lte_mark": self.namespace,
            "lte_revision": mark.revision,
            "lte_at": mark.at,
        }
        key = self._mark_key
        document = Document(id=key, page_content=key, metadata=metadata)
        self._write(list(self._held([key])), [document])

    def _write(self, stale: list[str], new: list[Document]) -> None:
        # Deleted first: not every engine overwrites, or passes over ids that are not there.
        with _explained():
            if stale:
                self.store.delete(stale)
            if new:
                self.store.add_documents(new, ids=[str(document.id) for document in new])

    def _held(self, keys: Sequence[str]) -> dict[str, Document]:
        with _explained():
            if self._readable:
                try:
                    found = self.store.get_by_ids(list(keys))
                    return {document.page_content: document for document in found}
                except NotImplementedError:
                    self._readable = False
            # It cannot say, and is taken to pass over ids that it does not hold.
            return {key: Document(page_content=key) for key in keys}

    @property
    def _mark_key(self) -> str:
        return self._key(None)

    def _key(self, id_: str | None, position: int = 0) -> str:
        """Return the engine's id of one wording of an edit."""
        return str(uuid.uuid5(_IDS, json.dumps([self.namespace, id_, position])))


def _best_cosine(wordings: Vectors, vector: Vectors) -> float:
    products: npt.NDArray[np.float64] = (wordings.astype("float64") * vector).sum(axis=1)
    return float(min(max(products.max(), -1.0), 1.0))


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever an engine raises into a `StoreError`."""
    try:
        yield
    except Exception as error:
        raise StoreError(
            f"the vector store failed: {type(error).__name__}: {error}. The ledger is whole: "
            "a memory with an engine that works, or without one, has every edit"
        ) from error
