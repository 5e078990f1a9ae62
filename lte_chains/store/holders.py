"""Which live versions of a SQLite ledger a new edit meets: by its slot, and by its content."""

from __future__ import annotations

import sqlite3

from lte_chains.edit import normalise
from lte_chains.slots import VALUE_MARK, Place
from lte_chains.store.formats import BY_CONTENT

HOLDER = """v.key, v.id, v.slot, v.digest, v.valid_from, v.valid_until, v.target_new,
    v.statement"""
"""What of a version this looks at, in statements."""

_ONE_VALUE = "IN (?2, ?3)"
# A slot goes on, if at all, with a mark and one of its values.
_ALL_VALUES = f"BETWEEN ?2 AND ?3 || '{VALUE_MARK}\U0010ffff'"
# INDEXED BY: SQLite's planner would walk the whole namespace by its ids instead.
_BY_SLOT, _BY_SLOT_OF_ONE_VALUE = (
    f"""SELECT v.slot AS held, {HOLDER} FROM versions AS v INDEXED BY live_by_slot
        WHERE v.room = ?1 AND v.state = 1 AND v.slot {which}"""  # noqa: S608
    for which in (_ALL_VALUES, _ONE_VALUE)
)
_BY_ANY_NAME, _BY_ANY_NAME_OF_ONE_VALUE = (
    f"""{own} UNION ALL SELECT o.slot, {HOLDER} FROM other_slots AS o
        CROSS JOIN versions AS v ON v.key = o.key
        WHERE o.room = ?1 AND o.slot {which}"""  # noqa: S608
    for own, which in ((_BY_SLOT, _ALL_VALUES), (_BY_SLOT_OF_ONE_VALUE, _ONE_VALUE))
)
_TWIN = f"""SELECT id FROM versions INDEXED BY live_by_content
    WHERE room = ? AND digest = ? AND state = 1 AND {BY_CONTENT} ORDER BY key LIMIT 1"""  # noqa: S608

Holders = dict[int, sqlite3.Row]
"""Live versions by their keys."""


def holders(connection: sqlite3.Connection, room: int | None, place: Place) -> Holders:
    """Return what an edit at a place may have to do with.

    Without a value: what holds the slot, and all its values. With one: what
    holds that value, and the slot, which may hold the same value as its only one.
    """
    single = place.value is None
    own = _BY_SLOT if single else _BY_SLOT_OF_ONE_VALUE
    either = _BY_ANY_NAME if single else _BY_ANY_NAME_OF_ONE_VALUE
    lookups = [(either, place.slot, place.key)]
    # Not alias with alias: two subjects may share a nickname.
    others = zip(place.other_slots, place.other_keys, strict=True)
    lookups += [(own, slot, key) for slot, key in others]
    found: Holders = {}
    for statement, slot, key in lookups:
        rows = connection.execute(statement, (room, slot, key))
        found |= {row["key"]: row for row in rows if not single or _is_of(row["held"], slot)}
    return found


def twin(
    connection: sqlite3.Connection, room: int | None, mark: bytes, found: Holders | None
) -> str | None:
    """Return the id of the first live edit of the same content, if there is one.

    Args:
        connection: To the ledger.
        room: The namespace's number.
        mark: The digest of the content.
        found: What holds its slot; None if that is not its own, which its content says.
    """
    if found is None:
        row = connection.execute(_TWIN, (room, mark)).fetchone()
        return None if row is None else str(row["id"])
    same = [key for key, row in found.items() if row["digest"] == mark]
    return str(found[min(same)]["id"]) if same else None


def rivals(found: Holders, id_: str, place: Place) -> Holders:
    """Return those of other ids, and, if the place has a value, of that value."""
    return {
        key: row
        for key, row in found.items()
        if row["id"] != id_ and (place.value is None or _value(row) == place.value)
    }


def overlaps(row: sqlite3.Row, start: str | None, until: str | None) -> bool:
    """Tell whether a version holds at a moment between two; None stands for "always"."""
    begins, ends = row["valid_from"], row["valid_until"]
    return (begins is None or until is None or begins < until) and (
        ends is None or start is None or start < ends
    )


def _is_of(held: str, slot: str) -> bool:
    return held == slot or held.startswith(f"{slot}{VALUE_MARK}")


def _value(row: sqlite3.Row) -> str:
    """Return what a version says of its slot."""
    return normalise(row["target_new"] if row["statement"] is None else row["statement"])
