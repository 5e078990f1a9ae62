"""Searching a SQLite ledger: an index of each namespace that follows its revisions."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.store.base import Vectors, VectorSpace, check_space
from lte_chains.store.database import Database
from lte_chains.store.history import ENTRIES
from lte_chains.store.rows import EDIT_COLUMNS, decode_values
from lte_chains.store.saved_indexes import ERASED, LIVE_VECTORS, Origin, SavedIndexes
from lte_chains.store.schema import ROOM
from lte_chains.store.space import parse_space

if TYPE_CHECKING:
    from lte_chains.index import VectorIndex

_STATE = f"""SELECT
    (SELECT coalesce(max(revision), 0) FROM revisions WHERE room = {ROOM}),
    (SELECT value FROM meta WHERE name = 'space'),
    (SELECT value FROM meta WHERE name = 'epoch')""".replace(":namespace", "?")  # noqa: S608
# All versions of what something happened to: a new one ends the one before it without a word.
_CHANGED_VECTORS = f"""SELECT v.key, x.vector
    FROM (SELECT DISTINCT room, id FROM ({ENTRIES}) JOIN versions ON key = about) AS touched
    CROSS JOIN versions AS v ON v.room = touched.room AND v.id = touched.id
    LEFT JOIN vectors AS x ON x.key = v.key AND v.state = 1"""  # noqa: S608
_SOME_VECTORS = """SELECT key, vector FROM vectors
    WHERE key IN (SELECT value FROM json_each(?))"""
_AT_ONCE = 500
"""Most keys of one statement."""

_REMEMBERED = 4096
"""Most edits of a namespace that are kept because they were found before."""


class _Moved(Exception):  # noqa: N818  # no error, a signal: search again
    """The ledger holds something else than what is known of it."""


@dataclass
class _Room:
    """What a process knows of one namespace."""

    namespace: str
    space: str | None
    """The vectors' space, as the ledger has it."""
    epoch: str | None
    """Which content the ledger has: another one after a backup was put back. None in a file of
    before this was kept, if it cannot be written."""
    index: VectorIndex
    fingerprint: str | None
    """Whose vectors they are; None before the first edit."""
    remembered: dict[int, Edit] = field(default_factory=dict)
    """Edits by the key of their version, which never changes."""
    marks: dict[int, tuple[tuple[int, int], int]] = field(default_factory=dict)
    """What each connection saw before a revision was last found to be the latest, and which."""

    @property
    def origin(self) -> Origin | None:
        """What a saved index must be of; None if none can be told to be of this ledger."""
        if self.space is None or self.epoch is None:
            return None
        return Origin(self.namespace, self.space, self.epoch)

    def fits(self, fingerprint: str, dimension: int) -> bool:
        """Tell whether vectors are known to be of the stored vectors' space."""
        return self.fingerprint == fingerprint and self.index.dimension == dimension

    def check(self, state: sqlite3.Row, demanded: int | None = None) -> int:
        """Return the ledger's revision, as a row of `_STATE` and more tells it.

        Raises:
            _Moved: It is not the `demanded` one, or all vectors or edits were replaced.
        """
        head: int = state[0]
        if state[1] != self.space or state[2] != self.epoch or demanded not in (None, head):
            raise _Moved
        return head


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
        room = self._rooms.get((os.getpid(), namespace))
        if room is not None and room.fits(fingerprint, len(vector)):
            # Whether anything has changed is seen when the edits are read: one read for both.
            try:
                return self._hits(room, vector, k, accept, latest=True)
            except _Moved:
                pass
        space = VectorSpace(fingerprint, len(vector))
        while True:
            with suppress(_Moved):
                return self._hits(self._room(namespace, space), vector, k, accept, latest=False)

    def index(self, namespace: str) -> VectorIndex | None:
        """Return the index of a namespace that this process has searched."""
        room = self._rooms.get((os.getpid(), namespace))
        return None if room is None else room.index

    def forget_saved(self) -> None:
        """Delete what is saved of the indexes of all namespaces."""
        self._saved.delete()

    def close(self) -> None:
        """Save the indexes that are worth it, and forget them."""
        for (pid, _), room in list(self._rooms.items()):
            if pid == os.getpid() and room.origin is not None:
                self._saved.close(room.origin, room.index)
        self._rooms.clear()

    def _hits(
        self,
        room: _Room,
        vector: Vectors,
        k: int,
        accept: Callable[[Edit], bool] | None,
        *,
        latest: bool,
    ) -> list[tuple[Edit, float]]:
        """Search the index as it is; with `latest` only if that is the latest revision."""
        view, take = room.index.view, k
        demanded = view.revision if latest else None
        hits: list[tuple[Edit, float]] = []
        for portion in view.ranked(vector, first=k, fetch=partial(self._vectors, room)):
            for start in range(0, len(portion) or 1, take):
                part = portion[start : start + take]
                found = self._edits(room, [key for key, _ in part], demanded)
                demanded = None  # from here on others may write
                for key, score in part:
                    edit = found[key]  # none if purged since the index was read
                    if edit is not None and (accept is None or accept(edit)):
                        hits.append((edit, score))
                        if len(hits) == k:
                            return hits
            take *= 2
        return hits

    def _edits(
        self, room: _Room, keys: Sequence[int], demanded: int | None
    ) -> dict[int, Edit | None]:
        """Return stored versions by their keys.

        Raises:
            _Moved: A room does not show the `demanded` revision, or the ledger's content.
        """
        # Taken before reading: what a purge empties in the meantime is another one.
        remembered = room.remembered
        found = {key: remembered.get(key) for key in keys}
        missing = [key for key, edit in found.items() if edit is None]
        if not missing:
            if demanded is not None:
                self._demand(room, demanded)
            return found
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            rows = self._database.read(_versions_and_state(len(part)), (room.namespace, *part))
            room.check(rows[0], demanded)
            for row in rows:
                if row["key"] is not None:
                    found[row["key"]] = decode_values(row[4:], room.namespace)
        if len(remembered) + len(missing) > _REMEMBERED:
            remembered.clear()
        remembered.update(
            (key, edit) for key in missing if (edit := found[key]) and _is_frozen(edit)
        )
        return found

    def _demand(self, room: _Room, revision: int) -> None:
        """Check that a room shows the latest revision, which is the one given.

        Raises:
            _Moved: It does not.
        """
        connection, mark = self._database.mark()
        # With the revision: another thread may have brought the index further than our view of it.
        if room.marks.get(connection) == (mark, revision):
            return  # nobody has committed anything since this revision was found to be the latest
        room.check(self._database.read(_STATE, (room.namespace,))[0], revision)
        room.marks[connection] = mark, revision

    def _vectors(self, room: _Room, keys: Sequence[int]) -> dict[int, bytes]:
        from lte_chains.index.scores import vectors_in

        with self._database.reading() as connection:
            room.check(connection.execute(_STATE, (room.namespace,)).fetchone())
            found = dict(connection.execute(_SOME_VECTORS, (json.dumps(keys),)).fetchall())
        with whole_vectors(self._database.name):
            for stored in found.values():
                vectors_in(stored, room.index.dimension)
        return found

    def content(self, namespace: str) -> tuple[int, str | None]:
        """Return the latest revision of a namespace, and the epoch: another after a restore."""
        [(head, _, epoch)] = self._database.read(_STATE, (namespace,))
        return int(head), epoch

    def _room(self, namespace: str, space: VectorSpace) -> _Room:
        """Return what is known of a namespace, no older than the ledger was at the call."""
        from lte_chains.index import VectorIndex

        [(head, recorded, epoch)] = self._database.read(_STATE, (namespace,))
        slot = (os.getpid(), namespace)
        room = self._rooms.get(slot)
        known = parse_space(recorded)
        check_space(known or space, space)
        if room is None or (room.space, room.epoch) != (recorded, epoch):
            mark = None if known is None else known.fingerprint
            room = _Room(namespace, recorded, epoch, VectorIndex(space.dimension), mark)
            self._rooms[slot] = room
        if room.index.revision < head:
            with room.index.lock, self._database.reading() as connection:
                self._catch_up(room, connection)
        return room

    def _catch_up(self, room: _Room, connection: sqlite3.Connection) -> None:
        """Apply the revisions that an index has not seen; the caller holds its lock."""
        index, origin = room.index, room.origin
        head = room.check(connection.execute(_STATE, (room.namespace,)).fetchone())
        if index.revision == 0 and origin is not None:
            self._saved.restore(origin, index, connection)
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
        if origin is not None:
            self._saved.consider(origin, index)


@lru_cache
def _versions_and_state(count: int) -> str:
    """Return a statement that reads the state, and beside it as many versions by their keys."""
    # Not as JSON: to take that apart costs as much as to look up a few rows.
    marks = ", ".join("?" * count)
    return f"""SELECT state.*, key, {", ".join(EDIT_COLUMNS)} FROM ({_STATE}) AS state
        LEFT JOIN versions ON key IN ({marks}) AND digest IS NOT NULL"""  # noqa: S608


def _is_frozen(edit: Edit) -> bool:
    """Tell whether a caller cannot change an edit from within."""
    return not any(isinstance(value, dict | list) for value in edit.metadata.values())


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
