"""The live edits that a writing call may touch, read at once and kept up to date in memory.

A call over a network must not ask the server about each of its edits: whatever
a batch of them can meet is fetched with a few statements, what the batch does is
decided here, and the outcome is written at its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from lte_chains.edit import Edit
from lte_chains.slots import VALUE_MARK, Place, place_of, value_of
from lte_chains.store.postgres.schema import tag_of
from lte_chains.store.rows import decode, moment

_LIVE = text(
    """SELECT v.*, (SELECT max(e.version) FROM lte_events AS e
        WHERE e.room = v.room AND e.tag = v.tag) AS latest FROM (
        SELECT key FROM lte_live WHERE room = :room AND tag = ANY(:tags)
        UNION SELECT key FROM lte_live WHERE room = :room AND digest = ANY(:digests)
        UNION SELECT key FROM lte_live WHERE room = :room AND base = ANY(:bases)
        UNION SELECT l.key FROM lte_other_slots AS o JOIN lte_live AS l USING (room, tag)
            WHERE o.room = :room AND o.base = ANY(:bases)
    ) AS wanted JOIN lte_versions AS v ON v.room = :room AND v.key = wanted.key"""
)
_LATEST = text(
    """SELECT tag, max(version) AS version FROM lte_events
    WHERE room = :room AND tag = ANY(:tags) GROUP BY tag"""
)


@dataclass(frozen=True)
class LiveEdit:
    """What the ledger must know of a live version to settle conflicts."""

    id: str
    key: int
    version: int
    slot: str | None
    digest: bytes
    valid_from: str | None
    valid_until: str | None
    value: str
    """What it says of its slot, in the form in which values are compared."""
    other_slots: tuple[str, ...]
    """Its slot by each alias of its subject."""

    def holds_within(self, start: str | None, until: str | None) -> bool:
        """Return whether its validity and another share a moment; None is "always"."""
        return (self.valid_from is None or until is None or self.valid_from < until) and (
            self.valid_until is None or start is None or start < self.valid_until
        )

    def time_left(self, start: str | None, until: str | None) -> dict[str, str]:
        """Return what its validity keeps outside another, as what changes in it; {} for nothing."""
        if start is not None and (self.valid_from is None or self.valid_from < start):
            return {"valid_until": start}
        if until is not None and (self.valid_until is None or until < self.valid_until):
            return {"valid_from": until}
        return {}


def live_edit(
    edit: Edit, *, id_: str, key: int, version: int, slot: str | None, digest: bytes
) -> LiveEdit:
    """Return the live view of an edit, under what the ledger gives it."""
    place = place_of(edit) if edit.aliases else None
    return LiveEdit(
        id=id_,
        key=key,
        version=version,
        slot=slot,
        digest=digest,
        valid_from=moment(edit.valid_from),
        valid_until=moment(edit.valid_until),
        value=value_of(edit),
        other_slots=() if place is None else place.other_keys,
    )


def stored_edit(row: RowMapping) -> LiveEdit:
    """Return the live view of a row of the versions table."""
    return live_edit(
        decode({**row, "namespace": None}),
        id_=row["id"],
        key=row["key"],
        version=row["version"],
        slot=row["slot"],
        digest=bytes(row["digest"]),
    )


class WorkingSet:
    """The live edits of one namespace that a batch can meet; see the module.

    What has not been loaded does not exist here: `load` everything first.
    """

    def __init__(self, connection: Connection, room: int) -> None:
        """Know nothing yet."""
        self._connection = connection
        self._room = room
        self._live: dict[str, LiveEdit] = {}
        self._latest: dict[str, int] = {}
        self._by_base: dict[str, set[str]] = defaultdict(set)
        self._by_other_base: dict[str, set[str]] = defaultdict(set)
        self._by_digest: dict[bytes, set[str]] = defaultdict(set)

    def load(
        self,
        ids: Iterable[str],
        *,
        digests: Sequence[bytes] = (),
        places: Iterable[Place] = (),
    ) -> None:
        """Read the live edits of these ids, of equal content, and at these places."""
        wanted = {tag_of(id_): id_ for id_ in ids}
        slots = {slot for place in places for slot in (place.slot, *place.other_slots)}
        parameters: dict[str, Any] = {
            "room": self._room,
            "tags": list(wanted),
            "digests": list(digests),
            "bases": [tag_of(slot) for slot in slots],
        }
        for row in self._connection.execute(_LIVE, parameters).mappings():
            wanted.pop(row["tag"], None)
            self._latest[row["id"]] = row["latest"]
            self.keep(stored_edit(row))
        if wanted:  # what is not live now may have been
            parameters = {"room": self._room, "tags": list(wanted)}
            for latest in self._connection.execute(_LATEST, parameters):
                self._latest[wanted[latest.tag]] = latest.version

    def get(self, id_: str) -> LiveEdit | None:
        """Return the live edit of an id."""
        return self._live.get(id_)

    def oldest_like(self, digest: bytes) -> str | None:
        """Return the id of the oldest live edit of a content."""
        alike = self._by_digest.get(digest)
        return min(alike, key=lambda id_: self._live[id_].key) if alike else None

    def latest_version(self, id_: str) -> int:
        """Return the highest version ever used: numbers of purged versions stay taken."""
        return self._latest.get(id_, 0)

    def number(self, id_: str, version: int) -> None:
        """Have a version as the latest of its id."""
        self._latest[id_] = version

    def rivals(self, place: Place) -> list[LiveEdit]:
        """Return the live edits that give way to one at `place`, whatever their time."""
        held: Iterable[str] = self._by_base.get(place.slot, ())
        found = {id_ for id_ in held if self._yields(id_, place, place.slot)}
        # Not alias with alias: two subjects may share a nickname.
        found |= {
            id_
            for id_ in self._by_other_base.get(place.slot, ())
            if any(_gives_way(slot, place, place.slot) for slot in self._live[id_].other_slots)
        }
        for other in place.other_slots:
            found |= {
                id_ for id_ in self._by_base.get(other, ()) if self._yields(id_, place, other)
            }
        rivals = [self._live[id_] for id_ in found]
        if place.value is not None:
            rivals = [rival for rival in rivals if rival.value == place.value]
        return rivals

    def keep(self, edit: LiveEdit) -> None:
        """Have an edit live, in place of what was live under its id."""
        self.drop(edit.id)
        self._live[edit.id] = edit
        for index, keys in self._entries(edit):
            for key in keys:
                index[key].add(edit.id)

    def drop(self, id_: str) -> None:
        """Have no live edit under an id."""
        edit = self._live.pop(id_, None)
        if edit is None:
            return
        for index, keys in self._entries(edit):
            for key in keys:
                index[key].discard(id_)

    def _entries(self, edit: LiveEdit) -> list[tuple[dict[Any, set[str]], list[Any]]]:
        return [
            (self._by_base, [] if edit.slot is None else [base_of(edit.slot)]),
            (self._by_other_base, [base_of(slot) for slot in edit.other_slots]),
            (self._by_digest, [edit.digest]),
        ]

    def _yields(self, id_: str, place: Place, slot: str) -> bool:
        own = self._live[id_].slot
        return own is not None and _gives_way(own, place, slot)


def base_of(slot: str) -> str:
    r"""Return a slot without the value that is behind it where a relation has many.

    Example:
        >>> base_of("ann\x1fchild\x1ebob")
        'ann\x1fchild'
    """
    return slot.partition(VALUE_MARK)[0]


def _gives_way(held: str, place: Place, slot: str) -> bool:
    """Return whether what is held at a slot gives way to a new edit at `slot`, a name of `place`.

    Without a value the new edit takes the slot and all its values. With one it
    takes that value, and the slot if that holds the same value as its only one.
    """
    if place.value is None:
        return base_of(held) == slot
    return held in (slot, f"{slot}{VALUE_MARK}{place.value}")
