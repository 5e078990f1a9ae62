"""What one writing call does to the PostgreSQL ledger, inside its transaction.

The rules are those of `lte_chains.store.ledger`, and `lte_chains.slots`; a state
machine in the tests holds the two side by side.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, TextClause, text

from lte_chains.edit import Edit
from lte_chains.slots import Place, place_of
from lte_chains.store.base import (
    Action,
    Operation,
    Vectors,
    VectorSpace,
    check_revision,
    check_space,
)
from lte_chains.store.postgres.checks import require_known, require_revision
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.vectors import claim_space, read_vectors, space_of
from lte_chains.store.postgres.working_set import (
    LiveEdit,
    WorkingSet,
    base_of,
    live_edit,
    stored_edit,
)
from lte_chains.store.postgres.writes import NewVersion, Writes
from lte_chains.store.rows import CONTENT, Content, digest, moment

_PORTION = 4_000
"""Edits that are decided on together, and held in memory twice meanwhile."""

_NAMESPACE = text(
    """SELECT n.room, n.revision, n.at, n.last_key, n.wordings, n.approximate,
        (SELECT value FROM lte_meta WHERE name = 'space') AS space
    FROM lte_namespaces AS n WHERE n.name = :name FOR UPDATE OF n"""
)
_NEW_NAMESPACE = text("INSERT INTO lte_namespaces (name) VALUES (:name) ON CONFLICT DO NOTHING")
_ADVANCE = text(
    """WITH entry AS (INSERT INTO lte_revisions (room, revision, operation, at)
        VALUES (:room, :revision, :operation, :at))
    UPDATE lte_namespaces SET revision = :revision, at = :at, last_key = :last_key,
        wordings = wordings + :wordings WHERE room = :room"""
)
STATE_AT = """SELECT * FROM (
        SELECT DISTINCT ON (tag) tag, version, action FROM lte_events
        WHERE room = :room AND revision <= :revision
        AND action NOT IN ('propose', 'approve', 'reject')
        ORDER BY tag, seq DESC
    ) AS last WHERE action IN ('add', 'restore')"""
"""Tags and versions that were live at a revision, purged ones included."""

_STATE_VERSIONS = text(
    f"""SELECT v.* FROM ({STATE_AT}) AS s JOIN lte_versions AS v
    ON v.room = :room AND v.tag = s.tag AND v.version = s.version ORDER BY v.key"""  # noqa: S608
)
_LIVE_VERSIONS = text(
    """SELECT v.* FROM lte_live AS l JOIN lte_versions AS v USING (room, key)
    WHERE l.room = :room ORDER BY v.key"""
)
_VERSION = text("SELECT * FROM lte_versions WHERE room = :room AND key = :key")
_SLOTS = text("SELECT id, version, slot FROM lte_versions WHERE room = :room AND tag = ANY(:tags)")
_PURGE = text("""WITH gone AS (DELETE FROM lte_versions WHERE room = :room AND tag = ANY(:tags)
        RETURNING room, key),
    vectors AS (DELETE FROM lte_vectors AS x USING gone
        WHERE x.room = gone.room AND x.key = gone.key RETURNING x.live)
    SELECT count(*) FROM vectors WHERE live""")


class Transaction:
    """The changes of one call to one namespace: one new revision, or none.

    Making it takes the namespace's row, at which other writers then wait. The
    revision is taken with the first change, so a call that changes nothing
    leaves no trace.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        operation: Operation,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Lock the namespace; see `writing`, which writes what has been collected."""
        self.connection = connection
        self.namespace = namespace
        self.operation = operation
        row = self._locked_namespace()
        check_revision(namespace, row.revision, if_revision)
        self.room: int = row.room
        self.head: int = row.revision
        """The namespace's latest revision, this call's included."""
        self._space = space_of(row.space)
        self._last_at: str = row.at
        self._last_key: int = row.last_key
        self._indexed: bool = row.approximate
        self._before: int = row.wordings
        self._changed = False
        self._writes = Writes(connection, self.room)
        self._held = WorkingSet(connection, self.room)

    @property
    def unindexed(self) -> int:
        """How many live vectors the namespace has without an HNSW index over them."""
        return 0 if self._indexed else self._before + self._writes.wordings

    def claim_space(self, space: VectorSpace) -> None:
        """Check that vectors are of the store's space, or record it if it has none.

        Raises:
            EmbeddingError: They are of another.
        """
        if self._space is None:
            claim_space(self.connection, space)
        else:
            check_space(self._space, space)

    def put(
        self,
        edits: Sequence[Edit],
        contents: Sequence[Content],
        vectors: Sequence[Vectors],
        takes: Sequence[Edit | None],
    ) -> list[str]:
        """Store edits, each unless it is live already; return their ids.

        Args:
            edits: The edits.
            contents: The same, encoded.
            vectors: Of each those of its wordings.
            takes: For each a stored edit whose place it takes, whatever its own slot says.
        """
        ids: list[str] = []
        for start in range(0, len(edits), _PORTION):
            part = slice(start, start + _PORTION)
            marks = [digest(content) for content in contents[part]]
            places = self._places(edits[part], takes[part])
            self._load(edits[part], marks, places, takes[part])
            rows = zip(edits[part], contents[part], vectors[part], takes[part], strict=True)
            for row, mark, place in zip(rows, marks, places, strict=True):
                ids.append(self._put(*row, mark=mark, place=place))
            self._flush()
        return ids

    def retract(self, ids: Sequence[str], *, missing_ok: bool) -> None:
        """Withdraw live edits.

        Raises:
            UnknownEditError: The namespace never held an id, and not `missing_ok`.
        """
        if not missing_ok:
            require_known(self.connection, self.room, self.namespace, ids)
        self._held.load(ids)
        for id_ in ids:
            live = self._held.get(id_)
            if live is not None:
                self._end(live, "retract")
        self._flush()

    def rollback(self, revision: int) -> None:
        """Make the state that of an earlier revision, but for what has been purged since.

        Raises:
            UnknownEditError: The namespace has no such revision.
        """
        require_revision(self.namespace, self.head, revision)
        then = self._versions(_STATE_VERSIONS, revision=revision)
        now = self._versions(_LIVE_VERSIONS)
        for id_, live in now.items():
            self._held.keep(live)
            if id_ not in then:
                self._end(live, "retract")
        for id_, earlier in then.items():
            if id_ not in now or now[id_].version != earlier.version:
                self._make_live(earlier, "restore")
        self._flush()

    def purge(self, ids: Sequence[str]) -> bool:
        """Delete every version of edits; the events that tell of them stay.

        Returns:
            Whether there was anything to delete.

        Raises:
            UnknownEditError: The namespace never held an id.
        """
        last = require_known(self.connection, self.room, self.namespace, ids)
        stored = [id_ for id_ in dict.fromkeys(ids) if last[id_] != "purge"]
        if not stored:
            return False
        self._held.load(stored)
        for id_ in stored:
            self._note("purge", id_, self._held.latest_version(id_))
            self._writes.forget(id_)
        parameters = {"room": self.room, "tags": [tag_of(id_) for id_ in stored]}
        gone = self.connection.execute(_PURGE, parameters).scalar_one()
        self._writes.wordings -= gone
        self._flush()
        return True

    def finish(self) -> None:
        """Write the revision, if there is one."""
        if not self._changed:
            return
        self.connection.execute(
            _ADVANCE,
            {
                "room": self.room,
                "revision": self.head,
                "operation": self.operation,
                # Ledger time never runs backwards, even if the clock does: `as_of` relies on it.
                "at": max(moment(datetime.now(UTC)) or "", self._last_at),
                "last_key": self._last_key,
                "wordings": self._writes.wordings,
            },
        )

    def _locked_namespace(self) -> Row[Any]:
        parameters = {"name": self.namespace}
        row = self.connection.execute(_NAMESPACE, parameters).one_or_none()
        if row is None:
            self.connection.execute(_NEW_NAMESPACE, parameters)
            row = self.connection.execute(_NAMESPACE, parameters).one()
        return row

    def _places(
        self, edits: Sequence[Edit], takes: Sequence[Edit | None] = ()
    ) -> list[Place | None]:
        """Return where each edit stands: by its own slot, else by that of what it takes."""
        places = [place_of(edit) for edit in edits]
        stored = [taken for taken in takes if taken is not None]
        if not stored:
            return places
        parameters = {"room": self.room, "tags": [tag_of(str(taken.id)) for taken in stored]}
        rows = self.connection.execute(_SLOTS, parameters)
        slots = {(row.id, row.version): row.slot for row in rows}
        for number, taken in enumerate(takes):
            slot = slots.get((taken.id, taken.version)) if taken is not None else None
            if places[number] is None and slot is not None:
                places[number] = Place(base_of(slot))
        return places

    def _load(
        self,
        edits: Sequence[Edit],
        marks: Sequence[bytes],
        places: Sequence[Place | None],
        takes: Sequence[Edit | None] = (),
    ) -> None:
        self._held.load(
            [edit.id for edit in (*edits, *takes) if edit is not None and edit.id is not None],
            digests=marks,
            places=[place for place in places if place is not None],
        )

    def _put(
        self,
        edit: Edit,
        content: Content,
        vectors: Vectors,
        takes: Edit | None = None,
        *,
        mark: bytes,
        place: Place | None,
    ) -> str:
        """Decide on one edit; all that it can meet has been loaded."""
        id_ = edit.id or self._held.oldest_like(mark) or uuid.uuid4().hex
        live = self._held.get(id_)
        if live is not None and live.digest == mark:
            return id_
        self._supersede_rivals(edit, id_, place, takes)
        slot = None if place is None else place.key
        new = self._add_version(id_, content, slot=slot, mark=mark, vectors=vectors)
        view = live_edit(edit, id_=id_, key=new.key, version=new.version, slot=slot, digest=mark)
        self._make_live(view, "add")
        return id_

    def _supersede_rivals(
        self, edit: Edit, id_: str, place: Place | None, takes: Edit | None
    ) -> None:
        """End the edits whose place and time the new one takes.

        The time before the new edit stays theirs, or, if there is none, the
        time after it: under the same id, as a new version.
        """
        start, until = moment(edit.valid_from), moment(edit.valid_until)
        rivals = {} if place is None else {r.key: r for r in self._held.rivals(place)}
        taken = None if takes is None else self._held.get(str(takes.id))
        if taken is not None:
            rivals[taken.key] = taken
        for _, rival in sorted(rivals.items()):
            if rival.id == id_ or not rival.holds_within(start, until):
                continue
            self._end(rival, "supersede", superseded_by=id_)
            left = rival.time_left(start, until)
            if left:
                self._shorten(rival, left)

    def _shorten(self, rival: LiveEdit, left: dict[str, str]) -> None:
        """Let a superseded edit go on, as a new version, over the time that is left to it."""
        content, vectors = self._written(rival)
        shorter = tuple(left.get(name, value) for name, value in zip(CONTENT, content, strict=True))
        mark = digest(shorter)
        new = self._add_version(rival.id, shorter, slot=rival.slot, mark=mark, vectors=vectors)
        view = replace(
            rival,
            key=new.key,
            version=new.version,
            digest=mark,
            valid_from=left.get("valid_from", rival.valid_from),
            valid_until=left.get("valid_until", rival.valid_until),
        )
        self._make_live(view, "add")

    def _written(self, edit: LiveEdit) -> tuple[Content, Vectors]:
        """Return the content and the vectors of a version, of this call or an earlier one."""
        new = self._writes.versions.get(edit.key)
        if new is not None:
            return new.content, new.vectors
        row = self.connection.execute(_VERSION, {"room": self.room, "key": edit.key}).mappings()
        vectors = read_vectors(self.connection, self.room, [edit.key])[edit.key]
        stored = row.one()
        return tuple(stored[name] for name in CONTENT), vectors

    def _add_version(
        self, id_: str, content: Content, *, slot: str | None, mark: bytes, vectors: Vectors
    ) -> NewVersion:
        """Have a next version of an edit, which is not live yet."""
        self._last_key += 1
        new = NewVersion(
            key=self._last_key,
            id=id_,
            version=self._held.latest_version(id_) + 1,
            revision=self._take_revision(),
            content=content,
            slot=slot,
            digest=mark,
            vectors=np.atleast_2d(vectors),
        )
        self._held.number(id_, new.version)
        self._writes.versions[new.key] = new
        return new

    def _make_live(self, edit: LiveEdit, action: Action) -> None:
        before = self._held.get(edit.id)
        if before is not None:
            self._writes.end(before)
        self._held.keep(edit)
        self._writes.make_live(edit)
        self._note(action, edit.id, edit.version)

    def _end(self, edit: LiveEdit, action: Action, *, superseded_by: str | None = None) -> None:
        self._held.drop(edit.id)
        self._writes.end(edit)
        self._note(action, edit.id, edit.version, superseded_by)

    def _note(
        self, action: Action, id_: str, version: int, superseded_by: str | None = None
    ) -> None:
        self._writes.note(self._take_revision(), action, id_, version, superseded_by)

    def _take_revision(self) -> int:
        """Return the revision that this call writes."""
        if not self._changed:
            self._changed = True
            self.head += 1
        return self.head

    def _flush(self) -> None:
        self._writes.flush()
        self._held = WorkingSet(self.connection, self.room)

    def _versions(self, statement: TextClause, **parameters: int) -> dict[str, LiveEdit]:
        rows = self.connection.execute(statement, {"room": self.room, **parameters}).mappings()
        return {row["id"]: stored_edit(row) for row in rows}
