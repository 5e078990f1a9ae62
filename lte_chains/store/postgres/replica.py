"""A PostgreSQL database, as a migration reads and writes it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, Result, text

from lte_chains.edit import Edit
from lte_chains.store.base import Vectors, VectorSpace
from lte_chains.store.migration import FinalState, LedgerEvent, LedgerRevision, LedgerVersion
from lte_chains.store.postgres.database import PostgresDatabase
from lte_chains.store.postgres.erasure import demand_erasure, erase_traces
from lte_chains.store.postgres.hnsw import build_index
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.search import APPROXIMATE_FROM
from lte_chains.store.postgres.vectors import claim_space, read_space, read_vectors
from lte_chains.store.postgres.working_set import WorkingSet, live_edit, stored_edit
from lte_chains.store.postgres.writes import NewVersion, Writes
from lte_chains.store.rows import CONTENT, decode

_CHUNK = 500
_STREAMING = {"stream_results": True, "max_row_buffer": _CHUNK}
"""Rows come from the server as they are read."""
_HEADS = text("SELECT name, room, revision FROM lte_namespaces WHERE revision > 0 ORDER BY room")
_REVISIONS = text(
    """SELECT r.revision, r.operation, r.at, e.action, e.id, e.version, e.superseded_by
    FROM lte_revisions AS r LEFT JOIN lte_events AS e USING (room, revision)
    WHERE r.room = :room AND r.revision > :since ORDER BY r.revision, e.seq"""
)
_VERSIONS = text("SELECT * FROM lte_versions WHERE room = :room AND revision > :since ORDER BY key")
_COUNTS = text(
    """SELECT revision, count(*) FROM lte_versions
    WHERE room = :room AND revision > :since GROUP BY revision"""
)
_STORED = text(
    """SELECT v.* FROM lte_versions AS v
    JOIN unnest(CAST(:tags AS uuid[]), CAST(:numbers AS int[])) AS w (tag, version)
        ON v.tag = w.tag AND v.version = w.version
    WHERE v.room = :room"""
)
_PURGE = text(
    """WITH gone AS (DELETE FROM lte_versions AS v WHERE v.room = :room AND v.tag = ANY(:tags)
        AND v.revision < (SELECT max(e.revision) FROM lte_events AS e
            WHERE e.room = v.room AND e.tag = v.tag AND e.action = 'purge')
        RETURNING v.room, v.key),
    vectors AS (DELETE FROM lte_vectors AS x USING gone
        WHERE x.room = gone.room AND x.key = gone.key RETURNING x.live)
    SELECT count(*) FROM vectors WHERE live"""
)
_ROOM = text(
    """INSERT INTO lte_namespaces (name) VALUES (:name)
    ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING room, last_key"""
)
_REVISION = text(
    "INSERT INTO lte_revisions (room, revision, operation, at) "
    "VALUES (:room, :revision, :operation, :at)"
)
_ADVANCE = text(
    """UPDATE lte_namespaces SET revision = :revision, at = :at, last_key = :last_key,
    wordings = wordings + :wordings WHERE room = :room"""
)
_LARGE = text(
    "SELECT name FROM lte_namespaces WHERE NOT approximate AND wordings >= :least ORDER BY room"
)


class PostgresReplica:
    """A PostgreSQL database; see `lte_chains.store.migration.Replica`."""

    def __init__(self, url: str) -> None:
        """Connect, and make the tables or bring them up to date."""
        self._database = PostgresDatabase(url)

    @property
    def name(self) -> str:
        """The database's address, without user and password."""
        return self._database.name

    @contextmanager
    def view(self) -> Iterator[PostgresView]:
        """Lend the ledger as it stands now."""
        with self._database.reading() as connection:
            yield PostgresView(connection)

    def write(
        self, namespace: str, revisions: Sequence[LedgerRevision], space: VectorSpace | None
    ) -> None:
        """Append revisions, in one transaction."""
        with self._database.writing() as connection:
            if space is not None:
                claim_space(connection, space)
            state = FinalState.after(revisions)
            _Append(connection, namespace, space, state).write(revisions)
            if state.purged:
                demand_erasure(connection)

    def finish(self) -> None:
        """Gather what the planner wants to know, and index the large namespaces."""
        erase_traces(self._database)
        with self._database.maintaining() as connection:
            connection.execute(text("ANALYZE lte_vectors, lte_versions, lte_events, lte_live"))
            large = connection.execute(_LARGE, {"least": APPROXIMATE_FROM}).scalars().all()
        for namespace in large:
            build_index(self._database, namespace)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


class PostgresView:
    """A ledger in PostgreSQL, as one transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        """Read through a connection that is in a transaction."""
        self._connection = connection
        self._rooms = {row.name: row for row in connection.execute(_HEADS)}

    def space(self) -> VectorSpace | None:
        """Return the space of the vectors; None before the first edit."""
        return read_space(self._connection)

    def heads(self) -> dict[str, int]:
        """Return the latest revision of each namespace, by name."""
        return {name: row.revision for name, row in self._rooms.items()}

    def revisions(self, namespace: str, *, since: int = 0) -> Generator[LedgerRevision, None, None]:
        """Yield the revisions after `since`, oldest first."""
        where = {"room": self._rooms[namespace].room, "since": since}
        counts = {row[0]: row[1] for row in self._connection.execute(_COUNTS, where)}
        with (
            self._connection.execute(_VERSIONS, where, execution_options=_STREAMING) as versions,
            self._connection.execute(_REVISIONS, where, execution_options=_STREAMING) as rows,
        ):
            for (number, operation, at), own in groupby(rows, key=lambda row: tuple(row[:3])):
                events = tuple(LedgerEvent(*row[3:]) for row in own if row.action is not None)
                count = counts.get(number, 0)
                chunks = self._read(versions, where["room"], count)
                yield LedgerRevision(number, operation, at, events, count, chunks)

    def _read(self, rows: Result[Any], room: int, count: int) -> Iterator[list[LedgerVersion]]:
        """Yield the next versions of a result, a few at a time."""
        while count:
            portion = rows.mappings().fetchmany(min(count, _CHUNK))
            count -= len(portion)
            vectors = read_vectors(self._connection, room, [row["key"] for row in portion])
            yield [
                LedgerVersion(
                    row["id"],
                    row["version"],
                    tuple(row[name] for name in CONTENT),
                    row["slot"],
                    row["digest"],
                    vectors[row["key"]].astype("<f4").tobytes(),
                )
                for row in portion
            ]


class _Append:
    """Revisions that are written behind the latest of a namespace."""

    def __init__(
        self, connection: Connection, namespace: str, space: VectorSpace | None, state: FinalState
    ) -> None:
        self._connection, self._namespace, self._state = connection, namespace, state
        self._dimension = 1 if space is None else space.dimension
        self._room, self._last_key = connection.execute(_ROOM, {"name": namespace}).one()
        self._writes = Writes(connection, self._room)
        self._settled: set[str] = set()

    def write(self, revisions: Sequence[LedgerRevision]) -> None:
        entries = [
            {"room": self._room, "revision": r.number, "operation": r.operation, "at": r.at}
            for r in revisions
        ]
        self._connection.execute(_REVISION, entries)
        for revision in revisions:
            for e in revision.events:
                self._writes.note(revision.number, e.action, e.id, e.version, e.superseded_by)
        for portion in _chunks(revisions):
            self._add(portion)
        self._purge()
        self._settle_stored()
        self._settle_pending()
        self._writes.flush()
        state = {"last_key": self._last_key, "wordings": self._writes.wordings}
        self._connection.execute(_ADVANCE, {**entries[-1], **state})

    def _add(self, portion: Sequence[tuple[int, LedgerVersion]]) -> None:
        """Write versions of revisions, with those of them live that are live in the end."""
        final = self._state.live
        held = WorkingSet(self._connection, self._room)
        held.load([v.id for _, v in portion if final.get(v.id) == v.version])
        for revision, v in portion:
            self._last_key += 1
            key, vectors = self._last_key, self._unpacked(v)
            self._writes.versions[key] = NewVersion(
                key, v.id, v.version, revision, v.content, v.slot, v.digest, vectors
            )
            if final.get(v.id) != v.version:
                continue
            before = held.get(v.id)
            if before is not None:
                self._writes.end(before)
            self._settled.add(v.id)
            self._writes.make_live(
                live_edit(
                    _edit(v), id_=v.id, key=key, version=v.version, slot=v.slot, digest=v.digest
                )
            )
        self._writes.flush()

    def _purge(self) -> None:
        """Delete what had been copied before it was purged in the source."""
        if not self._state.purged:
            return
        self._writes.flush()
        tags = [tag_of(id_) for id_ in self._state.purged]
        gone = self._connection.execute(_PURGE, {"room": self._room, "tags": tags}).scalar_one()
        self._writes.wordings -= gone

    def _settle_stored(self) -> None:
        """Settle the ids whose last word is not about a version that was written now."""
        rest = {id_: v for id_, v in self._state.live.items() if id_ not in self._settled}
        held = WorkingSet(self._connection, self._room)
        held.load(rest)
        again = self._stored({id_: v for id_, v in rest.items() if v is not None})
        for id_, version in rest.items():
            before = held.get(id_)
            if before is not None and before.version == version:
                continue
            if before is not None:
                self._writes.end(before)
            elif id_ in self._state.purged:
                self._writes.forget(id_)
            if id_ in again:
                self._writes.make_live(stored_edit(again[id_]))

    def _settle_pending(self) -> None:
        waiting = {id_: v for id_, v in self._state.pending.items() if v is not None}
        rows = self._stored(waiting)
        for id_ in self._state.pending:
            row = rows.get(id_)
            self._writes.pending[id_] = None if row is None else (row["key"], row["digest"])

    def _stored(self, versions: dict[str, int]) -> dict[str, Any]:
        """Return the rows of versions by their ids."""
        if not versions:
            return {}
        parameters = {
            "room": self._room,
            "tags": [tag_of(id_) for id_ in versions],
            "numbers": list(versions.values()),
        }
        rows = self._connection.execute(_STORED, parameters).mappings()
        return {row["id"]: row for row in rows}

    def _unpacked(self, version: LedgerVersion) -> Vectors:
        return np.frombuffer(version.vectors, "<f4").reshape(-1, self._dimension)


def _edit(version: LedgerVersion) -> Edit:
    fields = dict(zip(CONTENT, version.content, strict=True))
    named = {"id": version.id, "namespace": None, "version": version.version, "revision": None}
    return decode({**fields, **named, "slot": version.slot})


def _chunks(
    revisions: Sequence[LedgerRevision],
) -> Iterator[list[tuple[int, LedgerVersion]]]:
    """Yield the versions of revisions, with the revisions' numbers, some at a time."""
    every = (
        (revision.number, version)
        for revision in revisions
        for portion in revision.versions
        for version in portion
    )
    while chunk := list(islice(every, _CHUNK)):
        yield chunk
