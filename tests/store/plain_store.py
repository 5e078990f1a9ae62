"""The ledger's rules once more, as plainly as they can be said: no tables, no batches, no indexes.

Everything is looked at one by one, in lists. It shares with the stores how an
edit is encoded and where it stands (`lte_chains.slots`), and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

import numpy as np

from lte_chains.edit import Edit
from lte_chains.errors import ConflictError, InvalidEditError, UnknownEditError
from lte_chains.slots import VALUE_MARK, Place, place_of, value_of
from lte_chains.store.base import Vectors
from lte_chains.store.rows import encode


@dataclass(frozen=True)
class Version:
    """One text that was stored under an id."""

    edit: Edit
    slot: str | None
    vectors: Vectors


@dataclass
class Room:
    """One namespace."""

    operations: list[str] = field(default_factory=list)
    events: list[tuple[int, str, str, int, str | None]] = field(default_factory=list)
    """Revision, action, id, version, superseded by."""
    versions: dict[tuple[str, int], Version] = field(default_factory=dict)
    """In the order in which they were stored; purged ones are gone."""
    live: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)


class PlainStore:
    """What a store must do, but for durability; the ids that it makes are "made 0" and so on."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = defaultdict(Room)
        self._made = (f"made {number}" for number in count())

    def revision(self, namespace: str) -> int:
        return len(self._rooms[namespace].operations)

    def add(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        takes: Sequence[Edit | None] | None = None,
        if_revision: int | None = None,
    ) -> list[str]:
        room = self._checked(namespace, if_revision)
        change, ids = _Change(room, namespace, "add"), []
        for edit, own, taken in zip(edits, vectors, takes or [None] * len(edits), strict=True):
            live = {key[0]: v.edit for key, v in room.versions.items() if key in room.live.items()}
            ids.append(edit.id or _twin(edit, live) or next(self._made))
            change.put(replace(edit, id=ids[-1]), own, taken)
        return ids

    def propose(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        if_revision: int | None = None,
    ) -> list[str]:
        room = self._checked(namespace, if_revision)
        waiting = {id_: room.versions[id_, v].edit for id_, v in room.pending.items()}
        ids = []
        for edit in edits:
            ids.append(edit.id or _twin(edit, waiting) or next(self._made))
            if encode(waiting.setdefault(ids[-1], edit)) != encode(edit):
                raise InvalidEditError
        change = _Change(room, namespace, "propose")
        for id_, edit, own in zip(ids, edits, vectors, strict=True):
            if id_ not in room.pending:
                room.pending[id_] = change.store(replace(edit, id=id_), edit.slot or None, own)
                change.note("propose", id_, room.pending[id_])
        return ids

    def approve(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        return self._settle(namespace, ids, "approve", if_revision)

    def reject(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        return self._settle(namespace, ids, "reject", if_revision)

    def retract(
        self,
        namespace: str,
        ids: Sequence[str],
        *,
        missing_ok: bool = False,
        if_revision: int | None = None,
    ) -> int:
        room = self._checked(namespace, if_revision)
        if not missing_ok:
            _require_known(room, ids)
        change = _Change(room, namespace, "retract")
        for id_ in ids:
            if id_ in room.live:
                change.end(id_, "retract")
        return self.revision(namespace)

    def rollback(self, namespace: str, revision: int, *, if_revision: int | None = None) -> int:
        room = self._checked(namespace, if_revision)
        then = _state(room, self._existing(namespace, revision))
        change = _Change(room, namespace, "rollback")
        for id_ in list(room.live):
            if id_ not in then:
                change.end(id_, "retract")
        for id_, version in then.items():
            if room.live.get(id_) != version:
                room.live[id_] = version
                change.note("restore", id_, version)
        return self.revision(namespace)

    def purge(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        room = self._checked(namespace, if_revision)
        _require_known(room, ids)
        change = _Change(room, namespace, "purge")
        for id_ in ids:
            own = [event for event in room.events if event[2] == id_]
            if own[-1][1] == "purge":
                continue
            room.versions = {key: v for key, v in room.versions.items() if key[0] != id_}
            room.live.pop(id_, None)
            room.pending.pop(id_, None)
            change.note("purge", id_, max(version for *_, version, _ in own))
        return self.revision(namespace)

    def reembed(
        self, embed: Callable[[Sequence[Edit]], Sequence[Vectors]], *, fingerprint: str
    ) -> None:
        if not any(room.versions for room in self._rooms.values()):
            return
        for room in self._rooms.values():
            if room.operations:
                room.operations.append("reembed")
            for key, version in room.versions.items():
                room.versions[key] = replace(version, vectors=embed([version.edit])[0])

    def pending(self, namespace: str) -> list[Edit]:
        room = self._rooms[namespace]
        return [v.edit for key, v in room.versions.items() if key in room.pending.items()]

    def edits(self, namespace: str, *, as_of: int | None = None) -> list[Edit]:
        room = self._rooms[namespace]
        live = room.live if as_of is None else _state(room, self._existing(namespace, as_of))
        return [v.edit for key, v in room.versions.items() if key in live.items()]

    def history(self, namespace: str, *, since: int = 0) -> list[tuple[object, ...]]:
        """Revision, operation, action, id, version, edit and superseded by of each entry."""
        room = self._rooms[namespace]
        entries: list[tuple[object, ...]] = []
        for revision, operation in enumerate(room.operations, 1):
            own = [event for event in room.events if event[0] == revision]
            if revision <= since:
                continue
            if not own:
                entries.append((revision, operation, operation, None, None, None, None))
            for _, action, id_, version, by in own:
                stored = room.versions.get((id_, version))
                text = None if stored is None else stored.edit
                entries.append((revision, operation, action, id_, version, text, by))
        return entries

    def nearest(
        self, namespace: str, vector: Vectors, k: int, *, fingerprint: str
    ) -> list[tuple[Edit, float]]:
        room = self._rooms[namespace]
        found = []
        for key, version in room.versions.items():
            if key in room.live.items():
                own = np.atleast_2d(version.vectors).astype(np.float64)
                score = max(np.vecdot(own, vector.astype(np.float64)))
                found.append((version.edit, float(np.clip(score, -1.0, 1.0))))
        return sorted(found, key=lambda hit: -hit[1])[:k]

    def _checked(self, namespace: str, if_revision: int | None) -> Room:
        if if_revision is not None and if_revision != self.revision(namespace):
            raise ConflictError
        return self._rooms[namespace]

    def _existing(self, namespace: str, revision: int) -> int:
        if not 0 <= revision <= self.revision(namespace):
            raise UnknownEditError
        return revision

    def _settle(
        self, namespace: str, ids: Sequence[str], action: str, if_revision: int | None
    ) -> int:
        room = self._checked(namespace, if_revision)
        if any(id_ not in room.pending for id_ in ids):
            raise UnknownEditError
        change = _Change(room, namespace, action)
        for id_ in dict.fromkeys(ids):
            version = room.pending.pop(id_)
            change.note(action, id_, version)
            if action == "approve":
                stored = room.versions[id_, version]
                change.put(stored.edit, stored.vectors, None)
        return self.revision(namespace)


class _Change:
    """The changes of one call: one revision, or none."""

    def __init__(self, room: Room, namespace: str, operation: str) -> None:
        self._room, self._namespace, self._operation = room, namespace, operation
        self._revision = 0

    def put(self, edit: Edit, vectors: Vectors, taken: Edit | None) -> None:
        room, id_ = self._room, str(edit.id)
        if id_ in room.live and encode(room.versions[id_, room.live[id_]].edit) == encode(edit):
            return
        place = place_of(edit)
        if place is None and taken is not None:
            stored = room.versions.get((str(taken.id), taken.version or 0))
            if stored is not None and stored.slot is not None:
                place = Place(stored.slot.partition(VALUE_MARK)[0])
        for rival in [key for key in room.versions if key in room.live.items()]:
            held = room.versions[rival]
            if rival[0] == id_ or not _overlap(held.edit, edit):
                continue
            if (taken is not None and rival[0] == taken.id) or (place and _yields(held, place)):
                self.end(rival[0], "supersede", by=id_)
                left = _left(held.edit, edit)
                if left is not None:
                    room.live[rival[0]] = self.store(left, held.slot, held.vectors)
                    self.note("add", rival[0], room.live[rival[0]])
        room.live[id_] = self.store(edit, None if place is None else place.key, vectors)
        self.note("add", id_, room.live[id_])

    def store(self, edit: Edit, slot: str | None, vectors: Vectors) -> int:
        version = max((v for _, _, id_, v, _ in self._room.events if id_ == edit.id), default=0) + 1
        self._take()
        named = {"namespace": self._namespace, "version": version, "revision": self._revision}
        stored = replace(edit, **named, matched_slot=slot)
        self._room.versions[str(edit.id), version] = Version(stored, slot, vectors)
        return version

    def end(self, id_: str, action: str, by: str | None = None) -> None:
        self.note(action, id_, self._room.live.pop(id_), by)

    def note(self, action: str, id_: str, version: int, by: str | None = None) -> None:
        self._take()
        self._room.events.append((self._revision, action, id_, version, by))

    def _take(self) -> None:
        if not self._revision:
            self._room.operations.append(self._operation)
            self._revision = len(self._room.operations)


def _twin(edit: Edit, held: Mapping[str, Edit]) -> str | None:
    """Return the id of the first of those that say the same."""
    return next((id_ for id_, own in held.items() if encode(own) == encode(edit)), None)


def _yields(held: Version, place: Place) -> bool:
    """Return whether a live edit is of the slot that a new one takes."""
    others = place_of(held.edit)
    names = () if others is None or not held.edit.aliases else others.other_keys
    pairs = [(own, place.slot) for own in (held.slot, *names)]
    pairs += [(held.slot, other) for other in place.other_slots]
    for own, slot in pairs:
        if own is None or own.partition(VALUE_MARK)[0] != slot:
            continue
        if place.value is None:
            return True
        if own in (slot, f"{slot}{VALUE_MARK}{place.value}") and value_of(held.edit) == place.value:
            return True
    return False


def _overlap(one: Edit, other: Edit) -> bool:
    start = max((m for m in (one.valid_from, other.valid_from) if m), default=None)
    until = min((m for m in (one.valid_until, other.valid_until) if m), default=None)
    return start is None or until is None or start < until


def _left(old: Edit, new: Edit) -> Edit | None:
    """Return what is left of an edit's time before a new one, else after it."""
    first, last = datetime.min, datetime.max
    begin = (old.valid_from or first).replace(tzinfo=None)
    end = (old.valid_until or last).replace(tzinfo=None)
    if new.valid_from is not None and begin < new.valid_from.replace(tzinfo=None):
        return replace(old, valid_until=new.valid_from)
    if new.valid_until is not None and new.valid_until.replace(tzinfo=None) < end:
        return replace(old, valid_from=new.valid_until)
    return None


def _state(room: Room, revision: int) -> dict[str, int]:
    """Return what was live at a revision and is still stored, by replaying what happened."""
    live: dict[str, int] = {}
    for at, action, id_, version, _ in room.events:
        if at > revision or action in ("propose", "approve", "reject"):
            continue
        live.pop(id_, None)
        if action in ("add", "restore"):
            live[id_] = version
    return {id_: version for id_, version in live.items() if (id_, version) in room.versions}


def _require_known(room: Room, ids: Sequence[str]) -> None:
    if any(all(event[2] != id_ for event in room.events) for id_ in ids):
        raise UnknownEditError
