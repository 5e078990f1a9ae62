"""What proposals do to the SQLite ledger: edits that wait for somebody's word.

A proposal is a version like any other, with its text and its vectors, but in
`pending` instead of `live`. Once approved it is written again, as the version
that is live, so that conflicts, versions and revisions are those of the moment
at which it was let in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError, UnknownEditError
from lte_chains.store.base import Action
from lte_chains.store.ids import new_ids
from lte_chains.store.ledger import Transaction
from lte_chains.store.rows import CONTENT, Content, decode, digest

PENDING = """SELECT v.* FROM pending AS p JOIN versions AS v ON v.key = p.key
    WHERE p.namespace = ? ORDER BY v.key"""
"""The pending versions of a namespace, oldest first."""

_SAME_CONTENT = """SELECT id FROM pending
    WHERE namespace = ? AND digest = ? ORDER BY key LIMIT 1"""
_INSERT_PENDING = """INSERT INTO pending (namespace, id, key, version, digest)
    SELECT namespace, id, key, version, digest
    FROM versions WHERE namespace = ? AND id = ? AND version = ?"""


class ProposalTransaction(Transaction):
    """The changes of one call to the proposals of one namespace; see `Transaction`."""

    def propose(self, edit: Edit, content: Content, vector: bytes) -> str:
        """Store an edit as pending unless it is already; return its id.

        Raises:
            InvalidEditError: Its id is pending with another content: who
                approves an id shall get what they have read under it.
        """
        mark = digest(content)
        id_ = edit.id or self._pending_id(mark) or new_ids(1)[0]
        row = self._pending(id_)
        if row is not None and row["digest"] == mark:
            return id_
        if row is not None:
            raise InvalidEditError(
                f"an edit {id_!r} is pending with another content: approve or reject it before "
                "another is proposed under its id"
            )
        slot = edit.slot or None
        version = self._add_version(id_, content, slot=slot, mark=mark, vector=vector)
        self._execute(_INSERT_PENDING, self.namespace, id_, version)
        self._note("propose", id_, version)
        return id_

    def approve(self, ids: Sequence[str]) -> None:
        """Make pending edits live, one after the other, as if they were added now.

        Raises:
            UnknownEditError: An id is not pending.
        """
        for id_, version in self._all_pending(ids).items():
            self._settle("approve", id_, version)
            row = self._stored(id_, version)
            self.put(decode(row), tuple(row[name] for name in CONTENT), row["vector"])

    def reject(self, ids: Sequence[str]) -> None:
        """Discard pending edits.

        Raises:
            UnknownEditError: An id is not pending.
        """
        for id_, version in self._all_pending(ids).items():
            self._settle("reject", id_, version)

    def _all_pending(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the pending version of every id, in their order."""
        rows = {id_: self._pending(id_) for id_ in ids}
        unknown = [id_ for id_, row in rows.items() if row is None]
        if unknown:
            raise UnknownEditError(
                f"no pending edit {', '.join(map(repr, unknown[:5]))}"
                f"{' and others' if len(unknown) > 5 else ''} in namespace {self.namespace!r}: "
                "nothing was changed. pending() lists those that wait"
            )
        return {id_: row["version"] for id_, row in rows.items() if row is not None}

    def _settle(self, action: Action, id_: str, version: int) -> None:
        self._execute("DELETE FROM pending WHERE namespace = ? AND id = ?", self.namespace, id_)
        self._note(action, id_, version)

    def _pending(self, id_: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._execute(
            "SELECT version, digest FROM pending WHERE namespace = ? AND id = ?",
            *(self.namespace, id_),
        ).fetchone()
        return row

    def _pending_id(self, mark: bytes) -> str | None:
        row = self._execute(_SAME_CONTENT, self.namespace, mark).fetchone()
        return None if row is None else str(row["id"])
