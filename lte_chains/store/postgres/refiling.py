"""Stored slots in today's normal form, in PostgreSQL; see `lte_chains.store.refiling`."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from sqlalchemy import Connection, text

from lte_chains.errors import LteError
from lte_chains.slots import VALUE_MARK, place_of
from lte_chains.store.refiling import may_differ, slot_today
from lte_chains.store.rows import decode

# Writers wait; readers do not.
_LOCK = text("LOCK TABLE lte_namespaces IN EXCLUSIVE MODE")
_SLOTS = text("SELECT room, key, slot FROM lte_versions WHERE slot IS NOT NULL")
_ROW = text("SELECT * FROM lte_versions WHERE room = :room AND key = :key")
_UPDATE = text("UPDATE lte_versions SET slot = :slot WHERE room = :room AND key = :key")
_UPDATE_LIVE = text("UPDATE lte_live SET base = :base WHERE room = :room AND key = :key")
_CLEAR = text("DELETE FROM lte_other_slots")
_WITH_ALIASES = text(
    """SELECT v.* FROM lte_live AS l JOIN lte_versions AS v USING (room, key)
    WHERE v.aliases IS NOT NULL"""
)
_INSERT = text("INSERT INTO lte_other_slots (room, base, tag) VALUES (:room, :base, :tag)")


def refile(connection: Connection, tag_of: Callable[[str], uuid.UUID]) -> None:
    """Bring the slots of all ledgers into today's form, inside a transaction.

    Args:
        connection: To the store.
        tag_of: Gives the tag under which a slot is looked up.
    """
    connection.execute(_LOCK)
    old = [(row.room, row.key) for row in connection.execute(_SLOTS) if may_differ(row.slot)]
    for room, key in old:
        found = {"room": room, "key": key}
        row = connection.execute(_ROW, found).mappings().one()
        slot = slot_today({**row, "namespace": None})
        if slot is None:
            continue
        connection.execute(_UPDATE, {**found, "slot": slot})
        base = tag_of(slot.partition(VALUE_MARK)[0])
        connection.execute(_UPDATE_LIVE, {**found, "base": base})
    connection.execute(_CLEAR)
    for row in connection.execute(_WITH_ALIASES).mappings().all():
        try:
            place = place_of(decode({**row, "namespace": None}))
        except LteError:
            continue
        for slot in () if place is None else place.other_slots:
            other = {"room": row["room"], "base": tag_of(slot), "tag": row["tag"]}
            connection.execute(_INSERT, other)
