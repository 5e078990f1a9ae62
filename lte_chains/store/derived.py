"""What of a SQLite ledger follows from the rest: its state, and slots by other names.

It is kept in the same transactions, so that nobody has to work it out but
`lte_chains.store.doctor`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lte_chains.store.entries import INSERT_OTHER_SLOT, LIVE, PENDING, WITH_ALIASES, other_slots
from lte_chains.store.history import LIVE_BY_EVENTS, PENDING_BY_EVENTS


@dataclass(frozen=True)
class Derived:
    """Something that can be made anew."""

    name: str
    stored: str
    """Selects what there is."""
    derive: Callable[[sqlite3.Connection], Iterable[tuple[object, ...]]]
    """Returns what there should be, in the same columns."""
    clear: str
    insert: str

    def is_wrong(self, connection: sqlite3.Connection) -> bool:
        """Tell whether there is something else than there should be."""
        return set(_plain(connection).execute(self.stored)) != set(self.derive(connection))

    def repair(self, connection: sqlite3.Connection) -> None:
        """Make it anew."""
        rows = list(self.derive(connection))
        connection.execute(self.clear)
        connection.executemany(self.insert, rows)


def _state(connection: sqlite3.Connection) -> Iterable[tuple[object, ...]]:
    cursor = _plain(connection)
    for state, statement in ((LIVE, LIVE_BY_EVENTS), (PENDING, PENDING_BY_EVENTS)):
        for _, key in cursor.execute(statement).fetchall():
            yield state, key


def _other_slots(connection: sqlite3.Connection) -> Iterable[tuple[object, ...]]:
    live = {key for state, key in _state(connection) if state == LIVE}
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return other_slots(row for row in cursor.execute(WITH_ALIASES) if row["key"] in live)


def _plain(connection: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


DERIVED = (
    Derived(
        "what is live and pending",
        "SELECT state, key FROM versions WHERE state <> 0",
        _state,
        "UPDATE versions SET state = 0 WHERE state <> 0",
        "UPDATE versions SET state = ? WHERE key = ?",
    ),
    Derived(
        "other_slots",
        "SELECT room, slot, key FROM other_slots",
        _other_slots,
        "DELETE FROM other_slots",
        INSERT_OTHER_SLOT,
    ),
)
"""All of it."""
