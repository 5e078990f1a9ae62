"""The SQLite file: its tables, its marks, and how it is opened.

`versions` holds every text ever stored, and `vectors` the embeddings of its wordings
(one after the other in one value). Whatever happens in the ledger has a number: that
of a version that was added or proposed is its key, what happened to it later has one
in `events`. No number is given twice, since a purged version leaves an empty row. A
revision is all numbers from its `first` to its `last`. These tables only grow, but
for two things: what a purge empties, and the `state` of a version, which follows from
the events and is kept in the same transactions, so that SQLite's partial indexes find
what is live. `other_slots` are slots by the subject's aliases.

A file of an earlier format (`lte_chains.store.formats`) is brought up to date when it
is opened, one format after the other, in one transaction.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lte_chains.errors import StoreError
from lte_chains.store.base import Durability
from lte_chains.store.connections import explained, patience
from lte_chains.store.formats import MIGRATIONS, TABLES
from lte_chains.store.refiling import refile

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x4C544531
"""Marks a file as ours ("LTE1"), in SQLite's header."""
SCHEMA_VERSION = 5
"""Format of the tables; a file of an earlier one is migrated, of a later one refused."""
_REFILED = 5
"""The first format whose slots are in today's form; its tables are those of the one before."""
BUSY_SECONDS = 30.0
"""How long a call waits for another process's transaction."""

NEW_EPOCH = "INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', lower(hex(randomblob(16))))"
"""Gives a file's content a name that no other has: when it is made, and when it is exchanged."""

ROOM = "(SELECT room FROM rooms WHERE namespace = :namespace)"
"""A namespace's number, in statements."""

_LOGGED = ("wal", "memory")
"""The modes of a file, and of a database without one, in which readers never hold up writers."""
_PAGE_BYTES = 8_192
"""Of a new file. Five vectors of 384 dimensions fill a page; of SQLite's usual 4,096 bytes, a
quarter would stay empty, and a large batch would take a tenth longer."""
_CACHE_KIB = 65_536
"""Most memory of one connection for pages; a large batch touches all ends of the indexes."""


def epoch(connection: sqlite3.Connection) -> str | None:
    """Return the name of a file's content; None where it was never given one."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return None if row is None else str(row[0])


def connector(
    path: Path | None, *, durability: Durability = "full"
) -> Callable[[], sqlite3.Connection]:
    """Return a function that connects to a file, or to a new in-memory database."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # transactions begin and end where the code says so
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA synchronous = {durability}")
        # Where the system's sync leaves data in the disk's own memory (macOS): no effect elsewhere.
        connection.execute(f"PRAGMA fullfsync = {durability == 'full':d}")
        connection.execute("PRAGMA secure_delete = ON")
        # No text in files of their own; but see how `Database` writes a large file anew.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    return connect


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make sure that the database is ours and of today's format.

    Nothing is written to a file that turns out not to be ours.

    Raises:
        StoreError: Another program's database, a later format, a damaged file,
            or a place that cannot be written.
    """
    with explained(name):
        found = format_of(connection, name)
        if found == SCHEMA_VERSION:
            _go_on_with_wal(connection, name)
            _name_content(connection)
            return
        if found == 0:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        _use_wal(connection, name)
        connection.execute("BEGIN IMMEDIATE")
        found = format_of(connection, name)  # once more: another process may have been first
        for statement in _statements_from(found):
            connection.execute(statement)
        if 0 < found < _REFILED:
            refile(connection)
        connection.execute(NEW_EPOCH)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        if 0 < found < SCHEMA_VERSION:
            _log.info("%s was of format %d and is now of %d", name, found, SCHEMA_VERSION)


def _statements_from(found: int) -> list[str]:
    """Return what makes today's tables out of those of a format; 0 for none."""
    if found == 0:
        return list(TABLES)
    newer = range(found + 1, SCHEMA_VERSION + 1)
    return [statement for version in newer for statement in MIGRATIONS[version]]


def format_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the format of the tables; 0 for an empty database.

    Raises:
        StoreError: Another program's database, or a later format.
    """
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not tables and not mark:
        return 0
    if mark != APPLICATION_ID:
        raise StoreError(
            f"{name} is a SQLite database of another program: it was left as it is; "
            "give a path of its own for the memory"
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{name} was written by a later version of lte-chains (format {version}, this one "
            f"reads up to {SCHEMA_VERSION}): pip install --upgrade lte-chains"
        )
    return version


def _name_content(connection: sqlite3.Connection) -> None:
    """Give the content of a file a name, which was made before all had one."""
    # Who may not write, or not now, goes on without: there are no saved indexes then. And what
    # is damaged is told of by those who need it.
    with suppress(sqlite3.DatabaseError):
        if epoch(connection) is None:
            with patience(connection, 0):  # another process may have been first
                connection.execute(NEW_EPOCH.replace("REPLACE", "IGNORE"))


def _go_on_with_wal(connection: sqlite3.Connection, name: str) -> None:
    """Switch a file back to write-ahead logging that was put there without: a backup is."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] in _LOGGED:
        return
    try:
        _use_wal(connection, name)
    except sqlite3.OperationalError as error:
        # It can be read as it is, by who may not write it or beside a long reader; the next
        # opening tries again.
        _log.info("%s stays without a write-ahead log: %s", name, error)


def _use_wal(connection: sqlite3.Connection, name: str) -> None:
    """Switch to write-ahead logging; SQLite's own busy timeout does not cover the switch."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            [(mode,)] = connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            break
    if mode not in _LOGGED:
        _log.warning(
            "%s cannot have a write-ahead log where it is, as on a network file system; SQLite "
            "goes on with journal_mode %r: readers and writers wait for one another. Keep the "
            "memory on a local disk, or on PostgreSQL if several machines use it",
            *(name, mode),
        )
