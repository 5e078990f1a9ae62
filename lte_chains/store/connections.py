"""SQLite connections for many threads, and its errors in this package's words."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from lte_chains.errors import LteError, StoreError

_REMEDIES = (
    ("locked", "another process or thread holds the file: try again when it is done"),
    ("not a database", "this is not a SQLite database: give another path"),
    ("malformed", "the file is damaged: restore it from a backup or an export"),
    ("readonly", "the file or its folder cannot be written: change its permissions"),
    ("unable to open", "check that the folder exists and that it and the file can be written"),
    ("full", "the disk is full: make room and try again"),
    ("disk I/O", "the disk failed, or a limit was met: make room, or see whether it is sound"),
)


Mark = tuple[int, tuple[int, int]]
"""Which connection looked, and what it saw: as long as that is the same, so is the database."""

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What `sqlite3` raises; the second where a message quotes a damaged file."""


class ConnectionPool:
    """At most `size` connections, opened when needed and used by one thread at a time."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], *, size: int, seconds: float, name: str
    ) -> None:
        """Open nothing yet.

        Args:
            connect: Opens a connection.
            size: How many there may be.
            seconds: How long a thread waits for one of these.
            name: The file's, for messages.
        """
        self._connect = connect
        self._size = size
        self._seconds = seconds
        self._name = name
        self._closed = False
        self._opened = 0
        self._waiting = 0
        self._changed = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; what it leaves uncommitted is rolled back.

        Raises:
            StoreError: The pool is closed, or SQLite fails.
        """
        with explained(self._name):
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def read(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object]
    ) -> list[sqlite3.Row]:
        """Return the rows of one statement.

        Raises:
            StoreError: The pool is closed, or SQLite fails.
        """
        # Every search comes here: two context managers would take longer than the statement.
        connection = self._take()
        try:
            return connection.execute(statement, parameters).fetchall()
        except SQLITE_ERRORS as error:
            raise _explanation(self._name, error) from error
        finally:
            self._give_back(connection)

    def mark(self) -> Mark:
        """Return which connection looked, and what changes whenever anybody commits.

        Raises:
            StoreError: The pool is closed, or SQLite fails.
        """
        connection = self._take()
        try:
            [(version,)] = connection.execute("PRAGMA data_version")  # of what others commit
            return id(connection), (version, connection.total_changes)
        except SQLITE_ERRORS as error:
            raise _explanation(self._name, error) from error
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        _close_all(self._idle)
        with self._changed:
            self._changed.notify_all()

    def abandon(self) -> None:
        """Leave the connections open for good: after a fork they are the parent's."""
        self._finalizer.detach()
        _inherited.append(self._idle)

    def _take(self) -> sqlite3.Connection:
        self._check_open()
        try:
            return self._idle.pop()  # of a list, which needs no lock
        except IndexError:
            return self._another()

    def _another(self) -> sqlite3.Connection:
        """Open a connection, or wait for one if there are as many as there may be."""
        deadline = time.monotonic() + self._seconds
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    self._check_open()
                    # After `_waiting` was raised: who gives one back now will notify.
                    with suppress(IndexError):
                        return self._idle.pop()
                    if self._opened < self._size:
                        self._opened += 1
                        break
                    if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                        raise busy(self._name)
            finally:
                self._waiting -= 1
        try:
            with explained(self._name):
                return self._connect()
        except BaseException:
            self._forget()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the memory at {self._name} is closed: open it again")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.rollback()
        except BaseException:
            self._forget()
            raise
        self._idle.append(connection)
        if self._closed:
            _close_all(self._idle)
        elif self._waiting:
            with self._changed:
                self._changed.notify()

    def _forget(self) -> None:
        """Let another connection be opened in place of one that failed."""
        with self._changed:
            self._opened -= 1
            self._changed.notify()


_inherited: list[list[sqlite3.Connection]] = []
"""Connections of a parent process, kept so that nothing closes its file."""


@contextmanager
def patience(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Let a connection wait this long, and no longer, for the transactions of others."""
    [(before,)] = connection.execute("PRAGMA busy_timeout")
    connection.execute(f"PRAGMA busy_timeout = {max(0, int(seconds * 1000))}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn SQLite's errors, and the system's, into `StoreError`s that say what to do.

    Raises:
        StoreError: SQLite or the system failed.
    """
    try:
        yield
    except SQLITE_ERRORS as error:
        raise _explanation(name, error) from error
    except LteError:
        raise
    except OSError as error:
        raise StoreError(f"cannot use {name[:200]}: {error.strerror or error}") from error


def busy(name: str) -> StoreError:
    """Return the error of who has waited for too long, wherever that was."""
    return _explanation(name, sqlite3.OperationalError("database is locked"))


def _explanation(name: str, error: Exception) -> StoreError:
    text = "malformed" if isinstance(error, UnicodeDecodeError) else str(error)
    remedy = next((r for sign, r in _REMEDIES if sign in text), "see the cause above")
    return StoreError(f"cannot use the memory at {name}: {text}. Remedy: {remedy}")


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
