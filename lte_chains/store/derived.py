"""The tables of a SQLite ledger that follow from the others, and what they should hold.

They are kept in the same transactions, so that nobody has to work this out but
`lte_chains.store.doctor`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lte_chains.slots import place_of
from lte_chains.store.rows import decode

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Derived:
    """A table that can be made anew."""

    name: str
    columns: tuple[str, ...]
    make: Callable[[sqlite3.Connection, Derived], Iterable[tuple[Any, ...]]]


def derive(connection: sqlite3.Connection, table: Derived) -> Rows:
    """Return what a table should hold, by what the ledger says."""
    return list(table.make(connection, table))


# Of the events that are about being live, or about being pending, the last one counts.
_NOW = """SELECT {columns} FROM (
        SELECT *, row_number() OVER (PARTITION BY namespace, id ORDER BY seq DESC) AS place
        FROM events WHERE action {about}
    ) AS e JOIN versions AS v USING (namespace, id, version)
    WHERE e.place = 1 AND e.action {now}"""
_OF_PROPOSALS = "('propose', 'approve', 'reject')"


def _live(connection: sqlite3.Connection, table: Derived) -> Iterable[tuple[Any, ...]]:
    columns = ", ".join(table.columns)
    about, now = f"NOT IN {_OF_PROPOSALS}", "IN ('add', 'restore')"
    return connection.execute(_NOW.format(columns=columns, about=about, now=now))


def _pending(connection: sqlite3.Connection, table: Derived) -> Iterable[tuple[Any, ...]]:
    columns = ", ".join(table.columns)
    about, now = f"IN {_OF_PROPOSALS[:-1]}, 'purge')", "= 'propose'"
    return connection.execute(_NOW.format(columns=columns, about=about, now=now))


def _other_slots(connection: sqlite3.Connection, _: Derived) -> Iterable[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    about, now = f"NOT IN {_OF_PROPOSALS}", "IN ('add', 'restore')"
    statement = _NOW.format(columns="v.*", about=about, now=now) + " AND v.aliases IS NOT NULL"
    for row in cursor.execute(statement):
        place = place_of(decode(row))
        for key in () if place is None else place.other_keys:
            yield row["namespace"], key, row["id"]


DERIVED = (
    Derived(
        "live",
        ("namespace", "id", "key", "version", "slot", "digest", "valid_from", "valid_until"),
        _live,
    ),
    Derived("pending", ("namespace", "id", "key", "version", "digest"), _pending),
    Derived("other_slots", ("namespace", "slot", "id"), _other_slots),
)
"""All of them."""
