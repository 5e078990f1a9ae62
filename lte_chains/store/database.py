"""One SQLite file: where it is, who may write, and how traces are erased."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from lte_chains.errors import ConfigError, StoreError
from lte_chains.store.base import Durability
from lte_chains.store.connections import ConnectionPool, Mark, busy, explained, patience
from lte_chains.store.saved_indexes import delete_outdated
from lte_chains.store.schema import BUSY_SECONDS, connector, prepare

_POOL_SIZE = 8
_AT_OPENING_SECONDS = 1.0
"""How long an opening waits for others to finish what a purge left undone."""
_A_MOMENT = 0.01
"""Seconds that need not be taken off those that a call may wait."""
_IN_MEMORY_BYTES = 1 << 28
"""The largest file whose copy is built in memory when it is written anew."""
_ERASURE = "SELECT value FROM meta WHERE name = 'scrub'"
"""Selects the mark of an erasure that is due."""
_log = logging.getLogger(__name__)


class Database:
    """Transactions on one SQLite file, for many threads and processes.

    Args:
        path: The file, made if it does not exist; ":memory:" for none.
        durability: Whether every commit is synced.

    Raises:
        StoreError: The path cannot be used; see `lte_chains.store.schema.prepare`.
        ConfigError: There is no such durability.
    """

    def __init__(self, path: str | os.PathLike[str], *, durability: Durability = "full") -> None:
        """Open or create the file, and finish an erasure that was interrupted."""
        if durability not in get_args(Durability):
            raise ConfigError(f"durability must be 'full' or 'normal', not {durability!r}")
        self._durability = durability
        self.path = None if path == ":memory:" else Path(path).expanduser().absolute()
        """The file; None for none."""
        self.name = ":memory:" if self.path is None else str(self.path)
        """The file's path, or ":memory:", for messages."""
        with explained(self.name):
            if self.path is not None and self.path.is_dir():
                raise StoreError(f"{self.name} is a folder: give the path of a file in it")
            if self.path is not None and not self.path.parent.is_dir():
                raise StoreError(f"the folder {self.path.parent} does not exist: create it first")
        self._start()
        try:
            with self._pool.connection() as connection:
                prepare(connection, self.name)
            self._finish_erasure()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the file throughout.

        Raises:
            StoreError: The database is closed, or SQLite fails.
        """
        self._leave_parent()
        with self._pool.connection() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    def read(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[sqlite3.Row]:
        """Return the rows of one statement, which sees one state of the file.

        Raises:
            StoreError: The database is closed, or SQLite fails.
        """
        self._leave_parent()
        return self._pool.read(statement, parameters)

    def mark(self) -> Mark:
        """Return a mark of the file's content; it costs less than to read anything.

        Raises:
            StoreError: The database is closed, or SQLite fails.
        """
        self._leave_parent()
        return self._pool.mark()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a write transaction: all or nothing.

        It is committed, and on the disk, when the block ends without an error.

        Raises:
            StoreError: The database is closed, or SQLite fails, or others write for too long.
        """
        begun = time.monotonic()
        with self._alone() as connection:
            waited = time.monotonic() - begun
            if waited < _A_MOMENT:
                connection.execute("BEGIN IMMEDIATE")
            else:  # other threads and other processes are waited for no longer than either
                with patience(connection, BUSY_SECONDS - waited):
                    connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def erase_traces(self, *, seconds: float | None = None) -> None:
        """Rewrite the file if deleted text may still lie in its free space or its log.

        Saved indexes that hold the vectors of what was deleted go first.

        Args:
            seconds: How long to wait for others; None for as long as any call does.

        Raises:
            StoreError: Another process keeps reading an old state.
        """
        seconds = BUSY_SECONDS if seconds is None else seconds
        with self._alone() as connection, patience(connection, seconds):
            mark = connection.execute(_ERASURE).fetchone()
            if mark is None:
                return
            if self.path is not None:
                delete_outdated(connection, self.path)
            deadline = time.monotonic() + seconds
            # Before the work too, which is in vain if somebody reads what the log has to keep.
            self._empty_log(connection, deadline)
            _rewrite(connection)
            self._empty_log(connection, deadline)
            # Only this erasure's mark: a purge in between has set another one.
            connection.execute(
                "DELETE FROM meta WHERE name = 'scrub' AND value = ?", (mark["value"],)
            )
            _log.info("erased the traces of purged edits from %s", self.name)

    def close(self) -> None:
        """Close the file; further calls raise `StoreError`."""
        self._pool.close()

    def _start(self) -> None:
        # An in-memory database lives and dies with its one connection.
        size = 1 if self.path is None else _POOL_SIZE
        self._pool = ConnectionPool(
            connector(self.path, durability=self._durability),
            size=size,
            seconds=BUSY_SECONDS,
            name=self.name,
        )
        self._write_lock = threading.Lock()
        self._pid = os.getpid()

    def _finish_erasure(self) -> None:
        """Erase what a purge that was interrupted left, or leave it to the next opening or purge.

        Somebody else's purge must not keep those out who may only read, or come
        while others read.
        """
        if not self.read(_ERASURE):
            return
        try:
            self.erase_traces(seconds=_AT_OPENING_SECONDS)
        except StoreError as error:
            _log.warning(
                "a purge of %s was interrupted, and its traces are not erased yet; the next "
                "opening tries again: %s",
                *(self.name, error),
            )

    def _empty_log(self, connection: sqlite3.Connection, deadline: float) -> None:
        """Bring the log into the file, and cut it to nothing.

        Raises:
            StoreError: Somebody reads an earlier state for too long.
        """
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"edits were purged, but another process still reads {self.name}, so "
                    "traces stay in its log: close that reader and purge the same ids again"
                )
            time.sleep(0.01)

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one thread of this process at a time.

        Threads queue here: SQLite's own waiting is polling, and unfair.

        Raises:
            StoreError: Others take too long.
        """
        self._leave_parent()
        lock = self._write_lock
        if not lock.acquire(timeout=BUSY_SECONDS):
            raise busy(self.name)
        try:
            with self._pool.connection() as connection:
                yield connection
        finally:
            lock.release()

    def _leave_parent(self) -> None:
        """Start afresh in a forked child: connections and held locks must not cross a fork."""
        if self.path is not None and self._pid != os.getpid():
            self._pool.abandon()
            self._start()


def _rewrite(connection: sqlite3.Connection) -> None:
    """Write the file anew, which leaves no free space in it.

    SQLite builds a copy first. Of a large file that would take as much memory,
    and so it is built in a file of the system's that has no name.
    """
    [(pages,)] = connection.execute("PRAGMA page_count")
    [(page_bytes,)] = connection.execute("PRAGMA page_size")
    try:
        if pages * page_bytes > _IN_MEMORY_BYTES:
            connection.execute("PRAGMA temp_store = FILE")
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def demand_erasure(connection: sqlite3.Connection) -> None:
    """Note, in a purge's own transaction, that traces must be erased after it."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES ('scrub', ?)", (uuid.uuid4().hex,)
    )
