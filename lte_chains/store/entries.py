"""What one writing call adds to a SQLite ledger: numbered entries of one new revision."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lte_chains.slots import place_of
from lte_chains.store.base import Action, Operation
from lte_chains.store.rows import CONTENT, Content, decode, moment

PAST, LIVE, PENDING = 0, 1, 2
"""What a version is now."""

INSERT_VERSION = f"""INSERT INTO versions
    (key, room, id, version, revision, proposed, state, {", ".join(CONTENT)}, slot, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, {", ".join("?" * len(CONTENT))}, ?, ?)"""  # noqa: S608
"""Takes the key, the rest of the identity, what became of it, the content, and its marks."""
INSERT_VECTORS = "INSERT INTO vectors (key, vector) VALUES (?, ?)"
INSERT_EVENT = """INSERT INTO events (seq, revision, action, key, superseded_by)
    VALUES (?, ?, ?, ?, ?)"""
INSERT_REVISION = """INSERT INTO revisions (room, revision, operation, at, first, last)
    VALUES (?, ?, ?, ?, ?, ?)"""
INSERT_OTHER_SLOT = "INSERT INTO other_slots (room, slot, key) VALUES (?, ?, ?)"
NEXT_NUMBER = """1 + max(coalesce((SELECT max(key) FROM versions), 0),
    coalesce((SELECT max(seq) FROM events), 0))"""
"""The number that comes after all that a ledger tells of, in statements."""

# One statement, not four: each costs as much as what it looks up.
_START = f"""SELECT r.room, coalesce(h.revision, 0), coalesce(h.at, ''), {NEXT_NUMBER},
        (SELECT value FROM meta WHERE name = 'space')
    FROM (SELECT 1) LEFT JOIN rooms AS r ON r.namespace = ?
    LEFT JOIN revisions AS h ON h.room = r.room
        AND h.revision = (SELECT max(revision) FROM revisions WHERE room = r.room)"""  # noqa: S608
_ALIASES = CONTENT.index("aliases")
WITH_ALIASES = """SELECT versions.*, namespace FROM versions JOIN rooms USING (room)
    WHERE aliases IS NOT NULL"""
_LATEST = "SELECT coalesce(max(version), 0) FROM versions WHERE room = ? AND id = ?"


@dataclass
class Entries:
    """The entries of one call to one namespace: one new revision, or none.

    The revision is taken with the first entry, so a call that changes nothing
    leaves no trace, and written by `finish`. Use it inside ``BEGIN IMMEDIATE``.
    """

    connection: sqlite3.Connection
    namespace: str
    operation: Operation
    room: int | None = field(init=False)
    """The namespace's number; None before its first entry."""
    head: int = field(init=False)
    """The namespace's latest revision; this one's once it is taken."""
    space: str | None = field(init=False)
    """The space of the stored vectors, as the ledger has it; None before the first."""
    marks: set[bytes] = field(default_factory=set, init=False)
    """Digests of what was written one by one."""
    _at: str = field(init=False)
    _first: int | None = field(default=None, init=False)
    _next: int = field(init=False)

    def __post_init__(self) -> None:
        """Look up how far the ledger and the namespace are."""
        [(self.room, self.head, self._at, self._next, self.space)] = self._execute(
            _START, self.namespace
        )

    def take(self, count: int = 1) -> int:
        """Take the numbers of the next entries, and the revision before the first; return one.

        No version or event had them before, purged or not.
        """
        if self._first is None:
            self.begin()
        number, self._next = self._next, self._next + count
        return number

    def begin(self) -> None:
        """Take the revision, if only for what has no entries."""
        if self.room is None:
            inserted = self._execute("INSERT INTO rooms (namespace) VALUES (?)", self.namespace)
            self.room = inserted.lastrowid
        self._first = self._next
        self.head += 1

    def finish(self) -> None:
        """Write the revision, if there is one.

        Ledger time never runs backwards, even if the clock does: `as_of` relies on it.
        """
        if self._first is not None:
            at = max(moment(datetime.now(UTC)) or "", self._at)
            last = self._next - 1
            self._execute(
                INSERT_REVISION, self.room, self.head, self.operation, at, self._first, last
            )

    def write(
        self,
        id_: str,
        content: Content,
        *,
        state: int,
        slot: str | None,
        mark: bytes,
        vector: bytes,
        version: int | None = None,
    ) -> int:
        """Write a version of an edit, the next one if none is given; return its key."""
        self.marks.add(mark)
        if version is None:
            version = self._latest_version(id_) + 1
        key = self.take()
        identity = (key, self.room, id_, version, self.head, state == PENDING, state)
        self._execute(INSERT_VERSION, *identity, *content, slot, mark)
        self._execute(INSERT_VECTORS, key, vector)
        if state == LIVE and content[_ALIASES] is not None:
            self._file_other_slots(key)
        return key

    def revive(self, key: int) -> None:
        """Make a version live again."""
        self._execute("UPDATE versions SET state = 1 WHERE key = ?", key)
        self._file_other_slots(key)
        self.note("restore", key)

    def end(self, key: int) -> None:
        """Let a version be neither live nor pending."""
        self._execute("UPDATE versions SET state = 0 WHERE key = ?", key)
        self._execute("DELETE FROM other_slots WHERE key = ?", key)

    def note(self, action: Action, key: int, superseded_by: str | None = None) -> None:
        """Write what happened to a version."""
        number = self.take()
        self._execute(INSERT_EVENT, number, self.head, action, key, superseded_by)

    def _file_other_slots(self, key: int) -> None:
        """Let a live version be found by its subject's aliases."""
        row = self._execute(f"{WITH_ALIASES} AND key = ?", key).fetchone()
        if row is not None:
            rows = other_slots([row])
            self.connection.executemany(INSERT_OTHER_SLOT, rows)

    def _latest_version(self, id_: str) -> int:
        """Return the highest version ever used: numbers of purged versions stay taken."""
        [(version,)] = self._execute(_LATEST, self.room, id_)
        return int(version)

    def _execute(self, statement: str, *parameters: object) -> sqlite3.Cursor:
        return self.connection.execute(statement, parameters)


def other_slots(rows: Iterable[sqlite3.Row]) -> Iterator[tuple[int, str, int]]:
    """Yield the rows of `other_slots` that versions with aliases have."""
    for row in rows:
        place = place_of(decode(row))
        for slot in () if place is None else place.other_keys:
            yield row["room"], slot, row["key"]


def room_of(connection: sqlite3.Connection, namespace: str) -> int | None:
    """Return a namespace's number; None if it never held an edit."""
    row = connection.execute("SELECT room FROM rooms WHERE namespace = ?", (namespace,)).fetchone()
    return None if row is None else int(row[0])
