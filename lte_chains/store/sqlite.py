"""The default store: a ledger in one SQLite file, with an exact index in memory."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from lte_chains.edit import Edit
from lte_chains.errors import UnknownEditError
from lte_chains.store.backup import back_up
from lte_chains.store.base import (
    Durability,
    HistoryEntry,
    Operation,
    Vectors,
    VectorSpace,
    check_revision,
)
from lte_chains.store.bulk import put_all
from lte_chains.store.database import Database, demand_erasure
from lte_chains.store.entries import room_of
from lte_chains.store.history import STATE_AT, history
from lte_chains.store.ledger import Transaction, require_known
from lte_chains.store.proposals import PENDING_EDITS, ProposalTransaction
from lte_chains.store.rows import decode, encode, moment
from lte_chains.store.schema import ROOM, epoch
from lte_chains.store.searcher import Searcher, whole_vectors
from lte_chains.store.space import (
    blob,
    claim_space,
    parse_space,
    read_space,
    replace_vectors,
    unpacked,
)

_LIVE = f"""SELECT v.*, :namespace AS namespace FROM versions AS v
    WHERE v.room = {ROOM} AND v.state = 1"""  # noqa: S608
_LIVE_BY_ID = f"{_LIVE} AND v.id IN (SELECT value FROM json_each(:ids))"  # noqa: S608
_VECTORS_BY_ID = f"""SELECT v.id, x.vector FROM versions AS v JOIN vectors AS x USING (key)
    WHERE v.room = {ROOM} AND v.state = 1
    AND v.id IN (SELECT value FROM json_each(:ids))"""  # noqa: S608
_AS_OF = f"""SELECT v.*, :namespace AS namespace FROM ({STATE_AT}) AS state
    JOIN versions AS v USING (key) ORDER BY v.key"""  # noqa: S608
_HEAD = f"SELECT coalesce(max(revision), 0) FROM revisions WHERE room = {ROOM}"  # noqa: S608
_REVISION_AT = f"""SELECT coalesce(max(revision), 0) FROM revisions
    WHERE room = {ROOM} AND at <= :at"""  # noqa: S608
_NEWER = """SELECT versions.*, namespace FROM versions JOIN rooms USING (room)
    WHERE key > ? AND digest IS NOT NULL ORDER BY key"""

_T = TypeVar("_T", bound=Transaction)


class SQLiteStore:
    """Edits in a SQLite file, shared by threads and processes; see `EditStore`.

    A write-ahead log with a full sync at every commit: what a call has returned
    survives the process and the machine. Each process keeps an exact index of
    the namespaces it searches and brings it up to date before every search.

    Args:
        path: The file, made if it does not exist; ":memory:" for none.
        durability: "full" for the above; "normal" to sync now and then, which is
            quicker: a power cut may take the last calls, each of them whole.

    Raises:
        StoreError: The path cannot be used; see `lte_chains.store.schema.prepare`.
        ConfigError: There is no such durability.

    Example:
        >>> import numpy as np
        >>> store = SQLiteStore(":memory:")
        >>> [id_] = store.add("default", [Edit(prompt="2 + 2 is", target_new="5")],
        ...                   np.float32([[1, 0]]), fingerprint="demo")
        >>> store.revision("default"), store.get("default", [id_])[id_].target_new
        (1, '5')
        >>> store.close()
    """

    def __init__(self, path: str | os.PathLike[str], *, durability: Durability = "full") -> None:
        """Open or create the file."""
        self._database = Database(path, durability=durability)
        self._searcher = Searcher(self._database)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a copy of the file, all namespaces, while it is in use.

        The copy is one state of the ledger; writers are not kept waiting. It is
        a memory like any other, and can be opened.

        Raises:
            StoreError: The copy cannot be written; an existing one is as before.
        """
        with self._database.reading() as connection:
            back_up(connection, self.name, path)

    @property
    def name(self) -> str:
        """The file's path, or ":memory:"."""
        return self._database.name

    def space(self) -> VectorSpace | None:
        """Return the space of the stored vectors; None before the first edit."""
        with self._database.reading() as connection:
            return read_space(connection)

    def revision(self, namespace: str) -> int:
        """Return the latest revision of a namespace; 0 if it never held an edit."""
        with self._database.reading() as connection:
            return _head(connection, namespace)

    def content(self, namespace: str) -> tuple[int, str | None]:
        """Return the latest revision, and which content it is of: another after a `restore`."""
        return self._searcher.content(namespace)

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
        with self._writing(Transaction, namespace, "add", if_revision) as transaction:
            _claim(transaction, VectorSpace(fingerprint, vectors[0].shape[-1]))
            if takes is None:
                return put_all(transaction, edits, contents, vectors)
            rows = zip(edits, contents, vectors, takes, strict=True)
            return [
                transaction.put(edit, content, blob(own), takes=taken)
                for edit, content, own, taken in rows
            ]

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
        with self._writing(ProposalTransaction, namespace, "propose", if_revision) as transaction:
            _claim(transaction, VectorSpace(fingerprint, vectors[0].shape[-1]))
            rows = zip(edits, contents, vectors, strict=True)
            return [transaction.propose(edit, content, blob(v)) for edit, content, v in rows]

    def pending(self, namespace: str) -> list[Edit]:
        """Return the pending edits, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(PENDING_EDITS, {"namespace": namespace}).fetchall()
        return [decode(row) for row in rows]

    def approve(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Make pending edits live; return the revision. See `EditStore`."""
        with self._writing(ProposalTransaction, namespace, "approve", if_revision) as transaction:
            transaction.approve(ids)
        return transaction.head

    def reject(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Discard pending edits; return the revision. See `EditStore`."""
        with self._writing(ProposalTransaction, namespace, "reject", if_revision) as transaction:
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
        with self._writing(Transaction, namespace, "retract", if_revision) as transaction:
            transaction.retract(ids, missing_ok=missing_ok)
        return transaction.head

    def rollback(self, namespace: str, revision: int, *, if_revision: int | None = None) -> int:
        """Make the live edits those of an earlier revision; return the new revision."""
        with self._writing(Transaction, namespace, "rollback", if_revision) as transaction:
            _require_revision(namespace, revision, transaction.head)
            transaction.rollback(revision)
        return transaction.head

    def purge(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Erase all versions of edits beyond recovery; return the revision.

        Raises:
            UnknownEditError: The namespace never held an id.
            StoreError: The edits are gone, but traces stay in the log while
                another process reads it; see `Database.erase_traces`.
        """
        with self._writing(Transaction, namespace, "purge", if_revision) as transaction:
            transaction.purge(ids)
            demand_erasure(transaction.connection)
        self._database.erase_traces()
        return transaction.head

    def reembed(
        self, embed: Callable[[Sequence[Edit]], Sequence[Vectors]], *, fingerprint: str
    ) -> None:
        """Replace the vectors of all versions in all namespaces, in one transaction.

        Embedding happens before the transaction; what others add in the meantime
        is embedded in further rounds, until there is nothing new. If a backup is put
        back in the meantime, all begins anew.
        """
        fresh: dict[int, bytes] = {}
        space: VectorSpace | None = None
        content: str | None = None
        while True:
            with self._database.writing() as connection:
                if (found := epoch(connection)) != content:
                    fresh, content = {}, found
                rows = connection.execute(_NEWER, (max(fresh, default=0),)).fetchall()
                if not rows:
                    replace_vectors(connection, fresh, space)
                    break
            vectors = embed([decode(row) for row in rows])
            space = VectorSpace(fingerprint, vectors[0].shape[-1])
            fresh |= {row["key"]: blob(own) for row, own in zip(rows, vectors, strict=True)}
        self._searcher.forget_saved()

    def edits(self, namespace: str, *, as_of: int | datetime | None = None) -> list[Edit]:
        """Return the live edits, oldest first; those of an earlier moment with `as_of`."""
        with self._database.reading() as connection:
            if as_of is None:
                found = connection.execute(f"{_LIVE} ORDER BY v.key", {"namespace": namespace})
            else:
                revision = _revision_at(connection, namespace, as_of)
                room = room_of(connection, namespace)
                parameters = {"namespace": namespace, "room": room, "revision": revision}
                found = connection.execute(_AS_OF, parameters)
            rows = found.fetchall()
        return [decode(row) for row in rows]

    def get(self, namespace: str, ids: Sequence[str]) -> dict[str, Edit]:
        """Return those of the edits that are live, by id."""
        with self._database.reading() as connection:
            parameters = {"namespace": namespace, "ids": json.dumps(list(ids))}
            rows = connection.execute(_LIVE_BY_ID, parameters).fetchall()
        return {row["id"]: decode(row) for row in rows}

    def history(
        self, namespace: str, id_: str | None = None, *, since: int = 0
    ) -> list[HistoryEntry]:
        """Return what happened after a revision, oldest first. See `EditStore`."""
        with self._database.reading() as connection:
            if id_ is not None:
                require_known(connection, room_of(connection, namespace), namespace, [id_])
            return history(connection, namespace, since=since, id_=id_)

    def nearest(
        self,
        namespace: str,
        vector: Vectors,
        k: int,
        *,
        fingerprint: str,
        accept: Callable[[Edit], bool] | None = None,
    ) -> list[tuple[Edit, float]]:
        """Return the `k` live, accepted edits of highest cosine; see `EditStore`."""
        search = self._searcher.nearest
        return search(namespace, vector, k, fingerprint=fingerprint, accept=accept)

    def vectors(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those of the edits that are live, by id; see `EditStore`."""
        return {id_: own[0] for id_, own in self.wordings(namespace, ids).items()}

    def wordings(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return all vectors of those of the edits that are live, by id; see `EditStore`."""
        with self._database.reading() as connection:
            space = read_space(connection)
            parameters = {"namespace": namespace, "ids": json.dumps(list(ids))}
            rows = connection.execute(_VECTORS_BY_ID, parameters).fetchall()
        if space is None:
            return {}
        with whole_vectors(self.name):
            return {row["id"]: unpacked(row["vector"], space.dimension) for row in rows}

    def close(self) -> None:
        """Release the file; further calls raise `StoreError`."""
        self._searcher.close()
        self._database.close()

    @contextmanager
    def _writing(
        self, kind: type[_T], namespace: str, operation: Operation, if_revision: int | None
    ) -> Iterator[_T]:
        """Lend the transaction of a call, which begins at a revision, if one is given."""
        with self._database.writing() as connection:
            transaction = kind(connection, namespace, operation)
            check_revision(namespace, transaction.head, if_revision)
            yield transaction
            transaction.finish()


def _claim(transaction: Transaction, space: VectorSpace) -> None:
    claim_space(transaction.connection, parse_space(transaction.space), space)


def _head(connection: sqlite3.Connection, namespace: str) -> int:
    return int(connection.execute(_HEAD, {"namespace": namespace}).fetchone()[0])


def _revision_at(connection: sqlite3.Connection, namespace: str, as_of: int | datetime) -> int:
    """Return the revision that was the latest at a moment, or check a given one."""
    if not isinstance(as_of, datetime):
        _require_revision(namespace, as_of, _head(connection, namespace))
        return as_of
    parameters = {"namespace": namespace, "at": moment(as_of)}
    return int(connection.execute(_REVISION_AT, parameters).fetchone()[0])


def _require_revision(namespace: str, revision: int, head: int) -> None:
    if not 0 <= revision <= head:
        raise UnknownEditError(
            f"namespace {namespace!r} has no revision {revision}: give one from 0 to {head}"
        )
