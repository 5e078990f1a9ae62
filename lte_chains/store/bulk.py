"""Many edits in one transaction, at the speed of inserting their rows.

Almost every edit of a large batch is alone with its slot, its content and its id.
Those are found by a few statements over all of them, and written by one statement a
table. The others are put one by one, in their place, as `Transaction.put` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lte_chains.edit import Edit
from lte_chains.slots import Place, place_of
from lte_chains.store.ids import new_ids
from lte_chains.store.ledger import INSERT_VERSION, Transaction
from lte_chains.store.rows import CONTENT, Content, digest

_FEW = 8
"""Fewer edits are put one by one: looking them up together would cost more."""

_VALID_FROM, _VALID_UNTIL = CONTENT.index("valid_from"), CONTENT.index("valid_until")

_NEW_BATCH = (
    "CREATE TEMP TABLE IF NOT EXISTS batch (place INTEGER PRIMARY KEY, id, digest, slot, low, high)"
)
_KNOWN_IDS = """SELECT b.place FROM batch AS b
    WHERE b.id IS NOT NULL
    AND EXISTS (SELECT 1 FROM events WHERE namespace = :namespace AND id = b.id)"""
_LIVE_CONTENT = """SELECT b.place FROM batch AS b
    WHERE b.id IS NULL
    AND EXISTS (SELECT 1 FROM live INDEXED BY live_by_digest
        WHERE namespace = :namespace AND digest = b.digest)"""
# Every key that begins with the slot, so those of its values too; some of them may be no rivals.
_TAKEN_SLOTS = """SELECT b.place FROM batch AS b
    WHERE b.slot IS NOT NULL
    AND (EXISTS (SELECT 1 FROM live INDEXED BY live_by_slot
            WHERE namespace = :namespace AND slot >= b.low AND slot < b.high)
        OR EXISTS (SELECT 1 FROM other_slots
            WHERE namespace = :namespace AND slot >= b.low AND slot < b.high))"""


@dataclass
class _Row:
    """An edit of the batch, as it is stored."""

    edit: Edit
    content: Content
    vector: bytes
    mark: bytes
    place: Place | None
    id: str = ""


@dataclass
class _Seen:
    """What earlier edits of the batch hold."""

    ids: set[str] = field(default_factory=set)
    marks: set[bytes] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    """Slots of many values, one of which is held."""

    def meets(self, row: _Row) -> bool:
        """Tell whether an edit may have to do with an earlier one."""
        given, place = row.edit.id, row.place
        if row.mark in self.marks or (given is not None and given in self.ids):
            return True
        if place is None:
            return False
        if place.other_slots or place.key in self.keys or place.slot in self.keys:
            return True
        return place.value is None and place.slot in self.slots

    def add(self, row: _Row) -> None:
        """Remember an edit."""
        self.marks.add(row.mark)
        if row.edit.id is not None:
            self.ids.add(row.edit.id)
        if row.place is not None:
            self.keys.update((row.place.key, *row.place.other_keys))
            if row.place.value is not None:
                self.slots.update((row.place.slot, *row.place.other_slots))


def put_all(
    transaction: Transaction,
    edits: Sequence[Edit],
    contents: Sequence[Content],
    vectors: Iterable[bytes],
) -> list[str]:
    """Store edits in order, each as `Transaction.put` does, and return their ids."""
    rows = [
        _Row(edit, content, vector, digest(content), place_of(edit))
        for edit, content, vector in zip(edits, contents, vectors, strict=True)
    ]
    if len(rows) < _FEW:
        return [transaction.put(row.edit, row.content, row.vector) for row in rows]
    held, seen = _held(transaction, rows), _Seen()
    waiting: list[_Row] = []
    for place, (row, fresh) in enumerate(zip(rows, new_ids(len(rows)), strict=True)):
        row.id = row.edit.id or fresh
        if place in held or seen.meets(row) or row.mark in transaction.marks:
            _write(transaction, waiting)
            waiting = []
            row.id = transaction.put(row.edit, row.content, row.vector)
        else:
            waiting.append(row)
        seen.add(row)
    _write(transaction, waiting)
    return [row.id for row in rows]


def _held(transaction: Transaction, rows: Sequence[_Row]) -> set[int]:
    """Return the positions of the edits that may have to do with what is stored."""
    connection, parameters = transaction.connection, {"namespace": transaction.namespace}
    [(any_event,)] = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM events WHERE namespace = :namespace)", parameters
    )
    if not any_event:
        return set()
    connection.execute(_NEW_BATCH)
    connection.execute("DELETE FROM batch")
    connection.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", _looked_up(rows))
    held: set[int] = set()
    for statement in (_KNOWN_IDS, _LIVE_CONTENT, _TAKEN_SLOTS):
        held.update(place for (place,) in connection.execute(statement, parameters))
    connection.execute("DELETE FROM batch")
    return held


def _looked_up(rows: Sequence[_Row]) -> Iterable[tuple[object, ...]]:
    for place, row in enumerate(rows):
        slot = None if row.place is None else row.place.slot
        # Keys go on, if at all, with a control character.
        high = None if slot is None else f"{slot} "
        yield place, row.edit.id, row.mark, slot, slot, high


def _write(transaction: Transaction, rows: Sequence[_Row]) -> None:
    """Write edits that are alone with their slot, content and id."""
    if not rows:
        return
    connection, namespace, revision = (
        transaction.connection,
        transaction.namespace,
        transaction.revision,
    )
    first = transaction.next_key()
    keyed = list(enumerate(rows, first))
    slots = [None if row.place is None else row.place.key for row in rows]
    connection.executemany(
        INSERT_VERSION,
        (
            (key, namespace, row.id, 1, revision, *row.content, slot, row.mark)
            for (key, row), slot in zip(keyed, slots, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO vectors (key, vector) VALUES (?, ?)", ((key, row.vector) for key, row in keyed)
    )
    connection.executemany(
        "INSERT INTO live VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
        (
            (namespace, row.id, key, slot, row.mark, *_validity(row.content))
            for (key, row), slot in zip(keyed, slots, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO events (namespace, revision, action, id, version) VALUES (?, ?, 'add', ?, 1)",
        ((namespace, revision, row.id) for row in rows),
    )


def _validity(content: Content) -> tuple[object, object]:
    return content[_VALID_FROM], content[_VALID_UNTIL]
