"""What a SQLite ledger tells of its past: entry by entry, or as a state."""

from __future__ import annotations

import sqlite3

from lte_chains.store.base import HistoryEntry
from lte_chains.store.rows import decode, lacks_a_column, moment_of
from lte_chains.store.schema import ROOM

_SAID_OF_VERSION = "CASE v.proposed WHEN 1 THEN 'propose' ELSE 'add' END AS action"
ENTRIES = f"""SELECT r.revision AS of_revision, v.key AS number, {_SAID_OF_VERSION},
        NULL AS superseded_by, v.key AS about
    FROM revisions AS r CROSS JOIN versions AS v ON v.key BETWEEN r.first AND r.last
    WHERE r.room = {ROOM} AND r.revision > :since
    UNION ALL
    SELECT r.revision, e.seq, e.action, e.superseded_by, e.key
    FROM revisions AS r CROSS JOIN events AS e ON e.seq BETWEEN r.first AND r.last
    WHERE r.room = {ROOM} AND r.revision > :since"""  # noqa: S608
"""Everything that happened in a namespace since a revision, in no order."""
_ENTRIES_OF_ONE = f"""SELECT v.revision AS of_revision, v.key AS number, {_SAID_OF_VERSION},
        NULL AS superseded_by, v.key AS about
    FROM versions AS v WHERE v.room = {ROOM} AND v.id = :id AND v.revision > :since
    UNION ALL
    SELECT e.revision, e.seq, e.action, e.superseded_by, e.key
    FROM versions AS v CROSS JOIN events AS e ON e.key = v.key
    WHERE v.room = {ROOM} AND v.id = :id AND e.revision > :since"""  # noqa: S608
# What has no entries, as after other vectors were given to all, is told all the same.
_EMPTY = f"""UNION ALL SELECT r.revision, 0, NULL, NULL, NULL FROM revisions AS r
    WHERE r.room = {ROOM} AND r.revision > :since AND r.last < r.first"""  # noqa: S608
_HISTORY, _HISTORY_OF_ONE = (
    f"""SELECT r.revision AS of_revision, r.operation, r.at, e.action, e.superseded_by, v.*,
        :namespace AS namespace
    FROM ({entries}) AS e
    CROSS JOIN revisions AS r ON r.room = {ROOM} AND r.revision = e.of_revision
    LEFT JOIN versions AS v ON v.key = e.about ORDER BY e.of_revision, e.number"""  # noqa: S608
    for entries in (f"{ENTRIES} {_EMPTY}", _ENTRIES_OF_ONE)
)

_SAID = """SELECT v.room, v.id, v.key, v.key AS number, 1 AS begins
    FROM versions AS v WHERE v.proposed = {proposed} AND {version}
    UNION ALL
    SELECT v.room, v.id, v.key, e.seq, e.action = 'restore'
    FROM versions AS v CROSS JOIN events AS e ON e.key = v.key
    WHERE e.action IN {actions} AND {event}"""
# SQLite takes the other columns from the row with the greatest number.
_LAST_WORD = """SELECT v.id, v.key FROM (
        SELECT key, begins, max(number) FROM ({said}) GROUP BY room, id
    ) AS e JOIN versions AS v USING (key) WHERE e.begins AND v.digest IS NOT NULL ORDER BY v.key"""
_OF_LIVE = {"proposed": 0, "actions": "('supersede', 'retract', 'restore', 'purge')"}
_OF_PENDING = {"proposed": 1, "actions": "('approve', 'reject', 'purge')"}

STATE_AT = _LAST_WORD.format(
    said=_SAID.format(
        **_OF_LIVE,
        version="v.room = :room AND v.revision <= :revision",
        event="v.room = :room AND e.revision <= :revision",
    )
)
"""Ids and keys of the versions that were live at a revision, less those that were purged since."""
LIVE_BY_EVENTS, PENDING_BY_EVENTS = (
    _LAST_WORD.format(said=_SAID.format(**about, version="1", event="1"))
    for about in (_OF_LIVE, _OF_PENDING)
)
"""Ids and keys of the versions that should be live, and pending, in all namespaces."""


def history(
    connection: sqlite3.Connection, namespace: str, *, since: int, id_: str | None = None
) -> list[HistoryEntry]:
    """Return what happened after a revision, oldest first: to one edit, or to all."""
    statement = _HISTORY if id_ is None else _HISTORY_OF_ONE
    rows = connection.execute(statement, {"namespace": namespace, "since": since, "id": id_})
    try:
        return [_entry(row) for row in rows.fetchall()]
    except IndexError as error:
        raise lacks_a_column(error) from error


def _entry(row: sqlite3.Row) -> HistoryEntry:
    return HistoryEntry(
        revision=row["of_revision"],
        at=moment_of(row["at"]),
        operation=row["operation"],
        action=row["action"] or row["operation"],
        id=row["id"],
        version=row["version"],
        edit=None if row["digest"] is None else decode(row),
        superseded_by=row["superseded_by"],
    )
