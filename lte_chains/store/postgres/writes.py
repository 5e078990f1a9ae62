"""What a writing call has decided, collected in memory and written with a few statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection

from lte_chains.store.base import Action, Vectors
from lte_chains.store.postgres.database import Raw, driver
from lte_chains.store.postgres.rows import TABLES, copy_rows, insert_rows
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.working_set import LiveEdit, base_of
from lte_chains.store.rows import Content

_FEW = 60
"""Versions and events that are written in one message, at most."""
_TURN = """UPDATE lte_vectors SET live = %(now)s
    WHERE room = %(room)s AND key = ANY(%(keys)s) AND live <> %(now)s"""


@dataclass(frozen=True)
class NewVersion:
    """A version that is not in the database yet."""

    key: int
    id: str
    version: int
    revision: int
    content: Content
    slot: str | None
    digest: bytes
    vectors: Vectors
    """Of its wordings, shape (wordings, dimension)."""


@dataclass
class Writes:
    """The changes of one call to one room, until `flush` writes them."""

    connection: Connection
    room: int
    versions: dict[int, NewVersion] = field(default_factory=dict)
    """New versions by their keys, in order."""
    pending: dict[str, tuple[int, bytes] | None] = field(default_factory=dict)
    """What is pending under an id now: a key and a digest, or nothing."""
    wordings: int = 0
    """By how many the live vectors have grown."""
    _live: dict[str, LiveEdit | None] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    _events: list[tuple[Any, ...]] = field(default_factory=list)

    def make_live(self, edit: LiveEdit) -> None:
        """Have an edit live, in place of what was live under its id."""
        self._live[edit.id] = edit
        self._ended.discard(edit.key)

    def end(self, edit: LiveEdit) -> None:
        """Have a live edit live no longer."""
        self._live[edit.id] = None
        self._ended.add(edit.key)

    def forget(self, id_: str) -> None:
        """Have nothing under an id, neither live nor pending; its vectors are deleted already."""
        self._live[id_] = self.pending[id_] = None

    def note(
        self, revision: int, action: Action, id_: str, version: int, superseded_by: str | None
    ) -> None:
        """Add an event, after those before."""
        self._events.append((self.room, revision, action, id_, tag_of(id_), version, superseded_by))

    def flush(self) -> None:
        """Write everything, and begin anew."""
        live = {edit.key: edit for edit in self._live.values() if edit is not None}
        # Few rows go to the server in one message; many by COPY, which cannot be in one.
        few = len(self.versions) + len(self._events) <= _FEW
        raw = driver(self.connection)
        with raw.pipeline() if few else nullcontext():
            turned = [*self._turn(raw, live)]
            self._forget(raw)
            for table, rows in self._rows(live).items():
                if rows:
                    (insert_rows if few else copy_rows)(raw, TABLES[table], rows)
        self.wordings += sum(sign * cursor.rowcount for cursor, sign in turned)
        self.wordings += sum(len(v.vectors) for v in self.versions.values() if v.key in live)
        for collected in (self.versions, self.pending, self._live, self._ended, self._events):
            collected.clear()

    def _turn(
        self, raw: Raw, live: Mapping[int, LiveEdit]
    ) -> Iterator[tuple[psycopg.Cursor[Any], int]]:
        """Mark the vectors of stored versions as live, or as live no longer."""
        for now, keys, sign in ((False, self._ended, -1), (True, set(live), 1)):
            if stored := list(keys - self.versions.keys()):
                yield raw.execute(_TURN, {"room": self.room, "keys": stored, "now": now}), sign

    def _forget(self, raw: Raw) -> None:
        """Delete the rows that say what was live and pending under the ids that have changed."""
        touched = ((self._live, "lte_live"), (self._live, "lte_other_slots"))
        for ids, table in (*touched, (self.pending, "lte_pending")):
            if tags := [tag_of(id_) for id_ in ids]:
                statement = SQL("DELETE FROM {} WHERE room = %s AND tag = ANY(%s)")
                raw.execute(statement.format(Identifier(table)), (self.room, tags))

    def _rows(self, live: Mapping[int, LiveEdit]) -> dict[str, list[tuple[Any, ...]]]:
        """Return the rows that each table gets."""
        room, versions = self.room, self.versions.values()
        return {
            "lte_versions": [
                (
                    *(room, v.key, v.id, tag_of(v.id), v.version, v.revision),
                    *(*v.content, v.slot, v.digest),
                )
                for v in versions
            ],
            "lte_vectors": [
                (room, v.key, position, v.key in live, vector)
                for v in versions
                for position, vector in enumerate(v.vectors)
            ],
            "lte_live": [
                (room, tag_of(e.id), e.key, e.slot and tag_of(base_of(e.slot)), e.digest)
                for e in live.values()
            ],
            "lte_other_slots": [
                (room, tag_of(base_of(slot)), tag_of(e.id))
                for e in live.values()
                for slot in e.other_slots
            ],
            "lte_pending": [
                (room, tag_of(id_), *held) for id_, held in self.pending.items() if held is not None
            ],
            "lte_events": self._events,
        }
