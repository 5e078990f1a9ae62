"""SQLite connections for many threads, and its errors in this package's words."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lte_chains.errors import LteError, StoreError

_REMEDIES = (
    ("locked", "another process holds the file: try again when it is done"),
    ("not a database", "this is not a SQLite database: give another path"),
    ("malformed", "the file is damaged: restore it from a backup or an export"),
    ("readonly", "the file or its folder cannot be written: change its permissions"),
    ("unable to open", "check that the folder exists and that it and the file can be written"),
    ("full", "the disk is full: make room and try again"),
    ("disk I/O", "the disk failed, or a limit was met: make room, or see whether it is sound"),
)


SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What `sqlite3` raises; the second where a message quotes a damaged file."""


class ConnectionPool:
    """At most `size` connections, opened when needed and used by one thread at a time."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, size: int, name: str) -> None:
        """Open nothing yet; `name` is the file's, for messages."""
        self._connect = connect
        self._name = name
        self._closed = False
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[sqlite3.Connection] = []
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; what it leaves uncommitted is rolled back.

        Raises:
            StoreError: The pool is closed, or SQLite fails.
        """
        with self._free, explained(self._name):
            if self._closed:
                raise StoreError(f"the memory at {self._name} is closed: open it again")
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.rollback()
                self._idle.append(connection)
                if self._closed:
                    _close_all(self._idle)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        _close_all(self._idle)

    def abandon(self) -> None:
        """Leave the connections open for good: after a fork they are the parent's."""
        self._finalizer.detach()
        _inherited.append(self._idle)


_inherited: list[list[sqlite3.Connection]] = []
"""Connections of a parent process, kept so that nothing closes its file."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn SQLite's errors, and the system's, into `StoreError`s that say what to do.

    Raises:
        StoreError: SQLite or the system failed.
    """
    try:
        yield
    except SQLITE_ERRORS as error:
        text = "malformed" if isinstance(error, UnicodeDecodeError) else str(error)
        remedy = next((r for sign, r in _REMEDIES if sign in text), "see the cause above")
        raise StoreError(f"cannot use the memory at {name}: {text}. Remedy: {remedy}") from error
    except LteError:
        raise
    except OSError as error:
        raise StoreError(f"cannot use {name[:200]}: {error.strerror or error}") from error


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
