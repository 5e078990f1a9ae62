"""What a writing call has decided, collected in memory and written with a few statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from lte_chains.store.base import Action, Vectors
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.vectors import copy_rows, copy_vectors
from lte_chains.store.postgres.working_set import LiveEdit, base_of
from lte_chains.store.rows import CONTENT, Content

_VERSION_COLUMNS = ("room", "key", "id", "tag", "version", "revision", *CONTENT, "slot", "digest")
_VERSION_TYPES = (
    *("int4", "int8", "text", "uuid", "int4", "int8"),
    *("int2" if name == "many_valued" else "text" for name in CONTENT),
    *("text", "bytea"),
)
_UNLIVE = """UPDATE lte_vectors SET live = false
    WHERE room = :room AND key = ANY(:keys) AND live"""
_RELIVE = """UPDATE lte_vectors SET live = true
    WHERE room = :room AND key = ANY(:keys) AND NOT live"""


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
        new = self.versions.keys()
        live = {edit.key: edit for edit in self._live.values() if edit is not None}
        self._turn(_UNLIVE, self._ended - new, -1)
        self._turn(_RELIVE, live.keys() - new, 1)
        self._write_versions(live)
        self._write_live(live.values())
        self._write_pending()
        self._copy(
            "lte_events",
            ("room", "revision", "action", "id", "tag", "version", "superseded_by"),
            ("int4", "int8", "text", "text", "uuid", "int4", "text"),
            self._events,
        )
        for collected in (self.versions, self.pending, self._live, self._ended, self._events):
            collected.clear()

    def _turn(self, statement: str, keys: Iterable[int], sign: int) -> None:
        """Mark the vectors of stored versions as live, or as live no longer."""
        if listed := list(keys):
            parameters = {"room": self.room, "keys": listed}
            self.wordings += sign * self.connection.execute(text(statement), parameters).rowcount

    def _write_versions(self, live: dict[int, LiveEdit]) -> None:
        rows = [
            (
                *(self.room, v.key, v.id, tag_of(v.id), v.version, v.revision),
                *(*v.content, v.slot, v.digest),
            )
            for v in self.versions.values()
        ]
        self._copy("lte_versions", _VERSION_COLUMNS, _VERSION_TYPES, rows)
        self.wordings += sum(len(v.vectors) for v in self.versions.values() if v.key in live)
        copy_vectors(
            self.connection,
            (
                (self.room, v.key, position, v.key in live, vector)
                for v in self.versions.values()
                for position, vector in enumerate(v.vectors)
            ),
        )

    def _write_live(self, live: Iterable[LiveEdit]) -> None:
        for table in ("lte_live", "lte_other_slots"):
            self._forget(table, self._live)
        rows = [
            (self.room, tag_of(e.id), e.key, e.slot and tag_of(base_of(e.slot)), e.digest)
            for e in live
        ]
        columns = ("room", "tag", "key", "base", "digest")
        self._copy("lte_live", columns, ("int4", "uuid", "int8", "uuid", "bytea"), rows)
        others = [
            (self.room, tag_of(base_of(slot)), tag_of(edit.id))
            for edit in live
            for slot in edit.other_slots
        ]
        self._copy("lte_other_slots", ("room", "base", "tag"), ("int4", "uuid", "uuid"), others)

    def _write_pending(self) -> None:
        self._forget("lte_pending", self.pending)
        rows = [
            (self.room, tag_of(id_), *held)
            for id_, held in self.pending.items()
            if held is not None
        ]
        columns, types = ("room", "tag", "key", "digest"), ("int4", "uuid", "int8", "bytea")
        self._copy("lte_pending", columns, types, rows)

    def _forget(self, table: str, ids: Iterable[str]) -> None:
        if tags := [tag_of(id_) for id_ in ids]:
            self.connection.execute(
                text(f"DELETE FROM {table} WHERE room = :room AND tag = ANY(:tags)"),  # noqa: S608
                {"room": self.room, "tags": tags},
            )

    def _copy(
        self,
        table: str,
        columns: Sequence[str],
        types: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        if rows:
            copy_rows(self.connection, table, columns, types, rows)
