"""What proposals do to the PostgreSQL ledger; see `lte_chains.store.proposals`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import RowMapping, text

from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError, UnknownEditError
from lte_chains.store.base import Action, Vectors
from lte_chains.store.postgres.checks import listed
from lte_chains.store.postgres.ledger import Transaction
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.postgres.vectors import read_vectors
from lte_chains.store.rows import CONTENT, Content, decode, digest

_PENDING = text(
    """SELECT v.id, v.version, v.key, p.digest FROM lte_pending AS p
    JOIN lte_versions AS v USING (room, key)
    WHERE p.room = :room AND (p.tag = ANY(:tags) OR p.digest = ANY(:digests)) ORDER BY v.key"""
)
_PENDING_VERSIONS = text(
    """SELECT v.* FROM lte_pending AS p JOIN lte_versions AS v USING (room, key)
    WHERE p.room = :room AND p.tag = ANY(:tags)"""
)


class ProposalTransaction(Transaction):
    """The changes of one call to the proposals of one namespace; see `Transaction`."""

    def propose(
        self, edits: Sequence[Edit], contents: Sequence[Content], vectors: Sequence[Vectors]
    ) -> list[str]:
        """Store edits as pending, each unless it is already; return their ids.

        Raises:
            InvalidEditError: An id is pending with another content: who approves
                an id shall get what they have read under it.
        """
        marks = [digest(content) for content in contents]
        named = [edit.id for edit in edits if edit.id is not None]
        parameters = {"room": self.room, "tags": [tag_of(i) for i in named], "digests": marks}
        rows = self.connection.execute(_PENDING, parameters)
        held = {row.id: bytes(row.digest) for row in rows}
        alike = {mark: id_ for id_, mark in reversed(held.items())}
        self._held.load(named)
        ids = []
        for edit, content, mark, own in zip(edits, contents, marks, vectors, strict=True):
            id_ = edit.id or alike.get(mark) or uuid.uuid4().hex
            ids.append(id_)
            if held.get(id_) == mark:
                continue
            if id_ in held:
                raise InvalidEditError(
                    f"an edit {id_!r} is pending with another content: approve or reject it "
                    "before another is proposed under its id"
                )
            new = self._add_version(id_, content, slot=edit.slot or None, mark=mark, vectors=own)
            self._writes.pending[id_] = (new.key, mark)
            self._note("propose", id_, new.version)
            held[id_] = mark
            alike.setdefault(mark, id_)
        self._flush()
        return ids

    def approve(self, ids: Sequence[str]) -> None:
        """Make pending edits live, one after the other, as if they were added now.

        Raises:
            UnknownEditError: An id is not pending.
        """
        rows = self._all_pending(ids)
        edits = [decode({**row, "namespace": self.namespace}) for row in rows]
        contents = [tuple(row[name] for name in CONTENT) for row in rows]
        marks, places = [digest(content) for content in contents], self._places(edits)
        self._load(edits, marks, places)
        vectors = read_vectors(self.connection, self.room, [row["key"] for row in rows])
        for row, edit, content, mark, place in zip(
            rows, edits, contents, marks, places, strict=True
        ):
            self._settle("approve", row)
            self._put(edit, content, vectors[row["key"]], mark=mark, place=place)
        self._flush()

    def reject(self, ids: Sequence[str]) -> None:
        """Discard pending edits.

        Raises:
            UnknownEditError: An id is not pending.
        """
        for row in self._all_pending(ids):
            self._settle("reject", row)
        self._flush()

    def _settle(self, action: Action, row: RowMapping) -> None:
        """Take a pending version from those that wait."""
        self._writes.pending[row["id"]] = None
        self._note(action, row["id"], row["version"])

    def _all_pending(self, ids: Sequence[str]) -> list[RowMapping]:
        """Return the pending version of every id, in their order."""
        parameters = {"room": self.room, "tags": [tag_of(id_) for id_ in ids]}
        rows = self.connection.execute(_PENDING_VERSIONS, parameters).mappings()
        found = {row["id"]: row for row in rows}
        unknown = [id_ for id_ in ids if id_ not in found]
        if unknown:
            raise UnknownEditError(
                f"no pending edit {listed(unknown)} in namespace {self.namespace!r}: nothing "
                "was changed. pending() lists those that wait"
            )
        return [found[id_] for id_ in dict.fromkeys(ids)]
