"""Many edits in one transaction, at the speed of inserting their rows.

Almost every edit of a large batch is alone with its slot, its content and its id.
Those are found by a few statements over all of them, and written by one statement a
table. The others are put one by one, in their place, as `Transaction.put` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from lte_chains.edit import Edit
from lte_chains.slots import Place, place_of
from lte_chains.store.base import Vectors
from lte_chains.store.entries import INSERT_VECTORS, LIVE
from lte_chains.store.formats import BY_CONTENT
from lte_chains.store.ids import new_ids
from lte_chains.store.ledger import Transaction
from lte_chains.store.rows import CONTENT, Content, digest
from lte_chains.store.space import blob

_FEW = 8
"""Fewer edits are put one by one: looking them up together would cost more."""

_NEW_BATCH = (
    "CREATE TEMP TABLE IF NOT EXISTS batch (place INTEGER PRIMARY KEY, id, digest, slot, high)"
)
_KNOWN_IDS = """SELECT b.place FROM batch AS b
    WHERE b.id IS NOT NULL
    AND EXISTS (SELECT 1 FROM versions WHERE room = :room AND id = b.id)"""
_LIVE_CONTENT = f"""SELECT b.place FROM batch AS b
    WHERE b.digest IS NOT NULL
    AND EXISTS (SELECT 1 FROM versions INDEXED BY live_by_content
        WHERE room = :room AND digest = b.digest AND state = 1 AND {BY_CONTENT})"""  # noqa: S608
# Every key that begins with the slot, so those of its values too; some of them may be no rivals.
_TAKEN_SLOTS = """SELECT b.place FROM batch AS b
    WHERE b.slot IS NOT NULL
    AND (EXISTS (SELECT 1 FROM versions INDEXED BY live_by_slot
            WHERE room = :room AND slot >= b.slot AND slot < b.high AND state = 1)
        OR EXISTS (SELECT 1 FROM other_slots
            WHERE room = :room AND slot >= b.slot AND slot < b.high))"""


@dataclass(slots=True)
class _Row:
    """An edit of the batch, as it is stored."""

    edit: Edit
    content: Content
    vectors: Vectors
    mark: bytes
    place: Place | None
    slot: str | None
    id: str


@dataclass(slots=True)
class _Seen:
    """What earlier edits of the batch hold."""

    ids: set[str] = field(default_factory=set)
    marks: set[bytes] = field(default_factory=set)
    """Of what has no slot: the same content has the same slot."""
    keys: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    """Slots of many values, one of which is held."""

    def meets(self, row: _Row) -> bool:
        """Tell whether an edit may have to do with an earlier one."""
        place = row.place
        if row.edit.id is not None and row.id in self.ids:
            return True
        if place is None:
            return row.mark in self.marks
        if place.other_slots or row.slot in self.keys:
            return True
        return place.slot in (self.slots if place.value is None else self.keys)

    def add(self, row: _Row) -> None:
        """Remember an edit."""
        place = row.place
        if row.edit.id is not None:
            self.ids.add(row.id)
        if place is None:
            self.marks.add(row.mark)
            return
        self.keys.add(place.key)
        self.keys.update(place.other_keys)
        if place.value is not None:
            self.slots.update((place.slot, *place.other_slots))


def put_all(
    transaction: Transaction,
    edits: Sequence[Edit],
    contents: Sequence[Content],
    vectors: Sequence[Vectors],
) -> list[str]:
    """Store edits in order, each as `Transaction.put` does, and return their ids."""
    given = zip(edits, contents, vectors, strict=True)
    if len(edits) < _FEW:
        return [transaction.put(edit, content, blob(own)) for edit, content, own in given]
    rows = []
    for (edit, content, own), fresh in zip(given, new_ids(len(edits)), strict=True):
        place = place_of(edit)
        slot = None if place is None else place.key
        rows.append(_Row(edit, content, own, digest(content), place, slot, edit.id or fresh))
    held, seen = _held(transaction, rows), _Seen()
    waiting: list[_Row] = []
    for number, row in enumerate(rows):
        if number in held or seen.meets(row) or row.mark in transaction.marks:
            _write(transaction, waiting)
            waiting = []
            row.id = transaction.put(row.edit, row.content, blob(row.vectors))
        else:
            waiting.append(row)
        seen.add(row)
    _write(transaction, waiting)
    return [row.id for row in rows]


def _held(transaction: Transaction, rows: Sequence[_Row]) -> set[int]:
    """Return the positions of the edits that may have to do with what is stored."""
    if transaction.room is None:
        return set()
    connection, parameters = transaction.connection, {"room": transaction.room}
    connection.execute(_NEW_BATCH)
    connection.execute("DELETE FROM batch")
    connection.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?)", _looked_up(rows))
    held: set[int] = set()
    for statement in (_KNOWN_IDS, _LIVE_CONTENT, _TAKEN_SLOTS):
        held.update(place for (place,) in connection.execute(statement, parameters))
    connection.execute("DELETE FROM batch")
    return held


def _looked_up(rows: Sequence[_Row]) -> Iterator[tuple[object, ...]]:
    for place, row in enumerate(rows):
        if row.place is not None:
            # Keys go on, if at all, with a control character.
            yield place, row.edit.id, None, row.place.slot, f"{row.place.slot} "
        else:
            yield place, row.edit.id, None if row.edit.id else row.mark, None, None


def _write(transaction: Transaction, rows: Sequence[_Row]) -> None:
    """Write edits that are alone with their slot, content and id."""
    if not rows:
        return
    keys = range(first := transaction.take(len(rows)), first + len(rows))
    # Only what the batch has: to bind NULLs takes as long as the rest.
    columns = list(zip(*(row.content for row in rows), strict=True))
    used = [place for place, values in enumerate(columns) if values.count(None) < len(rows)]
    names = ", ".join(CONTENT[place] for place in used)
    transaction.connection.executemany(
        f"""INSERT INTO versions
            (key, room, revision, id, slot, digest, version, proposed, state, {names})
            VALUES (?, ?, ?, ?, ?, ?, 1, 0, {LIVE}, {", ".join("?" * len(used))})""",  # noqa: S608
        zip(
            keys,
            repeat(transaction.room),
            repeat(transaction.head),
            [row.id for row in rows],
            [row.slot for row in rows],
            [row.mark for row in rows],
            *(columns[place] for place in used),
        ),
    )
    transaction.connection.executemany(
        INSERT_VECTORS, zip(keys, (blob(row.vectors) for row in rows), strict=True)
    )
