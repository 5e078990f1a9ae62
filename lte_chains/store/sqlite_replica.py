"""A SQLite file, as a migration reads and writes it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

from lte_chains.store.base import VectorSpace
from lte_chains.store.database import Database, demand_erasure
from lte_chains.store.entries import (
    INSERT_EVENT,
    INSERT_OTHER_SLOT,
    INSERT_REVISION,
    INSERT_VECTORS,
    INSERT_VERSION,
    LIVE,
    NEXT_NUMBER,
    PAST,
    PENDING,
    WITH_ALIASES,
    other_slots,
    room_of,
)
from lte_chains.store.history import ENTRIES
from lte_chains.store.ledger import empty
from lte_chains.store.migration import FinalState, LedgerEvent, LedgerRevision, LedgerVersion
from lte_chains.store.rows import CONTENT
from lte_chains.store.schema import ROOM
from lte_chains.store.space import claim_space, read_space

_CHUNK = 500
_REVISIONS = f"""SELECT r.revision, r.operation, r.at, e.action, v.id, v.version, e.superseded_by
    FROM revisions AS r LEFT JOIN ({ENTRIES}) AS e ON e.of_revision = r.revision
    LEFT JOIN versions AS v ON v.key = e.about
    WHERE r.room = {ROOM} AND r.revision > :since ORDER BY r.revision, e.number"""  # noqa: S608
# In the order of their keys, which is that of their revisions.
_VERSIONS = f"""SELECT v.*, x.vector FROM versions AS v JOIN vectors AS x USING (key)
    WHERE v.room = {ROOM} AND v.revision > :since AND v.digest IS NOT NULL
    ORDER BY v.key"""  # noqa: S608
_COUNTS = f"""SELECT revision, count(*) AS versions FROM versions
    WHERE room = {ROOM} AND revision > :since AND digest IS NOT NULL
    GROUP BY revision"""  # noqa: S608
_HEADS = """SELECT namespace, max(revision) AS head FROM revisions JOIN rooms USING (room)
    GROUP BY room"""
_KEY = "SELECT key FROM versions WHERE room = ? AND id = ? AND version = ?"
_LAST_PURGE = """SELECT max(e.seq) FROM versions AS v CROSS JOIN events AS e ON e.key = v.key
    WHERE v.room = ? AND v.id = ? AND e.action = 'purge'"""
_FORGET_OTHER_SLOTS = """DELETE FROM other_slots
    WHERE key IN (SELECT key FROM versions WHERE room = ? AND id = ?)"""
_ALIASES_OF = f"{WITH_ALIASES} AND room = ? AND id = ? AND version = ?"


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
                claim_space(connection, read_space(connection), space)
            room = _room(connection, namespace)
            for revision in revisions:
                _write(connection, room, revision)
            _settle(connection, room, state)
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
        where = {"namespace": namespace, "since": since}
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


def _room(connection: sqlite3.Connection, namespace: str) -> int:
    """Return a namespace's number, a new one if it has none."""
    connection.execute("INSERT OR IGNORE INTO rooms (namespace) VALUES (?)", (namespace,))
    room = room_of(connection, namespace)
    return room if room is not None else 0


def _write(connection: sqlite3.Connection, room: int, revision: LedgerRevision) -> None:
    """Append a revision; what it says of versions that were purged since is kept too."""
    [(first,)] = connection.execute(f"SELECT {NEXT_NUMBER}")
    born: dict[tuple[str, int], tuple[int, bool]] = {}
    said = []
    for number, event in enumerate(revision.events, first):
        if event.action in ("add", "propose"):
            born[event.id, event.version] = number, event.action == "propose"
        else:
            said.append((number, event))
    stored = set()
    for portion in revision.versions:
        for v in portion:
            key, proposed = born[v.id, v.version]
            identity = (key, room, v.id, v.version, revision.number, proposed, PAST)
            connection.execute(INSERT_VERSION, (*identity, *v.content, v.slot, v.digest))
            connection.execute(INSERT_VECTORS, (key, v.vectors))
            stored.add(key)
    nothing = (None,) * (len(CONTENT) + 2)
    connection.executemany(
        INSERT_VERSION,
        (
            (key, room, id_, version, revision.number, proposed, PAST, *nothing)
            for (id_, version), (key, proposed) in born.items()
            if key not in stored
        ),
    )
    for number, event in said:
        [(about,)] = connection.execute(_KEY, (room, event.id, event.version))
        about_it = (event.action, about, event.superseded_by)
        connection.execute(INSERT_EVENT, (number, revision.number, *about_it))
    numbers = (first, first + len(revision.events) - 1)
    when = (room, revision.number, revision.operation, revision.at)
    connection.execute(INSERT_REVISION, (*when, *numbers))


def _settle(connection: sqlite3.Connection, room: int, state: FinalState) -> None:
    """Bring what is live and pending up to the latest revision."""
    for id_ in state.purged:
        [(last,)] = connection.execute(_LAST_PURGE, (room, id_))
        empty(connection, room, id_, below=last)
    for now, final in ((LIVE, state.live), (PENDING, state.pending)):
        connection.executemany(
            "UPDATE versions SET state = 0 WHERE room = ? AND id = ? AND state = ?",
            [(room, id_, now) for id_ in final],
        )
    for id_ in state.live:
        connection.execute(_FORGET_OTHER_SLOTS, (room, id_))
    for now, final in ((LIVE, state.live), (PENDING, state.pending)):
        connection.executemany(
            "UPDATE versions SET state = ? WHERE room = ? AND id = ? AND version = ?",
            [(now, room, id_, version) for id_, version in final.items() if version is not None],
        )
    for id_, version in state.live.items():
        if version is not None:
            rows = connection.execute(_ALIASES_OF, (room, id_, version)).fetchall()
            connection.executemany(INSERT_OTHER_SLOT, other_slots(rows))
