"""What one writing call does to the SQLite ledger, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lte_chains.edit import Edit, normalise
from lte_chains.errors import UnknownEditError
from lte_chains.slots import VALUE_MARK, Place, place_of
from lte_chains.store.base import Action, Operation
from lte_chains.store.ids import new_ids
from lte_chains.store.rows import CONTENT, Content, decode, digest, moment

INSERT_VERSION = f"""INSERT INTO versions
    (key, namespace, id, version, revision, {", ".join(CONTENT)}, slot, digest)
    VALUES (?, ?, ?, ?, ?, {", ".join("?" * len(CONTENT))}, ?, ?)"""  # noqa: S608
"""Takes the key (None for the next one), the rest of the identity, the content, and its marks."""
_INSERT_LIVE = """INSERT OR REPLACE INTO live
    (namespace, id, key, version, slot, digest, valid_from, valid_until)
    SELECT namespace, id, key, version, slot, digest, valid_from, valid_until
    FROM versions WHERE namespace = ? AND id = ? AND version = ?"""
# INDEXED BY: SQLite's planner would walk the whole namespace by its primary key instead.
_SAME_CONTENT = """SELECT id FROM live INDEXED BY live_by_digest
    WHERE namespace = ? AND digest = ? ORDER BY key LIMIT 1"""
# NULL stands for "always" on either side.
_OVERLAP = """(l.valid_from IS NULL OR :until IS NULL OR l.valid_from < :until)
    AND (l.valid_until IS NULL OR :start IS NULL OR :start < l.valid_until)"""
_RIVALS = f"""SELECT l.* FROM live AS l INDEXED BY live_by_slot
    WHERE l.namespace = :namespace AND l.slot >= :low AND l.slot < :high
    AND l.id <> :id AND {_OVERLAP}"""  # noqa: S608
_RIVALS_BY_OTHER_NAME = f"""SELECT l.* FROM other_slots AS o
    CROSS JOIN live AS l ON l.namespace = o.namespace AND l.id = o.id
    WHERE o.namespace = :namespace AND o.slot >= :low AND o.slot < :high
    AND l.id <> :id AND {_OVERLAP}"""  # noqa: S608
_TAKEN = f"""SELECT l.* FROM live AS l
    WHERE l.namespace = :namespace AND l.id = :taken AND l.id <> :id AND {_OVERLAP}"""  # noqa: S608
_CONTENT_AND_VECTOR = """SELECT v.*, x.vector FROM versions AS v JOIN vectors AS x ON x.key = v.key
    WHERE v.namespace = ? AND v.id = ? AND v.version = ?"""
_WITH_ALIASES = """SELECT * FROM versions
    WHERE namespace = ? AND id = ? AND version = ? AND aliases IS NOT NULL"""
_SLOT = "SELECT slot FROM versions WHERE namespace = ? AND id = ? AND version = ?"
_LAST_EVENT = """SELECT version, action FROM events
    WHERE namespace = ? AND id = ? ORDER BY seq DESC LIMIT 1"""

STATE_AT = """SELECT e.id, e.version FROM events AS e
    WHERE e.namespace = :namespace AND e.revision <= :revision
    AND e.action IN ('add', 'restore')
    AND NOT EXISTS (
        SELECT 1 FROM events AS later
        WHERE later.namespace = e.namespace AND later.id = e.id
        AND later.seq > e.seq AND later.revision <= :revision
        AND later.action NOT IN ('propose', 'approve', 'reject')
    )"""
"""Ids and versions that were live at a revision, purged ones included."""


@dataclass
class Transaction:
    """The changes of one call to one namespace: one new revision, or none.

    The revision is taken with the first change, so a call that changes nothing
    leaves no trace. Use it inside ``BEGIN IMMEDIATE``.
    """

    connection: sqlite3.Connection
    namespace: str
    operation: Operation
    marks: set[bytes] = field(default_factory=set, init=False)
    """Digests of what was written one by one."""
    _revision: int | None = field(default=None, init=False)

    @property
    def revision(self) -> int:
        """The revision that this call writes; reading it takes it."""
        if self._revision is None:
            self._revision = take_revision(self.connection, self.namespace, self.operation)
        return self._revision

    def next_key(self) -> int:
        """Return the key that the next version gets: no earlier one had it, purged or not."""
        [(last,)] = self._execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'versions'")
        return int(last or 0) + 1

    def put(self, edit: Edit, content: Content, vector: bytes, *, takes: Edit | None = None) -> str:
        """Store an edit unless it is live already; return its id.

        Args:
            edit: The edit.
            content: The same, encoded.
            vector: The vectors of its wordings, one after the other.
            takes: A stored edit whose place it takes, whatever its own slot says.
        """
        mark = digest(content)
        id_ = edit.id or self._live_id(mark) or new_ids(1)[0]
        row = self._execute(
            "SELECT digest FROM live WHERE namespace = ? AND id = ?", self.namespace, id_
        ).fetchone()
        if row is not None and row["digest"] == mark:
            return id_
        place = place_of(edit)
        if place is None and takes is not None:
            place = self._place_of(takes)
        self._supersede_rivals(edit, id_, place, takes)
        slot = None if place is None else place.key
        version = self._add_version(id_, content, slot=slot, mark=mark, vector=vector)
        self._make_live(id_, version, "add")
        return id_

    def retract(self, ids: Sequence[str], *, missing_ok: bool) -> None:
        """Withdraw live edits.

        Raises:
            UnknownEditError: The namespace never held an id, and not `missing_ok`.
        """
        if not missing_ok:
            require_known(self.connection, self.namespace, ids)
        for id_ in ids:
            version = self._live_version(id_)
            if version is not None:
                self._end(id_, version, "retract")

    def rollback(self, revision: int) -> None:
        """Make the state that of an earlier revision, but for what has been purged since."""
        state = self.connection.execute(
            STATE_AT, {"namespace": self.namespace, "revision": revision}
        )
        then = {row["id"]: row["version"] for row in state if self._is_stored(*row)}
        now = {
            row["id"]: row["version"]
            for row in self._execute(
                "SELECT id, version FROM live WHERE namespace = ? ORDER BY key", self.namespace
            )
        }
        for id_, version in now.items():
            if id_ not in then:
                self._end(id_, version, "retract")
        for id_, version in then.items():
            if now.get(id_) != version:
                self._make_live(id_, version, "restore")

    def purge(self, ids: Sequence[str]) -> None:
        """Delete every version of edits; the events that tell of them stay.

        Raises:
            UnknownEditError: The namespace never held an id.
        """
        require_known(self.connection, self.namespace, ids)
        for id_ in ids:
            latest = self._latest_version(id_)
            last = self._execute(_LAST_EVENT, self.namespace, id_).fetchone()
            if last["action"] == "purge":
                continue
            where = "namespace = ? AND id = ?"
            keys = f"SELECT key FROM versions WHERE {where}"  # noqa: S608
            self._execute(f"DELETE FROM vectors WHERE key IN ({keys})", self.namespace, id_)  # noqa: S608
            self._execute(f"DELETE FROM versions WHERE {where}", self.namespace, id_)  # noqa: S608
            self._execute(f"DELETE FROM pending WHERE {where}", self.namespace, id_)  # noqa: S608
            self._end(id_, latest, "purge")

    def _add_version(
        self, id_: str, content: Content, *, slot: str | None, mark: bytes, vector: bytes
    ) -> int:
        """Write the next version of an edit, which is not live yet; return its number."""
        version = self._latest_version(id_) + 1
        self.marks.add(mark)
        key = self._execute(
            INSERT_VERSION,
            *(None, self.namespace, id_, version, self.revision, *content, slot, mark),
        ).lastrowid
        self._execute("INSERT INTO vectors (key, vector) VALUES (?, ?)", key, vector)
        return version

    def _supersede_rivals(
        self, edit: Edit, id_: str, place: Place | None, takes: Edit | None
    ) -> None:
        """End the edits whose place and time the new one takes.

        The time before the new edit stays theirs, or, if there is none, the
        time after it: under the same id, as a new version. An edit that holds
        on both sides keeps the first only, as what was superseded does not
        come back by itself.
        """
        start, until = moment(edit.valid_from), moment(edit.valid_until)
        window = {"namespace": self.namespace, "id": id_, "start": start, "until": until}
        rivals = {} if place is None else self._rivals(place, window)
        if takes is not None:
            for row in self.connection.execute(_TAKEN, {**window, "taken": takes.id}):
                rivals[row["key"]] = row
        for _, rival in sorted(rivals.items()):
            self._end(rival["id"], rival["version"], "supersede", superseded_by=id_)
            left = _time_left(rival["valid_from"], rival["valid_until"], start, until)
            if left:
                self._shorten(rival["id"], rival["version"], left, slot=rival["slot"])

    def _rivals(self, place: Place, window: dict[str, str | None]) -> dict[int, sqlite3.Row]:
        """Return the live edits that give way to one at `place`, by their keys."""
        lookups = [(_RIVALS, place.slot, place.key), (_RIVALS_BY_OTHER_NAME, place.slot, place.key)]
        # Not alias with alias: two subjects may share a nickname.
        others = zip(place.other_slots, place.other_keys, strict=True)
        lookups += [(_RIVALS, slot, key) for slot, key in others]
        found: dict[int, sqlite3.Row] = {}
        for statement, slot, key in lookups:
            for low, high in _ranges(slot, key):
                rows = self.connection.execute(statement, {**window, "low": low, "high": high})
                found.update((row["key"], row) for row in rows.fetchall())
        return {
            key: row
            for key, row in found.items()
            if place.value is None or self._value(key) == place.value
        }

    def _value(self, key: int) -> str:
        """Return what a stored version says of its slot."""
        row = self._execute("SELECT target_new, statement FROM versions WHERE key = ?", key)
        target, statement = row.fetchone()
        return normalise(target if statement is None else statement)

    def _place_of(self, stored: Edit) -> Place | None:
        """Return the place of the slot that a stored edit has; None if it has none."""
        row = self._execute(_SLOT, self.namespace, stored.id, stored.version).fetchone()
        slot = None if row is None else row["slot"]
        return None if slot is None else Place(slot.partition(VALUE_MARK)[0])

    def _shorten(self, id_: str, version: int, left: dict[str, str], *, slot: str | None) -> None:
        """Let a superseded edit go on, as a new version, over the time that is left to it."""
        row = self._stored(id_, version)
        content = tuple(left.get(name, row[name]) for name in CONTENT)
        mark = digest(content)
        shorter = self._add_version(id_, content, slot=slot, mark=mark, vector=row["vector"])
        self._make_live(id_, shorter, "add")

    def _make_live(self, id_: str, version: int, action: Action) -> None:
        self._execute(_INSERT_LIVE, self.namespace, id_, version)
        self._forget_other_slots(id_)
        row = self._execute(_WITH_ALIASES, self.namespace, id_, version).fetchone()
        place = None if row is None else place_of(decode(row))
        if place is not None:
            self.connection.executemany(
                "INSERT INTO other_slots (namespace, slot, id) VALUES (?, ?, ?)",
                [(self.namespace, key, id_) for key in place.other_keys],
            )
        self._note(action, id_, version)

    def _end(
        self, id_: str, version: int, action: Action, *, superseded_by: str | None = None
    ) -> None:
        self._execute("DELETE FROM live WHERE namespace = ? AND id = ?", self.namespace, id_)
        self._forget_other_slots(id_)
        self._note(action, id_, version, superseded_by)

    def _forget_other_slots(self, id_: str) -> None:
        self._execute("DELETE FROM other_slots WHERE namespace = ? AND id = ?", self.namespace, id_)

    def _note(
        self, action: Action, id_: str, version: int, superseded_by: str | None = None
    ) -> None:
        self._execute(
            "INSERT INTO events (namespace, revision, action, id, version, superseded_by) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            *(self.namespace, self.revision, action, id_, version, superseded_by),
        )

    def _live_id(self, mark: bytes) -> str | None:
        row = self._execute(_SAME_CONTENT, self.namespace, mark).fetchone()
        return None if row is None else str(row["id"])

    def _live_version(self, id_: str) -> int | None:
        row = self._execute(
            "SELECT version FROM live WHERE namespace = ? AND id = ?", self.namespace, id_
        ).fetchone()
        return None if row is None else int(row["version"])

    def _latest_version(self, id_: str) -> int:
        """Return the highest version ever used: numbers of purged versions stay taken."""
        row = self._execute(
            "SELECT coalesce(max(version), 0) FROM events WHERE namespace = ? AND id = ?",
            self.namespace,
            id_,
        ).fetchone()
        return int(row[0])

    def _stored(self, id_: str, version: int) -> sqlite3.Row:
        """Return the row of a version, with its vector."""
        row: sqlite3.Row = self._execute(
            _CONTENT_AND_VECTOR, self.namespace, id_, version
        ).fetchone()
        return row

    def _is_stored(self, id_: str, version: int) -> bool:
        found = self._execute(
            "SELECT 1 FROM versions WHERE namespace = ? AND id = ? AND version = ?",
            *(self.namespace, id_, version),
        ).fetchone()
        return found is not None

    def _execute(self, statement: str, *parameters: object) -> sqlite3.Cursor:
        return self.connection.execute(statement, parameters)


def _ranges(slot: str, key: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the keys that give way to `key`, as ranges from the first to before the last.

    Without a value: the slot, and all its values. With one: that value, and
    the slot, which may hold the same value as its only one. No text in the
    ledger has a NUL character.
    """
    if key == slot:
        return (slot, f"{slot}\0"), (f"{slot}{VALUE_MARK}", f"{slot}{chr(ord(VALUE_MARK) + 1)}")
    return (key, f"{key}\0"), (slot, f"{slot}\0")


def _time_left(
    valid_from: str | None, valid_until: str | None, start: str | None, until: str | None
) -> dict[str, str]:
    """Return what a validity keeps outside `start` to `until`, as changed columns; {} for none."""
    if start is not None and (valid_from is None or valid_from < start):
        return {"valid_until": start}
    if until is not None and (valid_until is None or until < valid_until):
        return {"valid_from": until}
    return {}


def require_known(connection: sqlite3.Connection, namespace: str, ids: Sequence[str]) -> None:
    """Check that a namespace has held every id at some time.

    Raises:
        UnknownEditError: It has not.
    """
    unknown = [
        id_ for id_ in ids if connection.execute(_LAST_EVENT, (namespace, id_)).fetchone() is None
    ]
    if unknown:
        raise UnknownEditError(
            f"no edit {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''} in namespace {namespace!r}: "
            "nothing was changed. edits() and history() list the ids"
        )


def take_revision(connection: sqlite3.Connection, namespace: str, operation: Operation) -> int:
    """Write the next revision of a namespace and return its number.

    Ledger time never runs backwards, even if the clock does: `as_of` relies on it.
    """
    last = connection.execute(
        "SELECT revision, at FROM revisions WHERE namespace = ? ORDER BY revision DESC LIMIT 1",
        (namespace,),
    ).fetchone()
    now = moment(datetime.now(UTC))
    revision, at = (1, now) if last is None else (last["revision"] + 1, max(now or "", last["at"]))
    connection.execute(
        "INSERT INTO revisions (namespace, revision, operation, at) VALUES (?, ?, ?, ?)",
        (namespace, revision, operation, at),
    )
    return int(revision)
