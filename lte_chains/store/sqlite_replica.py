"""A SQLite file, as a migration reads and writes it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

from lte_chains.slots import place_of
from lte_chains.store.base import VectorSpace
from lte_chains.store.database import Database, demand_erasure
from lte_chains.store.ledger import INSERT_VERSION
from lte_chains.store.migration import FinalState, LedgerEvent, LedgerRevision, LedgerVersion
from lte_chains.store.rows import CONTENT, decode
from lte_chains.store.space import claim_space, read_space

_CHUNK = 500
_REVISIONS = """SELECT r.revision, r.operation, r.at, e.action, e.id, e.version, e.superseded_by
    FROM revisions AS r LEFT JOIN events AS e
        ON e.namespace = r.namespace AND e.revision = r.revision
    WHERE r.namespace = ? AND r.revision > ? ORDER BY r.revision, e.seq"""
# In the order of their keys, which is that of their revisions.
_VERSIONS = """SELECT v.*, x.vector FROM versions AS v JOIN vectors AS x ON x.key = v.key
    WHERE v.namespace = ? AND v.revision > ? ORDER BY v.key"""
_COUNTS = """SELECT revision, count(*) AS versions FROM versions
    WHERE namespace = ? AND revision > ? GROUP BY revision"""
_HEADS = "SELECT namespace, max(revision) AS head FROM revisions GROUP BY namespace"
_INSERT_EVENT = """INSERT INTO events (namespace, revision, action, id, version, superseded_by)
    VALUES (?, ?, ?, ?, ?, ?)"""
_INSERT_LIVE = """INSERT INTO live
    (namespace, id, key, version, slot, digest, valid_from, valid_until)
    SELECT namespace, id, key, version, slot, digest, valid_from, valid_until
    FROM versions WHERE namespace = ? AND id = ? AND version = ?"""
_INSERT_PENDING = """INSERT INTO pending (namespace, id, key, version, digest)
    SELECT namespace, id, key, version, digest
    FROM versions WHERE namespace = ? AND id = ? AND version = ?"""
_WITH_ALIASES = """SELECT * FROM versions
    WHERE namespace = ? AND id = ? AND version = ? AND aliases IS NOT NULL"""


class SQLiteReplica:
    """A SQLite file, made if it does not exist; see `lte_chains.store.migration.Replica`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open or create the file."""
        self._database = Database(path)

    @property
    def name(self) -> str:
        """The file's path."""
        return self._database.name

    @contextmanager
    def view(self) -> Iterator[SQLiteView]:
        """Lend the ledger as it stands now."""
        with self._database.reading() as connection:
            yield SQLiteView(connection)

    def write(
        self, namespace: str, revisions: Sequence[LedgerRevision], space: VectorSpace | None
    ) -> None:
        """Append revisions, in one transaction."""
        state = FinalState.after(revisions)
        with self._database.writing() as connection:
            if space is not None:
                claim_space(connection, space)
            for revision in revisions:
                _write(connection, namespace, revision)
            _settle(connection, namespace, state)
            if state.purged:
                demand_erasure(connection)

    def finish(self) -> None:
        """Erase what was purged between two migrations."""
        self._database.erase_traces()

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class SQLiteView:
    """A ledger in a SQLite file, as one transaction sees it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection that is in a transaction."""
        self._connection = connection

    def space(self) -> VectorSpace | None:
        """Return the space of the vectors; None before the first edit."""
        return read_space(self._connection)

    def heads(self) -> dict[str, int]:
        """Return the latest revision of each namespace, by name."""
        return {row["namespace"]: row["head"] for row in self._connection.execute(_HEADS)}

    def revisions(self, namespace: str, *, since: int = 0) -> Generator[LedgerRevision, None, None]:
        """Yield the revisions after `since`, oldest first."""
        where = (namespace, since)
        counts = dict(self._connection.execute(_COUNTS, where).fetchall())
        versions = self._connection.execute(_VERSIONS, where)
        rows = self._connection.execute(_REVISIONS, where)
        for (number, operation, at), own in groupby(
            rows, key=itemgetter("revision", "operation", "at")
        ):
            events = tuple(LedgerEvent(*row[3:]) for row in own if row["action"] is not None)
            count = counts.get(number, 0)
            yield LedgerRevision(number, operation, at, events, count, _read(versions, count))


def _read(rows: sqlite3.Cursor, count: int) -> Iterator[list[LedgerVersion]]:
    """Yield the next versions of a cursor, a few at a time."""
    while count:
        portion = rows.fetchmany(min(count, _CHUNK))
        count -= len(portion)
        yield [
            LedgerVersion(
                row["id"],
                row["version"],
                tuple(row[name] for name in CONTENT),
                row["slot"],
                row["digest"],
                row["vector"],
            )
            for row in portion
        ]


def _write(connection: sqlite3.Connection, namespace: str, revision: LedgerRevision) -> None:
    connection.execute(
        "INSERT INTO revisions (namespace, revision, operation, at) VALUES (?, ?, ?, ?)",
        (namespace, revision.number, revision.operation, revision.at),
    )
    connection.executemany(
        _INSERT_EVENT,
        (
            (namespace, revision.number, event.action, event.id, event.version, event.superseded_by)
            for event in revision.events
        ),
    )
    for portion in revision.versions:
        for v in portion:
            place = (None, namespace, v.id, v.version, revision.number)
            row = (*place, *v.content, v.slot, v.digest)
            key = connection.execute(INSERT_VERSION, row).lastrowid
            connection.execute("INSERT INTO vectors (key, vector) VALUES (?, ?)", (key, v.vectors))


def _settle(connection: sqlite3.Connection, namespace: str, state: FinalState) -> None:
    """Bring the tables of what is live and pending up to the latest revision."""
    for id_ in state.purged:
        keys = "SELECT key FROM versions WHERE namespace = ? AND id = ? AND revision < ("
        keys += "SELECT max(revision) FROM events WHERE namespace = ? AND id = ? "
        keys += "AND action = 'purge')"
        names = (namespace, id_, namespace, id_)
        connection.execute(f"DELETE FROM vectors WHERE key IN ({keys})", names)  # noqa: S608
        connection.execute(f"DELETE FROM versions WHERE key IN ({keys})", names)  # noqa: S608
    for table, final in (("live", state.live), ("other_slots", state.live)):
        _forget(connection, table, namespace, final)
    _forget(connection, "pending", namespace, state.pending)
    live = [(namespace, id_, v) for id_, v in state.live.items() if v is not None]
    waiting = [(namespace, id_, v) for id_, v in state.pending.items() if v is not None]
    connection.executemany(_INSERT_LIVE, live)
    connection.executemany(_INSERT_PENDING, waiting)
    for where in live:
        row = connection.execute(_WITH_ALIASES, where).fetchone()
        place = None if row is None else place_of(decode(row))
        if place is not None:
            connection.executemany(
                "INSERT INTO other_slots (namespace, slot, id) VALUES (?, ?, ?)",
                [(namespace, key, where[1]) for key in place.other_keys],
            )


def _forget(
    connection: sqlite3.Connection, table: str, namespace: str, ids: dict[str, int | None]
) -> None:
    connection.executemany(
        f"DELETE FROM {table} WHERE namespace = ? AND id = ?",  # noqa: S608
        [(namespace, id_) for id_ in ids],
    )
