"""Many edits in one transaction, at the speed of inserting their rows.

Almost every edit of a large batch is alone with its slot, its content and its id.
Those are found by a few statements over all of them, and written by one statement a
table. The others are put one by one, in their place, as `Transaction.put` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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

_NEW_BATCH = "CREATE TEMP TABLE IF NOT EXISTS batch (place INTEGER PRIMARY KEY, value)"
_KNOWN_IDS = """SELECT b.place FROM batch AS b
    WHERE EXISTS (SELECT 1 FROM versions WHERE room = :room AND id = b.value)"""
_LIVE_CONTENT = f"""SELECT b.place FROM batch AS b
    WHERE EXISTS (SELECT 1 FROM versions INDEXED BY live_by_content
        WHERE room = :room AND digest = b.value AND state = 1 AND {BY_CONTENT})"""  # noqa: S608
# Every key that begins with the slot, so those of its values too; some of them may be no rivals.
# Keys go on, if at all, with a control character, and so before a blank.
_TAKEN_SLOTS = """SELECT b.place FROM batch AS b
    WHERE EXISTS (SELECT 1 FROM versions INDEXED BY live_by_slot
        WHERE room = :room AND slot >= b.value AND slot < b.value || ' ' AND state = 1)
    OR (EXISTS (SELECT 1 FROM other_slots WHERE room = :room)
        AND EXISTS (SELECT 1 FROM other_slots
            WHERE room = :room AND slot >= b.value AND slot < b.value || ' '))"""


@dataclass(frozen=True)
class _Batch:
    """Edits as they are stored, each at the same position of every list."""

    edits: Sequence[Edit]
    contents: Sequence[Content]
    vectors: Sequence[Vectors]
    ids: list[str]
    marks: list[bytes]
    places: list[Place | None]
    slots: list[str | None]

    @classmethod
    def of(
        cls, edits: Sequence[Edit], contents: Sequence[Content], vectors: Sequence[Vectors]
    ) -> _Batch:
        """Work out what edits are stored with."""
        places = [place_of(edit) for edit in edits]
        return cls(
            edits,
            contents,
            vectors,
            [edit.id or fresh for edit, fresh in zip(edits, new_ids(len(edits)), strict=True)],
            [digest(content) for content in contents],
            places,
            [None if place is None else place.key for place in places],
        )

    def meeting(self) -> set[int]:
        """Return the positions of the edits that may have to do with an earlier one."""
        bases: list[str | bytes] = [
            mark if place is None else place.slot
            for mark, place in zip(self.marks, self.places, strict=True)
        ]
        counts = Counter(bases)
        counts.update(edit.id for edit in self.edits if edit.id is not None)
        counts.update(slot for place in self.places if place for slot in place.other_slots)
        found, seen = set(), _Seen()
        for position, base in enumerate(bases):
            edit, place = self.edits[position], self.places[position]
            if edit.matched_slot is not None:  # few, and found by their content as well
                found.add(position)
            alone = counts[base] == 1 and not (place and place.other_slots)
            if alone and (edit.id is None or counts[edit.id] == 1):
                continue
            if seen.meets(edit, self.marks[position], place):
                found.add(position)
            seen.add(edit, self.marks[position], place)
        return found


@dataclass(slots=True)
class _Seen:
    """What earlier edits of the batch hold."""

    ids: set[str] = field(default_factory=set)
    marks: set[bytes] = field(default_factory=set)
    """Of what has no slot: the same content has the same slot."""
    keys: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    """Slots of many values, one of which is held."""

    def meets(self, edit: Edit, mark: bytes, place: Place | None) -> bool:
        """Tell whether an edit may have to do with an earlier one."""
        if edit.id in self.ids:
            return True
        if place is None:
            return mark in self.marks
        if place.other_slots or place.key in self.keys:
            return True
        return place.slot in (self.slots if place.value is None else self.keys)

    def add(self, edit: Edit, mark: bytes, place: Place | None) -> None:
        """Remember an edit."""
        if edit.id is not None:
            self.ids.add(edit.id)
        if place is None:
            self.marks.add(mark)
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
    if len(edits) < _FEW:
        given = zip(edits, contents, vectors, strict=True)
        return [transaction.put(edit, content, blob(own)) for edit, content, own in given]
    batch = _Batch.of(edits, contents, vectors)
    apart, written = batch.meeting() | _held(transaction, batch), 0
    for position, mark in enumerate(batch.marks):
        if position in apart or mark in transaction.marks:
            _write(transaction, batch, slice(written, position))
            edit, content, own = edits[position], contents[position], vectors[position]
            batch.ids[position] = transaction.put(edit, content, blob(own))
            written = position + 1
    _write(transaction, batch, slice(written, len(edits)))
    return batch.ids


def _held(transaction: Transaction, batch: _Batch) -> set[int]:
    """Return the positions of the edits that may have to do with what is stored."""
    held: set[int] = set()
    if transaction.room is None:
        return held
    ids = [edit.id for edit in batch.edits]
    # The content of what has an id, or a slot, is found by these.
    marks = [
        None if edit.id or place else mark
        for edit, mark, place in zip(batch.edits, batch.marks, batch.places, strict=True)
    ]
    slots = [None if place is None else place.slot for place in batch.places]
    connection, parameters = transaction.connection, {"room": transaction.room}
    connection.execute(_NEW_BATCH)
    lookups: tuple[tuple[str, Sequence[object]], ...] = (
        (_KNOWN_IDS, ids),
        (_LIVE_CONTENT, marks),
        (_TAKEN_SLOTS, slots),
    )
    for statement, values in lookups:
        rows = [(position, value) for position, value in enumerate(values) if value is not None]
        if rows:
            connection.execute("DELETE FROM batch")
            connection.executemany("INSERT INTO batch VALUES (?, ?)", rows)
            held.update(position for (position,) in connection.execute(statement, parameters))
            connection.execute("DELETE FROM batch")
    return held


def _write(transaction: Transaction, batch: _Batch, part: slice) -> None:
    """Write edits that are alone with their slot, content and id."""
    contents = batch.contents[part]
    if not contents:
        return
    keys = range(first := transaction.take(len(contents)), first + len(contents))
    # Only what the batch has: to bind NULLs takes as long as the rest.
    columns = list(zip(*contents, strict=True))
    used = [place for place, values in enumerate(columns) if values.count(None) < len(contents)]
    names = ", ".join(CONTENT[place] for place in used)
    transaction.connection.executemany(
        f"""INSERT INTO versions
            (key, room, revision, id, slot, digest, version, proposed, state, {names})
            VALUES (?, ?, ?, ?, ?, ?, 1, 0, {LIVE}, {", ".join("?" * len(used))})""",  # noqa: S608
        zip(
            keys,
            repeat(transaction.room),
            repeat(transaction.head),
            batch.ids[part],
            batch.slots[part],
            batch.marks[part],
            *(columns[place] for place in used),
        ),
    )
    vectors = map(blob, batch.vectors[part])
    transaction.connection.executemany(INSERT_VECTORS, zip(keys, vectors, strict=True))
