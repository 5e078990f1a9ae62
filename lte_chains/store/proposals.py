"""What proposals do to the SQLite ledger: edits that wait for somebody's word.

A proposal is a version like any other, with its text and its vectors, but pending
instead of live. Once approved it is written again, as the version
that is live, so that conflicts, versions and revisions are those of the moment
at which it was let in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError, UnknownEditError
from lte_chains.store.entries import PENDING
from lte_chains.store.ids import new_ids
from lte_chains.store.ledger import Transaction
from lte_chains.store.rows import CONTENT, Content, decode, digest
from lte_chains.store.schema import ROOM

PENDING_EDITS = f"""SELECT *, :namespace AS namespace FROM versions
    WHERE room = {ROOM} AND state = 2 ORDER BY key"""  # noqa: S608
"""The pending versions of a namespace, oldest first."""

_SAME_CONTENT = """SELECT id FROM versions INDEXED BY pending_by_content
    WHERE room = ? AND digest = ? AND state = 2 ORDER BY key LIMIT 1"""
_OF_ID = """SELECT key, digest FROM versions
    WHERE room = ? AND id = ? AND state = 2 ORDER BY version DESC LIMIT 1"""


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
        self.write(id_, content, state=PENDING, slot=slot, mark=mark, vector=vector)
        return id_

    def approve(self, ids: Sequence[str]) -> None:
        """Make pending edits live, one after the other, as if they were added now.

        Raises:
            UnknownEditError: An id is not pending.
        """
        for key in self._all_pending(ids):
            self._end(key, "approve")
            row = self._stored(key)
            self.put(decode(row), tuple(row[name] for name in CONTENT), row["vector"])

    def reject(self, ids: Sequence[str]) -> None:
        """Discard pending edits.

        Raises:
            UnknownEditError: An id is not pending.
        """
        for key in self._all_pending(ids):
            self._end(key, "reject")

    def _all_pending(self, ids: Sequence[str]) -> list[int]:
        """Return the key of the pending version of every id, in their order."""
        rows = {id_: self._pending(id_) for id_ in ids}
        unknown = [id_ for id_, row in rows.items() if row is None]
        if unknown:
            raise UnknownEditError(
                f"no pending edit {', '.join(map(repr, unknown[:5]))}"
                f"{' and others' if len(unknown) > 5 else ''} in namespace {self.namespace!r}: "
                "nothing was changed. pending() lists those that wait"
            )
        return [row["key"] for row in rows.values() if row is not None]

    def _pending(self, id_: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._execute(_OF_ID, self.room, id_).fetchone()
        return row

    def _pending_id(self, mark: bytes) -> str | None:
        row = self._execute(_SAME_CONTENT, self.room, mark).fetchone()
        return None if row is None else str(row["id"])
