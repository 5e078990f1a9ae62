"""Moving a memory from one store to another, with its whole history.

Revisions are copied as they are, with their times, their events, and every
version's text and vectors; what is live and what is pending follows from them. A
portion of revisions is one transaction of the target, so that a copy that was
interrupted is taken up where it stopped, and one that was finished takes what has
been added since. At its end both sides are read and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from lte_chains.errors import StoreError
from lte_chains.store.base import Action, Operation, VectorSpace, check_space
from lte_chains.store.rows import Content

PORTION = 2_000
"""Versions, or revisions, that are written in one transaction, if no revision is larger."""

_SETTLED = frozenset({"add", "restore", "retract", "supersede", "purge"})
_WAITING = frozenset({"propose", "approve", "reject", "purge"})


@dataclass(frozen=True)
class LedgerEvent:
    """What a revision did to one version."""

    action: Action
    id: str
    version: int
    superseded_by: str | None


@dataclass(frozen=True)
class LedgerVersion:
    """A stored text with the vectors of its wordings."""

    id: str
    version: int
    content: Content
    slot: str | None
    digest: bytes
    vectors: bytes
    """One after the other, as little-endian float32."""


@dataclass(frozen=True)
class LedgerRevision:
    """One revision of a namespace, with all that it wrote."""

    number: int
    operation: Operation
    at: str
    events: tuple[LedgerEvent, ...]
    count: int
    """How many versions it wrote that are still stored."""
    versions: Iterable[Sequence[LedgerVersion]]
    """They, a few at a time; to be read once, and before the next revision."""


class LedgerView(Protocol):
    """A ledger as it stands at one moment."""

    def space(self) -> VectorSpace | None:
        """Return the space of the vectors; None before the first edit."""
        ...

    def heads(self) -> dict[str, int]:
        """Return the latest revision of each namespace that has one, by name."""
        ...

    def revisions(self, namespace: str, *, since: int = 0) -> Generator[LedgerRevision, None, None]:
        """Yield the revisions after `since`, oldest first; to be closed if not read to the end."""
        ...


class Replica(Protocol):
    """A store, as a migration reads and writes it."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""
        ...

    def view(self) -> AbstractContextManager[LedgerView]:
        """Lend the ledger as it stands now."""
        ...

    def write(
        self, namespace: str, revisions: Sequence[LedgerRevision], space: VectorSpace | None
    ) -> None:
        """Append revisions that follow the namespace's latest, in one transaction."""
        ...

    def finish(self) -> None:
        """Make what has been written ready for searches."""
        ...

    def close(self) -> None:
        """Release the storage."""
        ...


@dataclass(frozen=True)
class Count:
    """What a namespace holds, and a hash of all of it.

    Example:
        >>> Count(revisions=3, events=5, versions=4, checksum="ab12").versions
        4
    """

    revisions: int
    events: int
    versions: int
    checksum: str


def migrate(
    source: Replica,
    target: Replica,
    *,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Count]:
    """Copy all namespaces of a store into another, and compare them at the end.

    What the target already has of a namespace must be the beginning of what the
    source has; the rest is added. Namespaces that only the target has stay as
    they are.

    Args:
        source: Read as it stands when this begins; it may be in use.
        target: Nobody else should write the namespaces there meanwhile.
        progress: Called with what is done ("copy" or "check"), and how many
            revisions of how many.

    Returns:
        What both hold now, by namespace.

    Raises:
        EmbeddingError: The stores' vectors are of different embedders.
        StoreError: A store failed; or the target holds another memory under a
            namespace's name, or differs at the end.
    """
    with source.view() as view:
        space, heads = view.space(), view.heads()
        with target.view() as before:
            held, present = before.space(), before.heads()
            if held is not None and space is not None:
                check_space(held, space)
            for namespace in heads:
                _require_beginning(view, before, namespace, present.get(namespace, 0), target.name)
        total, done = sum(heads.values()), 0
        for namespace in heads:
            done += present.get(namespace, 0)
            with closing(view.revisions(namespace, since=present.get(namespace, 0))) as missing:
                for portion in _portions(missing):
                    target.write(namespace, portion, space)
                    done += len(portion)
                    progress("copy", done, total)
        target.finish()
        with target.view() as after:
            return _compared(view, after, heads, target.name, progress)


def _portions(revisions: Iterable[LedgerRevision]) -> Iterator[list[LedgerRevision]]:
    """Gather revisions, so that a portion is held in memory; a large one comes alone, unread."""
    portion: list[LedgerRevision] = []
    room = PORTION
    for revision in revisions:
        if portion and revision.count + 1 > room:
            yield portion
            portion, room = [], PORTION
        if revision.count > PORTION:
            yield [revision]
            continue
        portion.append(_held(revision))
        room -= revision.count + 1
    if portion:
        yield portion


def _held(revision: LedgerRevision) -> LedgerRevision:
    """Return a revision whose versions have been read."""
    return LedgerRevision(
        revision.number,
        revision.operation,
        revision.at,
        revision.events,
        revision.count,
        [list(versions) for versions in revision.versions],
    )


def _require_beginning(
    source: LedgerView, target: LedgerView, namespace: str, head: int, name: str
) -> None:
    """Check, by its latest revision, that a target holds the beginning of a namespace."""
    if not head:
        return
    marks = []
    for view in (source, target):
        with closing(view.revisions(namespace, since=head - 1)) as revisions:
            marks += [(revision.at, revision.operation) for revision in islice(revisions, 1)]
    if marks[:1] != marks[1:]:
        raise StoreError(
            f"{name} has a namespace {namespace!r} with another history, or a longer one: migrate "
            "into an empty place, or in the other direction"
        )


def _compared(
    source: LedgerView,
    target: LedgerView,
    heads: dict[str, int],
    name: str,
    progress: Callable[[str, int, int], None],
) -> dict[str, Count]:
    counts: dict[str, Count] = {}
    done, total = 0, 2 * sum(heads.values())

    def tell() -> None:
        nonlocal done
        done += 1
        progress("check", done, total)

    for namespace in heads:
        counts[namespace] = count(source, namespace, each=tell)
        found = count(target, namespace, each=tell)
        if found != counts[namespace]:
            raise StoreError(
                f"namespace {namespace!r} of {name} differs after the migration: it holds {found}, "
                f"not {counts[namespace]}. If the source was re-embedded since an earlier "
                "migration, or the target written to, empty the target and migrate again"
            )
    return counts


def count(view: LedgerView, namespace: str, *, each: Callable[[], None] = lambda: None) -> Count:
    """Count what a namespace holds, and hash it; `each` is called for every revision."""
    revisions = events = versions = 0
    hashed = hashlib.sha256()
    for revision in view.revisions(namespace):  # to their end
        revisions += 1
        events += len(revision.events)
        hashed.update(_spelled(revision.number, revision.operation, revision.at))
        for event in revision.events:
            hashed.update(_spelled(event.action, event.id, event.version, event.superseded_by))
        for portion in revision.versions:
            versions += len(portion)
            for version in portion:
                plain = (version.id, version.version, version.content, version.slot)
                hashed.update(_spelled(*plain, version.digest.hex()))
                hashed.update(version.vectors)
        each()
    return Count(revisions, events, versions, hashed.hexdigest())


def _spelled(*values: object) -> bytes:
    return json.dumps(values).encode()


@dataclass
class FinalState:
    """What is live and what is pending after revisions, of the ids that they touch.

    Example:
        >>> event = LedgerEvent("add", "a", 1, None)
        >>> state = FinalState.after([LedgerRevision(1, "add", "", (event,), 0, ())])
        >>> state.live, state.pending, state.purged
        ({'a': 1}, {}, set())
    """

    live: dict[str, int | None]
    """The version that is live; None for none."""
    pending: dict[str, int | None]
    """The version that is pending; None for none."""
    purged: set[str]
    """What had been stored under these ids before, and was purged."""

    @classmethod
    def after(cls, revisions: Iterable[LedgerRevision]) -> FinalState:
        """Return the state after the events of some revisions."""
        state = cls({}, {}, set())
        for revision in revisions:
            for event in revision.events:
                if event.action in _SETTLED:
                    begins = event.action in ("add", "restore")
                    state.live[event.id] = event.version if begins else None
                if event.action in _WAITING:
                    begins = event.action == "propose"
                    state.pending[event.id] = event.version if begins else None
                if event.action == "purge":
                    state.purged.add(event.id)
        return state
