"""Stored slots in today's normal form: what a file of before another form is brought up to date by.

Edits that came to share a slot by that stay live side by side, as nobody has said
which one holds; the next edit of the slot takes the place of all.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from lte_chains.edit import Edit, normalise
from lte_chains.errors import LteError
from lte_chains.slots import VALUE_MARK, value_of
from lte_chains.store.entries import INSERT_OTHER_SLOT, WITH_ALIASES, other_slots
from lte_chains.store.rows import decode

_PART = re.compile("[^\x1c-\x1f]+")
_SLOTS = "SELECT key, slot FROM versions WHERE slot IS NOT NULL"
_ROW = "SELECT v.*, namespace FROM versions AS v JOIN rooms USING (room) WHERE key = ?"


def refile(connection: sqlite3.Connection) -> None:
    """Bring the slots of a SQLite ledger into today's form, inside a transaction.

    What is damaged stays as it is, for the doctor to tell of.
    """
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    old = [row["key"] for row in cursor.execute(_SLOTS) if may_differ(row["slot"])]
    for key in old:
        row = cursor.execute(_ROW, (key,)).fetchone()
        slot = None if row is None else slot_today(row)
        if slot is not None:
            connection.execute("UPDATE versions SET slot = ? WHERE key = ?", (slot, key))
    connection.execute("DELETE FROM other_slots")
    for row in cursor.execute(f"{WITH_ALIASES} AND state = 1").fetchall():
        try:
            rows = list(other_slots([row]))
        except LteError:
            continue
        connection.executemany(INSERT_OTHER_SLOT, rows)


def may_differ(slot: str) -> bool:
    r"""Tell whether a stored slot may be of an earlier form.

    Example:
        >>> may_differ("moody’s\x1fceo"), may_differ("moody's\x1fceo")
        (True, False)
    """
    return _renewed(slot) != slot


def slot_today(row: sqlite3.Row | Mapping[str, Any]) -> str | None:
    """Return the slot of a stored version as today's form has it; None if it is damaged."""
    try:
        edit = decode(row)
    except LteError:
        return None
    return slot_of_stored(edit, row["slot"])


def slot_of_stored(edit: Edit, old: str) -> str | None:
    """Return in which slot an edit stands that is stored in an `old` one; None for none.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane")
        >>> slot_of_stored(edit, "the CEO of Acme is")
        'the ceo of acme is'
    """
    slot = edit.slot if edit.matched_slot is None else _renewed(old)
    if not slot:
        return None
    # A value is in the slot of what was live, and not of what was proposed.
    return f"{slot}{VALUE_MARK}{value_of(edit)}" if VALUE_MARK in old else slot


def _renewed(slot: str) -> str:
    return _PART.sub(lambda part: normalise(part[0]), slot)
