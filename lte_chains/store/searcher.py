"""Searching a SQLite ledger: an index of each namespace that follows its revisions."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.store.base import Vectors, VectorSpace, check_space
from lte_chains.store.database import Database
from lte_chains.store.history import ENTRIES
from lte_chains.store.rows import decode
from lte_chains.store.saved_indexes import ERASED, LIVE_VECTORS, SavedIndexes
from lte_chains.store.schema import ROOM
from lte_chains.store.space import parse_space

if TYPE_CHECKING:
    from lte_chains.index import VectorIndex

_STATE = f"""SELECT
    (SELECT coalesce(max(revision), 0) FROM revisions WHERE room = {ROOM}),
    (SELECT value FROM meta WHERE name = 'space'),
    (SELECT value FROM meta WHERE name = 'epoch')"""  # noqa: S608
# All versions of what something happened to: a new one ends the one before it without a word.
_CHANGED_VECTORS = f"""SELECT v.key, x.vector
    FROM (SELECT DISTINCT room, id FROM ({ENTRIES}) JOIN versions ON key = about) AS touched
    CROSS JOIN versions AS v ON v.room = touched.room AND v.id = touched.id
    LEFT JOIN vectors AS x ON x.key = v.key AND v.state = 1"""  # noqa: S608
_SOME_VECTORS = """SELECT key, vector FROM vectors
    WHERE key IN (SELECT value FROM json_each(?))"""
_SOME_VERSIONS = """SELECT *, ? AS namespace FROM versions
    WHERE key IN ({marks}) AND digest IS NOT NULL"""
_AT_ONCE = 500
"""Most keys of one statement."""

_REMEMBERED = 4096
"""Most edits of a namespace that are kept because they were found before."""


class _Moved(Exception):  # noqa: N818  # no error, a signal: search again
    """All vectors, or all edits, were replaced while a search was under way."""


@dataclass
class _Room:
    """What a process knows of one namespace."""

    namespace: str
    space: str | None
    """The vectors' space, as the ledger has it."""
    epoch: str | None
    """Which content the ledger has: another one after a backup was put back."""
    index: VectorIndex
    remembered: dict[int, Edit] = field(default_factory=dict)
    """Edits by the key of their version, which never changes."""


class Searcher:
    """Finds the nearest edits of a ledger; see `EditStore.nearest`.

    Each process keeps an index of every namespace that it searches, and brings
    it up to date before each search.
    """

    def __init__(self, database: Database) -> None:
        """Search this database; nothing is read yet."""
        self._database = database
        self._saved = SavedIndexes(database)
        # By process too: a fork may catch a thread in the middle of an update.
        self._rooms: dict[tuple[int, str], _Room] = {}

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
        while True:
            try:
                room = self._room(namespace, VectorSpace(fingerprint, len(vector)))
                return self._hits(room, vector, k, accept)
            except _Moved:
                continue

    def index(self, namespace: str) -> VectorIndex | None:
        """Return the index of a namespace that this process has searched."""
        room = self._rooms.get((os.getpid(), namespace))
        return None if room is None else room.index

    def forget_saved(self, namespace: str | None = None) -> None:
        """Delete what is saved of a namespace's index, or of all: it holds what was purged."""
        self._saved.delete(namespace)

    def close(self) -> None:
        """Save the indexes that are worth it, and forget them."""
        for (pid, namespace), room in list(self._rooms.items()):
            if pid == os.getpid() and room.space is not None:
                self._saved.close(namespace, room.space, room.index)
        self._rooms.clear()

    def _hits(
        self,
        room: _Room,
        vector: Vectors,
        k: int,
        accept: Callable[[Edit], bool] | None,
    ) -> list[tuple[Edit, float]]:
        hits: list[tuple[Edit, float]] = []
        for part in self._ranked(room, vector, k):
            found = self._edits(room, [key for key, _ in part])
            for key, score in part:
                edit = found.get(key)  # none if purged since the index was read
                if edit is not None and (accept is None or accept(edit)):
                    hits.append((edit, score))
                    if len(hits) == k:
                        return hits
        return hits

    def _ranked(
        self, room: _Room, vector: Vectors, first: int
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield the keys of all edits with their scores, best first, in growing portions."""

        def fetch(keys: Sequence[int]) -> dict[int, bytes]:
            return self._vectors(room, keys)

        take = first
        with whole_vectors(self._database.name):
            for portion in room.index.ranked(vector, first=first, fetch=fetch):
                for start in range(0, len(portion), take):
                    yield portion[start : start + take]
                take *= 2

    def _edits(self, room: _Room, keys: Sequence[int]) -> dict[int, Edit]:
        """Return stored versions by their keys."""
        # Taken before reading: what a purge empties in the meantime is another one.
        remembered = room.remembered
        found = {key: remembered[key] for key in keys if key in remembered}
        missing = [key for key in keys if key not in found]
        if missing:
            for row in self._versions(room, missing):
                edit = found[row["key"]] = decode(row)
                # Not what a caller could change from within.
                if not any(isinstance(v, dict | list) for v in edit.metadata.values()):
                    if len(remembered) >= _REMEMBERED:
                        remembered.clear()
                    remembered[row["key"]] = edit
        return found

    def _versions(self, room: _Room, keys: Sequence[int]) -> Iterator[sqlite3.Row]:
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            # Not as JSON: to take that apart costs as much as to look up a few rows.
            statement = _SOME_VERSIONS.format(marks=", ".join("?" * len(part)))
            yield from self._database.read(statement, (room.namespace, *part))

    def _vectors(self, room: _Room, keys: Sequence[int]) -> dict[int, bytes]:
        with self._database.reading() as connection:
            self._same(room, connection)
            return dict(connection.execute(_SOME_VECTORS, (json.dumps(keys),)).fetchall())

    def _same(self, room: _Room, connection: sqlite3.Connection) -> tuple[int, str | None]:
        """Return the ledger's revision and space, if the content is still what the room is of."""
        head, recorded, epoch = connection.execute(_STATE, {"namespace": room.namespace}).fetchone()
        if (recorded, epoch) != (room.space, room.epoch):
            raise _Moved
        return head, recorded

    def _room(self, namespace: str, space: VectorSpace) -> _Room:
        """Return what is known of a namespace, no older than the ledger was at the call."""
        from lte_chains.index import VectorIndex

        [(head, recorded, epoch)] = self._database.read(_STATE, {"namespace": namespace})
        slot = (os.getpid(), namespace)
        room = self._rooms.get(slot)
        check_space(parse_space(recorded) or space, space)
        if room is None or (room.space, room.epoch) != (recorded, epoch):
            room = _Room(namespace, recorded, epoch, VectorIndex(space.dimension))
            self._rooms[slot] = room
        if room.index.revision < head:
            with room.index.lock, self._database.reading() as connection:
                self._catch_up(room, connection)
        return room

    def _catch_up(self, room: _Room, connection: sqlite3.Connection) -> None:
        """Apply the revisions that an index has not seen; the caller holds its lock."""
        index = room.index
        head, recorded = self._same(room, connection)
        if index.revision == 0 and recorded is not None:
            self._saved.restore(room.namespace, recorded, index, connection)
        since = index.revision
        if head <= since:
            return
        parameters = {"namespace": room.namespace, "since": since}
        upset = connection.execute(ERASED, parameters).fetchone()
        cursor = connection.cursor()
        cursor.row_factory = None  # plain tuples, of which there may be a million
        with whole_vectors(self._database.name):
            if since == 0 or upset is not None:
                room.remembered = {}  # what was purged must not stay in memory
                index.rebuild(head, cursor.execute(LIVE_VECTORS, parameters))
            else:
                index.update(head, cursor.execute(_CHANGED_VECTORS, parameters))
        if recorded is not None:
            self._saved.consider(room.namespace, recorded, index)


@contextmanager
def whole_vectors(name: str) -> Iterator[None]:
    """Turn the complaint that stored bytes are no vectors into a `StoreError`.

    Raises:
        StoreError: They are not.
    """
    try:
        yield
    except ValueError as error:
        raise StoreError(
            f"{name} holds vectors of a wrong length: the file is damaged; restore it from a "
            "backup, or call memory.reembed(memory.embeddings)"
        ) from error
