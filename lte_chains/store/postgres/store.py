"""The shared store: a ledger in PostgreSQL, searched with pgvector."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.store.base import (
    Durability,
    HistoryEntry,
    Operation,
    Vectors,
    VectorSpace,
    check_space,
)
from lte_chains.store.postgres.checks import require_known, require_revision
from lte_chains.store.postgres.database import PostgresDatabase
from lte_chains.store.postgres.erasure import demand_erasure, erase_traces
from lte_chains.store.postgres.hnsw import build_index
from lte_chains.store.postgres.ledger import STATE_AT
from lte_chains.store.postgres.proposals import ProposalTransaction
from lte_chains.store.postgres.reembed import reembed
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.search import APPROXIMATE_FROM, find_room, nearest
from lte_chains.store.postgres.vectors import read_space, read_vectors
from lte_chains.store.rows import decode, encode, moment

_log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 300.0
"""After this it is looked anew whether the index of a large namespace is still missing."""
_HANDING_SECONDS = 5.0
"""How long closing waits, at most, for the server to be told to build an index."""

_NAMESPACE = text("SELECT room, revision FROM lte_namespaces WHERE name = :name")
_LIVE = text(
    """SELECT v.* FROM lte_live AS l JOIN lte_versions AS v USING (room, key)
    WHERE l.room = :room ORDER BY v.key"""
)
_LIVE_BY_ID = text(
    """SELECT v.* FROM lte_live AS l JOIN lte_versions AS v USING (room, key)
    WHERE l.room = :room AND l.tag = ANY(:tags)"""
)
_STATE = text(
    f"""SELECT v.* FROM ({STATE_AT}) AS s JOIN lte_versions AS v
    ON v.room = :room AND v.tag = s.tag AND v.version = s.version ORDER BY v.key"""  # noqa: S608
)
_PENDING = text(
    """SELECT v.* FROM lte_pending AS p JOIN lte_versions AS v USING (room, key)
    WHERE p.room = :room ORDER BY v.key"""
)
_REVISION_AT = text(
    """SELECT coalesce(max(revision), 0) FROM lte_revisions WHERE room = :room AND at <= :at"""
)
_HISTORY = """SELECT r.revision AS at_revision, r.operation, r.at,
        e.action, e.id AS event_id, e.version AS event_version, e.superseded_by, v.*
    FROM lte_revisions AS r
    LEFT JOIN lte_events AS e ON e.room = r.room AND e.revision = r.revision
    LEFT JOIN lte_versions AS v ON v.room = e.room AND v.tag = e.tag AND v.version = e.version
    WHERE r.room = :room AND r.revision > :since{one} ORDER BY r.revision, e.seq"""


class PostgresStore:
    """Edits in a PostgreSQL database, shared by many machines; see `EditStore`.

    What a call has returned is committed, and on the server's disk. Writers of
    one namespace queue, writers of different ones do not, and no reader ever
    waits. A namespace is searched exactly until it has many vectors; then the next
    call that writes or searches has the server build an HNSW index, in the background.

    Args:
        url: The database, such as ``postgresql+psycopg://user:password@host/db``.
            The tables are made in the first schema of its search path.
        durability: "full" for the above; "normal" not to wait for the server's disk,
            so that a crash of the server may take the last calls, each of them whole.
        approximate_from: Live vectors of one namespace from which on it gets an HNSW
            index; see `lte_chains.store.postgres.search.APPROXIMATE_FROM`.

    Raises:
        ConfigError: The URL cannot be read, or there is no such durability.
        StoreError: The database cannot be used; the message says what to do.
    """

    def __init__(
        self, url: str, *, durability: Durability = "full", approximate_from: int | None = None
    ) -> None:
        """Connect, and make the tables or bring them up to date."""
        self._approximate_from = APPROXIMATE_FROM if approximate_from is None else approximate_from
        self._database = PostgresDatabase(url, durability=durability)
        self._looked: dict[str, float] = {}
        self._handing: set[threading.Event] = set()
        try:
            erase_traces(self._database)  # of a purge that was interrupted
        except StoreError as error:
            _log.warning("%s", error)

    @property
    def name(self) -> str:
        """The database's address, without user and password."""
        return self._database.name

    def space(self) -> VectorSpace | None:
        """Return the space of the stored vectors; None before the first edit."""
        with self._database.reading() as connection:
            return read_space(connection)

    def revision(self, namespace: str) -> int:
        """Return the latest revision of a namespace; 0 if it never held an edit."""
        with self._database.reading() as connection:
            return _find(connection, namespace)[1]

    def content(self, namespace: str) -> tuple[int, str | None]:
        """Return the latest revision; a server's content is not exchanged while it is open."""
        return self.revision(namespace), None

    def add(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        takes: Sequence[Edit | None] | None = None,
        if_revision: int | None = None,
    ) -> list[str]:
        """Store edits in order, in one transaction, and return their ids; see `EditStore`."""
        if not edits:
            return []
        contents = [encode(edit) for edit in edits]
        with self._writing(namespace, "add", if_revision) as transaction:
            transaction.claim_space(VectorSpace(fingerprint, vectors[0].shape[-1]))
            return transaction.put(edits, contents, vectors, takes or [None] * len(edits))

    def propose(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        if_revision: int | None = None,
    ) -> list[str]:
        """Store edits as pending, in one transaction, and return their ids; see `EditStore`."""
        if not edits:
            return []
        contents = [encode(edit) for edit in edits]
        with self._writing(namespace, "propose", if_revision) as transaction:
            transaction.claim_space(VectorSpace(fingerprint, vectors[0].shape[-1]))
            return transaction.propose(edits, contents, vectors)

    def pending(self, namespace: str) -> list[Edit]:
        """Return the pending edits, oldest first."""
        with self._database.reading() as connection:
            room, _ = _find(connection, namespace)
            return _edits(connection, namespace, _PENDING, room=room)

    def approve(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Make pending edits live; return the revision. See `EditStore`."""
        with self._writing(namespace, "approve", if_revision) as transaction:
            transaction.approve(ids)
            return transaction.head

    def reject(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Discard pending edits; return the revision. See `EditStore`."""
        with self._writing(namespace, "reject", if_revision) as transaction:
            transaction.reject(ids)
            return transaction.head

    def retract(
        self,
        namespace: str,
        ids: Sequence[str],
        *,
        missing_ok: bool = False,
        if_revision: int | None = None,
    ) -> int:
        """Withdraw live edits; return the revision. See `EditStore`."""
        with self._writing(namespace, "retract", if_revision) as transaction:
            transaction.retract(ids, missing_ok=missing_ok)
            return transaction.head

    def rollback(self, namespace: str, revision: int, *, if_revision: int | None = None) -> int:
        """Make the live edits those of an earlier revision; return the new revision."""
        with self._writing(namespace, "rollback", if_revision) as transaction:
            transaction.rollback(revision)
            return transaction.head

    def purge(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Erase all versions of edits from the tables; return the revision.

        What the server keeps elsewhere, its write-ahead log, its replicas and
        its backups, goes as these are recycled; see ``docs/scaling.md``.

        Raises:
            UnknownEditError: The namespace never held an id.
            StoreError: The edits are gone, but traces stay in the tables while
                another client reads an old state: purge the same ids again.
        """
        with self._writing(namespace, "purge", if_revision) as transaction:
            if transaction.purge(ids):
                demand_erasure(transaction.connection)
            revision = transaction.head
        erase_traces(self._database)
        return revision

    def reembed(
        self, embed: Callable[[Sequence[Edit]], Sequence[Vectors]], *, fingerprint: str
    ) -> None:
        """Replace the vectors of all versions in all namespaces, in one transaction."""
        reembed(self._database, embed, fingerprint=fingerprint)
        self._looked.clear()  # the indexes are gone

    def edits(self, namespace: str, *, as_of: int | datetime | None = None) -> list[Edit]:
        """Return the live edits, oldest first; those of an earlier moment with `as_of`."""
        with self._database.reading() as connection:
            room, head = _find(connection, namespace)
            if as_of is None:
                return _edits(connection, namespace, _LIVE, room=room)
            if isinstance(as_of, datetime):
                parameters = {"room": room, "at": moment(as_of)}
                as_of = int(connection.execute(_REVISION_AT, parameters).scalar_one())
            require_revision(namespace, head, as_of)
            return _edits(connection, namespace, _STATE, room=room, revision=as_of)

    def get(self, namespace: str, ids: Sequence[str]) -> dict[str, Edit]:
        """Return those of the edits that are live, by id."""
        with self._database.reading() as connection:
            room, _ = _find(connection, namespace)
            found = _edits(connection, namespace, _LIVE_BY_ID, room=room, tags=_tags(ids))
        return {str(edit.id): edit for edit in found}

    def history(
        self, namespace: str, id_: str | None = None, *, since: int = 0
    ) -> list[HistoryEntry]:
        """Return what happened after a revision, oldest first. See `EditStore`."""
        one = "" if id_ is None else " AND e.tag = :tag"
        with self._database.reading() as connection:
            room, _ = _find(connection, namespace)
            parameters: dict[str, Any] = {"room": room, "since": since}
            if id_ is not None:
                require_known(connection, room, namespace, [id_])
                parameters["tag"] = tag_of(id_)
            rows = connection.execute(text(_HISTORY.format(one=one)), parameters).mappings().all()
        return [_history_entry(row, namespace) for row in rows]

    def nearest(
        self,
        namespace: str,
        vector: Vectors,
        k: int,
        *,
        fingerprint: str,
        accept: Callable[[Edit], bool] | None = None,
    ) -> list[tuple[Edit, float]]:
        """Return the `k` live, accepted edits of highest cosine; see `EditStore`.

        Exactly, but for a namespace with an HNSW index, which may miss one.
        """
        with self._database.reading() as connection:
            room = find_room(connection, namespace)
            if room is None:
                return []
            check_space(room.space, VectorSpace(fingerprint, len(vector)))
            found = nearest(connection, room, vector, k, accept or (lambda _: True))
        if not room.approximate:
            self._consider_index(namespace, room.wordings)
        return found

    def vectors(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those of the edits that are live, by id; see `EditStore`."""
        return {id_: own[0] for id_, own in self.wordings(namespace, ids).items()}

    def wordings(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return all vectors of those of the edits that are live, by id; see `EditStore`."""
        with self._database.reading() as connection:
            room, _ = _find(connection, namespace)
            rows = connection.execute(_LIVE_BY_ID, {"room": room, "tags": _tags(ids)}).all()
            if room is None or not rows:
                return {}
            vectors = read_vectors(connection, room, [row.key for row in rows])
        return {row.id: vectors[row.key] for row in rows}

    def build_index(self, namespace: str) -> None:
        """Give a namespace an HNSW index now, whatever its size; nothing if it has one.

        Raises:
            StoreError: PostgreSQL failed. Searches stay exact.
        """
        build_index(self._database, namespace)

    def close(self) -> None:
        """Close the connections; further calls raise `StoreError`."""
        for handed in list(self._handing):
            handed.wait(_HANDING_SECONDS)
        self._database.close()

    @contextmanager
    def _writing(
        self, namespace: str, operation: Operation, if_revision: int | None
    ) -> Iterator[ProposalTransaction]:
        """Lend a transaction on a namespace; it is committed if the block ends without an error."""
        with self._database.writing() as connection:
            transaction = ProposalTransaction(
                connection, namespace, operation, if_revision=if_revision
            )
            yield transaction
            transaction.finish()
        self._consider_index(namespace, transaction.unindexed)

    def _consider_index(self, namespace: str, unindexed: int) -> None:
        """Have an index built in the background, if so many vectors without one are worth it."""
        now = time.monotonic()
        if unindexed < self._approximate_from or now < self._looked.get(namespace, now):
            return
        self._looked[namespace] = now + _LOOK_AGAIN_SECONDS
        handed = threading.Event()
        self._handing.add(handed)
        threading.Thread(target=self._build, args=(namespace, handed), daemon=True).start()

    def _build(self, namespace: str, handed: threading.Event) -> None:
        """Build an index in the background; a server goes on if this process ends."""
        try:
            build_index(self._database, namespace, sent=handed.set)
        except StoreError as error:
            _log.warning(
                "no HNSW index for namespace %r, searches stay exact: %s", namespace, error
            )
        finally:
            handed.set()
            self._handing.discard(handed)


def _find(connection: Connection, namespace: str) -> tuple[int | None, int]:
    """Return a namespace's room and its latest revision; None and 0 if it never held an edit."""
    row = connection.execute(_NAMESPACE, {"name": namespace}).one_or_none()
    return (None, 0) if row is None else (row.room, row.revision)


def _edits(connection: Connection, namespace: str, statement: Any, **parameters: Any) -> list[Edit]:
    rows = connection.execute(statement, parameters).mappings()
    return [decode({**row, "namespace": namespace}) for row in rows]


def _tags(ids: Sequence[str]) -> list[Any]:
    return [tag_of(id_) for id_ in ids]


def _history_entry(row: RowMapping, namespace: str) -> HistoryEntry:
    return HistoryEntry(
        revision=row["at_revision"],
        at=datetime.fromisoformat(row["at"]),
        operation=row["operation"],
        action=row["action"] or row["operation"],
        id=row["event_id"],
        version=row["event_version"],
        edit=None if row["key"] is None else decode({**row, "namespace": namespace}),
        superseded_by=row["superseded_by"],
    )
