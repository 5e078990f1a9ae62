"""What a namespace must have had, before anything is changed or told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from lte_chains.errors import UnknownEditError
from lte_chains.store.postgres.schema import tag_of

_LAST_EVENTS = text(
    """SELECT DISTINCT ON (tag) id, version, action FROM lte_events
    WHERE room = :room AND tag = ANY(:tags) ORDER BY tag, seq DESC"""
)


def require_known(
    connection: Connection, room: int | None, namespace: str, ids: Sequence[str]
) -> dict[str, str]:
    """Check that a namespace has held every id at some time; return what happened to each last.

    Raises:
        UnknownEditError: It has not.
    """
    parameters = {"room": room, "tags": [tag_of(id_) for id_ in ids]}
    found = {row.id: row.action for row in connection.execute(_LAST_EVENTS, parameters)}
    unknown = [id_ for id_ in ids if id_ not in found]
    if unknown:
        raise UnknownEditError(
            f"no edit {listed(unknown)} in namespace {namespace!r}, so nothing was done: "
            "edits() and history() list the ids"
        )
    return found


def require_revision(namespace: str, head: int, revision: int) -> None:
    """Check that a namespace has had a revision.

    Raises:
        UnknownEditError: It has not.
    """
    if not 0 <= revision <= head:
        raise UnknownEditError(
            f"namespace {namespace!r} has no revision {revision}: give one from 0 to {head}"
        )


def listed(ids: Sequence[str]) -> str:
    """Return the first few ids for a message."""
    return f"{', '.join(map(repr, ids[:5]))}{' and others' if len(ids) > 5 else ''}"
