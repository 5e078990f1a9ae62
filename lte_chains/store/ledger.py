"""What one writing call does to the SQLite ledger, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.errors import UnknownEditError
from lte_chains.slots import VALUE_MARK, Place, place_of
from lte_chains.store.base import Action
from lte_chains.store.entries import LIVE, Entries
from lte_chains.store.history import STATE_AT
from lte_chains.store.holders import HOLDER, Holders, holders, overlaps, rivals, twin
from lte_chains.store.ids import new_ids
from lte_chains.store.rows import CONTENT, Content, digest, moment

_LIVE = f"""SELECT {HOLDER} FROM versions AS v
    WHERE v.room = ? AND v.id = ? AND v.state = 1 ORDER BY v.version DESC LIMIT 1"""  # noqa: S608
_STORED = """SELECT v.*, x.vector, r.namespace FROM versions AS v JOIN vectors AS x USING (key)
    JOIN rooms AS r USING (room) WHERE v.key = ?"""
_SLOT = "SELECT slot FROM versions WHERE room = ? AND id = ? AND version = ?"
_NEWEST = """SELECT key, digest FROM versions
    WHERE room = ? AND id = ? ORDER BY version DESC LIMIT 1"""

_EMPTIED = ", ".join(f"{name} = NULL" for name in (*CONTENT, "slot", "digest"))


class Transaction(Entries):
    """The changes of one call to one namespace; see `Entries`."""

    def put(self, edit: Edit, content: Content, vector: bytes, *, takes: Edit | None = None) -> str:
        """Store an edit unless it is live already; return its id.

        Args:
            edit: The edit.
            content: The same, encoded.
            vector: The vectors of its wordings, one after the other.
            takes: A stored edit whose place it takes, whatever its own slot says.
        """
        mark, place = digest(content), place_of(edit)
        found = None if place is None else holders(self.connection, self.room, place)
        id_, before = edit.id, None
        if id_ is None:
            known = twin(self.connection, self.room, mark, None if edit.matched_slot else found)
            if known is not None:
                return known
            id_ = new_ids(1)[0]
        else:
            before = self._live(id_)
            if before is not None and before["digest"] == mark:
                return id_
        if place is None and takes is not None:
            place = self._place_of(takes)
            found = None if place is None else holders(self.connection, self.room, place)
        gone = {} if place is None or found is None else rivals(found, id_, place)
        self._supersede(edit, id_, gone, takes)
        if before is not None:
            self.end(before["key"])
        slot = None if place is None else place.key
        version = 1 if edit.id is None else None
        self.write(id_, content, state=LIVE, slot=slot, mark=mark, vector=vector, version=version)
        return id_

    def retract(self, ids: Sequence[str], *, missing_ok: bool) -> None:
        """Withdraw live edits.

        Raises:
            UnknownEditError: The namespace never held an id, and not `missing_ok`.
        """
        if not missing_ok:
            require_known(self.connection, self.room, self.namespace, ids)
        for id_ in ids:
            row = self._live(id_)
            if row is not None:
                self._end(row["key"], "retract")

    def rollback(self, revision: int) -> None:
        """Make the state that of an earlier revision, but for what has been purged since."""
        parameters = {"room": self.room, "revision": revision}
        then = {row["id"]: row["key"] for row in self.connection.execute(STATE_AT, parameters)}
        rows = self._execute(
            "SELECT id, key FROM versions WHERE room = ? AND state = 1 ORDER BY key", self.room
        )
        now = {row["id"]: row["key"] for row in rows}
        for id_, key in now.items():
            if id_ not in then:
                self._end(key, "retract")
        for id_, key in then.items():
            if now.get(id_) != key:
                if id_ in now:
                    self.end(now[id_])
                self.revive(key)

    def purge(self, ids: Sequence[str]) -> None:
        """Empty every version of edits; the events that tell of them stay.

        Raises:
            UnknownEditError: The namespace never held an id.
        """
        require_known(self.connection, self.room, self.namespace, ids)
        for id_ in ids:
            newest = self._execute(_NEWEST, self.room, id_).fetchone()
            if newest["digest"] is None:
                continue
            empty(self.connection, self.room, id_, below=newest["key"] + 1)
            self.note("purge", newest["key"])

    def _supersede(self, edit: Edit, id_: str, gone: Holders, takes: Edit | None) -> None:
        """End the edits whose place and time the new one takes.

        The time before the new edit stays theirs, or, if there is none, the
        time after it: under the same id, as a new version. An edit that holds
        on both sides keeps the first only, as what was superseded does not
        come back by itself.
        """
        taken = None if takes is None or takes.id is None else self._live(takes.id)
        if taken is not None and taken["id"] != id_:
            gone[taken["key"]] = taken
        start, until = moment(edit.valid_from), moment(edit.valid_until)
        for key, rival in sorted(gone.items()):
            if not overlaps(rival, start, until):
                continue
            self._end(key, "supersede", superseded_by=id_)
            left = _time_left(rival["valid_from"], rival["valid_until"], start, until)
            if left:
                self._shorten(key, left)

    def _place_of(self, stored: Edit) -> Place | None:
        """Return the place of the slot that a stored edit has; None if it has none."""
        row = self._execute(_SLOT, self.room, stored.id, stored.version).fetchone()
        slot = None if row is None else row["slot"]
        return None if slot is None else Place(slot.partition(VALUE_MARK)[0])

    def _shorten(self, key: int, left: dict[str, str]) -> None:
        """Let a superseded edit go on, as a new version, over the time that is left to it."""
        row = self._stored(key)
        content = tuple(left.get(name, row[name]) for name in CONTENT)
        slot, mark = row["slot"], digest(content)
        self.write(row["id"], content, state=LIVE, slot=slot, mark=mark, vector=row["vector"])

    def _end(self, key: int, action: Action, *, superseded_by: str | None = None) -> None:
        self.end(key)
        self.note(action, key, superseded_by)

    def _live(self, id_: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._execute(_LIVE, self.room, id_).fetchone()
        return row

    def _stored(self, key: int) -> sqlite3.Row:
        """Return the row of a version, with its vector."""
        row: sqlite3.Row = self._execute(_STORED, key).fetchone()
        return row


def empty(connection: sqlite3.Connection, room: int | None, id_: str, *, below: int) -> None:
    """Erase the text and the vectors of an edit's versions whose keys are below one."""
    keys = "SELECT key FROM versions WHERE room = ? AND id = ? AND key < ?"
    where = (room, id_, below)
    for table in ("vectors", "other_slots"):
        connection.execute(f"DELETE FROM {table} WHERE key IN ({keys})", where)  # noqa: S608
    connection.execute(
        f"UPDATE versions SET state = 0, {_EMPTIED} WHERE room = ? AND id = ? AND key < ?",  # noqa: S608
        where,
    )


def _time_left(
    valid_from: str | None, valid_until: str | None, start: str | None, until: str | None
) -> dict[str, str]:
    """Return what a validity keeps outside `start` to `until`, as changed columns; {} for none."""
    if start is not None and (valid_from is None or valid_from < start):
        return {"valid_until": start}
    if until is not None and (valid_until is None or until < valid_until):
        return {"valid_from": until}
    return {}


def require_known(
    connection: sqlite3.Connection, room: int | None, namespace: str, ids: Sequence[str]
) -> None:
    """Check that a namespace has held every id at some time.

    Raises:
        UnknownEditError: It has not.
    """
    known = "SELECT 1 FROM versions WHERE room = ? AND id = ? LIMIT 1"
    unknown = [id_ for id_ in ids if connection.execute(known, (room, id_)).fetchone() is None]
    if unknown:
        raise UnknownEditError(
            f"no edit {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''} in namespace {namespace!r}, so "
            "nothing was done: edits() and history() list the ids"
        )
