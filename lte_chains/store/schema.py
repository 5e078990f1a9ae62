"""The SQLite file: its tables, its marks, and how it is opened.

`versions` holds every text ever stored, `vectors` the embeddings of its wordings
(one after the other in one value), `events` what each revision did to which
version; all three only grow (a purge is the one exception). `live` is the ledger's
state at its latest revision, kept in the same transactions so that slots are found
by an index lookup, and `other_slots` are the same slots by the subject's aliases;
`pending` likewise names the proposed versions that nobody has decided on.

A file of an earlier format is brought up to date when it is opened, one format
after the other, in one transaction.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from lte_chains.errors import StoreError
from lte_chains.store.base import Durability
from lte_chains.store.connections import explained

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x4C544531
"""Marks a file as ours ("LTE1"), in SQLite's header."""
SCHEMA_VERSION = 3
"""Format of the tables below; a file of an earlier one is migrated, of a later one refused."""
BUSY_SECONDS = 30.0
"""How long a call waits for another process's transaction."""

TABLES = (
    """CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE revisions (
        namespace TEXT NOT NULL,
        revision INTEGER NOT NULL,
        operation TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (namespace, revision)
    ) WITHOUT ROWID""",
    # AUTOINCREMENT: the key of a purged version must never name another one.
    """CREATE TABLE versions (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        prompt TEXT NOT NULL,
        target_new TEXT NOT NULL,
        subject TEXT,
        relation TEXT,
        statement TEXT,
        valid_from TEXT,
        valid_until TEXT,
        source TEXT,
        metadata TEXT NOT NULL,
        slot TEXT,
        digest BLOB NOT NULL,
        UNIQUE (namespace, id, version)
    )""",
    """CREATE TABLE vectors (key INTEGER PRIMARY KEY, vector BLOB NOT NULL)""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        revision INTEGER NOT NULL,
        action TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        superseded_by TEXT
    )""",
    """CREATE INDEX events_by_id ON events (namespace, id, seq)""",
    """CREATE INDEX events_by_revision ON events (namespace, revision)""",
    """CREATE TABLE live (
        namespace TEXT NOT NULL,
        id TEXT NOT NULL,
        key INTEGER NOT NULL,
        version INTEGER NOT NULL,
        slot TEXT,
        digest BLOB NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        PRIMARY KEY (namespace, id)
    ) WITHOUT ROWID""",
    """CREATE INDEX live_by_slot ON live (namespace, slot, key)""",
    """CREATE INDEX live_by_digest ON live (namespace, digest, key)""",
)
"""Format 1."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    2: (
        """CREATE TABLE pending (
            namespace TEXT NOT NULL,
            id TEXT NOT NULL,
            key INTEGER NOT NULL,
            version INTEGER NOT NULL,
            digest BLOB NOT NULL,
            PRIMARY KEY (namespace, id)
        ) WITHOUT ROWID""",
        """CREATE INDEX pending_by_digest ON pending (namespace, digest, key)""",
    ),
    3: (
        """ALTER TABLE versions ADD COLUMN aliases TEXT""",
        """ALTER TABLE versions ADD COLUMN many_valued INTEGER""",
        """CREATE TABLE other_slots (
            namespace TEXT NOT NULL,
            slot TEXT NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (namespace, slot, id)
        ) WITHOUT ROWID""",
        """CREATE INDEX other_slots_by_id ON other_slots (namespace, id)""",
    ),
}
"""What makes each format out of the one before it."""

_CACHE_KIB = 65_536
"""Most memory of one connection for pages; a large batch touches all ends of the indexes."""


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
        connection.execute("PRAGMA temp_store = MEMORY")  # no text in files of their own
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
        if format_of(connection, name) == SCHEMA_VERSION:
            return
        _use_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        found = format_of(connection, name)  # once more: another process may have been first
        statements = list(TABLES) if found == 0 else []
        for version in range(max(found, 1) + 1, SCHEMA_VERSION + 1):
            statements += MIGRATIONS[version]
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        if 0 < found < SCHEMA_VERSION:
            _log.info("%s was of format %d and is now of %d", name, found, SCHEMA_VERSION)


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


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite's own busy timeout does not cover the switch."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
