"""When the index of a namespace is saved beside its database, and when what is saved counts."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lte_chains.errors import StoreError
from lte_chains.store.schema import ROOM, epoch

if TYPE_CHECKING:
    from lte_chains.index import VectorIndex
    from lte_chains.index.cache import Saved
    from lte_chains.index.ranking import View
    from lte_chains.store.database import Database

_log = logging.getLogger(__name__)

_COMMITTED = f"SELECT at FROM revisions WHERE room = {ROOM} AND revision = :since"  # noqa: S608
_HEAD = f"SELECT max(revision) FROM revisions WHERE room = {ROOM}"  # noqa: S608
ERASED = f"""SELECT 1 FROM revisions WHERE room = {ROOM} AND revision > :since
    AND operation IN ('reembed', 'purge')"""  # noqa: S608
"""Whether an index of an earlier revision holds vectors that must be forgotten."""

# Not as a join: its rows, vectors and all, would be sorted on the disk.
LIVE_VECTORS = f"""SELECT key, vector FROM vectors
    WHERE key IN (SELECT key FROM versions WHERE room = {ROOM} AND state = 1) ORDER BY key"""  # noqa: S608
"""The key of each live version of a namespace, and its vectors."""

_WORTH = 8192
"""Fewer edits are read from the ledger in a moment."""
_STALE = 4
"""It is saved again once the part of 1 in this many of its edits has changed."""


@dataclass(frozen=True)
class Origin:
    """What an index was made of.

    Example:
        >>> Origin(namespace="default", space="{}", ledger="37a8").namespace
        'default'
    """

    namespace: str
    space: str
    """The vectors' space, as the ledger has it."""
    ledger: str
    """The ledger's name for its content."""


class SavedIndexes:
    """The saved indexes of one database; see `lte_chains.index.cache`.

    They are written in the background when the ledger has been read, and when
    the database is closed. A memory that cannot be written next to, or a disk
    that is full, costs the next opening some time and nothing else.
    """

    def __init__(self, database: Database) -> None:
        """Take the database that the indexes are of; nothing is read yet."""
        self._database = database
        self._writers: dict[str, threading.Thread] = {}

    def restore(self, origin: Origin, index: VectorIndex, connection: sqlite3.Connection) -> None:
        """Fill an empty index with what is saved of it, if that shows a state of this ledger."""
        from lte_chains.index import cache

        if self._database.path is None:
            return
        place = cache.place_of(self._database.path, origin.namespace)
        stamp = cache.stamp_of(place)
        if stamp is None or Origin(stamp.namespace, stamp.space, stamp.ledger) != origin:
            return
        shown = {"namespace": origin.namespace, "since": stamp.revision}
        committed = connection.execute(_COMMITTED, shown).fetchone()
        if committed is None or committed[0] != stamp.at:
            return
        if connection.execute(ERASED, shown).fetchone() is not None:
            with suppress(OSError):
                place.unlink()
            return
        saved = cache.load(place)
        if saved is None or saved.stamp != stamp or saved.vectors.shape[1] != index.dimension:
            return
        index.adopt(stamp.revision, saved.edits, saved.blocks, saved.keys, saved.vectors)

    def consider(self, origin: Origin, index: VectorIndex) -> None:
        """Save an index in the background if much of it was read from the ledger."""
        writer = self._writers.get(origin.namespace)
        busy = writer is not None and writer.is_alive()
        if busy or not self._worth_saving(index, max(_WORTH, len(index) // _STALE)):
            return
        # A daemon: a program that ends need not wait for a file that it can do without.
        writer = threading.Thread(
            target=self._save, args=(origin, index), name="lte-index", daemon=True
        )
        self._writers[origin.namespace] = writer
        writer.start()

    def close(self, origin: Origin, index: VectorIndex) -> None:
        """Save an index before the database is closed, if the next opening is the quicker."""
        writer = self._writers.pop(origin.namespace, None)
        if writer is not None:
            writer.join()
        if self._worth_saving(index, _WORTH // 8):
            self._save(origin, index)

    def settle(self) -> None:
        """Wait until nothing is being written in the background."""
        for writer in list(self._writers.values()):
            writer.join()

    def delete(self) -> None:
        """Delete what is saved of all namespaces.

        Raises:
            StoreError: A file cannot be deleted.
        """
        from lte_chains.index import cache

        if self._database.path is not None:
            for place in cache.places_of(self._database.path, unfinished=True):
                _delete(place)

    def _worth_saving(self, index: VectorIndex, changed: int) -> bool:
        known = self._database.path is not None and len(index) >= _WORTH
        return known and index.unsaved >= changed

    def _save(self, origin: Origin, index: VectorIndex) -> None:
        view: View = index.view
        try:
            if self._written(origin, view):
                index.unsaved = 0
        except (OSError, StoreError) as error:
            _log.info("the index of %r is not saved: %s", origin.namespace, error)

    def _written(self, origin: Origin, view: View) -> bool:
        from lte_chains.index import cache

        database, namespace = self._database, origin.namespace
        shown = {"namespace": namespace, "since": view.revision}
        committed = database.read(_COMMITTED, shown)
        if database.path is None or not committed:
            return False
        place = cache.place_of(database.path, namespace)
        at = committed[0][0]
        stamp = cache.Stamp(namespace, view.revision, at, origin.space, origin.ledger)
        return cache.save(
            *(place, view, stamp),
            like=database.path,
            wanted=lambda: not database.read(ERASED, shown),
        )


def delete_outdated(connection: sqlite3.Connection, database: Path) -> None:
    """Delete the saved indexes that hold what was erased since, finished ones or not.

    Raises:
        StoreError: A file cannot be deleted.
    """
    from lte_chains.index import cache

    ledger = epoch(connection)
    for place in cache.places_of(database, unfinished=True):
        stamp = cache.stamp_of(place)
        if stamp is not None and ledger == stamp.ledger:
            shown = {"namespace": stamp.namespace, "since": stamp.revision}
            if connection.execute(ERASED, shown).fetchone() is None:
                continue
        _delete(place)


def _delete(place: Path) -> None:
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the saved index {place} still holds what was erased: delete it"
        ) from error


def faults_of(connection: sqlite3.Connection, database: Path) -> list[tuple[Path, str]]:
    """Return the saved indexes that cannot be used, or are not what the ledger says, and why.

    Args:
        connection: Outside a transaction, to a database that may be in use.
        database: Its file.
    """
    from lte_chains.index import cache

    found = []
    for place in cache.places_of(database):
        saved = cache.load(place)
        if saved is None:
            if place.exists():  # and was not deleted since by somebody who erases
                found.append((place, "damaged, unfinished, or of another version"))
        elif place != cache.place_of(database, saved.stamp.namespace):
            found.append((place, "of another name than its namespace has"))
        elif fault := _fault(connection, saved):
            found.append((place, fault))
    return found


def _fault(connection: sqlite3.Connection, saved: Saved) -> str | None:
    """Return what is wrong with an index, by one state of the ledger throughout."""
    connection.execute("BEGIN")
    try:
        return _fault_now(connection, saved)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _fault_now(connection: sqlite3.Connection, saved: Saved) -> str | None:
    stamp = saved.stamp
    shown = {"namespace": stamp.namespace, "since": stamp.revision}
    committed = connection.execute(_COMMITTED, shown).fetchone()
    if (committed, epoch(connection)) != ((stamp.at,), stamp.ledger):
        return "of another ledger, or of another course of this one"
    if connection.execute(ERASED, shown).fetchone():
        return "from before vectors were erased or replaced"
    if connection.execute(_HEAD, shown).fetchone()[0] != stamp.revision:
        return None  # what came since is read from the ledger
    live = connection.execute(LIVE_VECTORS, shown)
    return None if saved.shows(live) else "not what the ledger holds"
