"""The PostgreSQL tables, their format, and how older ones are brought up to date.

The tables are those of the SQLite file (see `lte_chains.store.schema`), in the
first schema of the connection's search path, with these differences:

- A namespace is a number, its `room`, and its row in `lte_namespaces` holds the
  latest revision; writers of one namespace queue at that row. Every key begins
  with the room, so that the tables can be partitioned, or distributed, by it.
- `key` counts the versions of one room, in the order in which they were written.
- Texts that are looked up are found by a tag, 16 bytes of their SHA-256: an entry
  of a PostgreSQL index holds 2,704 bytes, an id or a prompt may be longer.
- Each vector is a row, and says whether its version is live.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from typing import Any

from sqlalchemy import Connection, text

from lte_chains.errors import StoreError
from lte_chains.store.postgres.refiling import refile

_log = logging.getLogger(__name__)

_OLDEST_PGVECTOR = (0, 8)
"""The first that goes on searching where a first look brought too little."""

_REFILED = 2
"""The first format whose slots are in today's form."""
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        """CREATE TABLE lte_meta (name text PRIMARY KEY, value text NOT NULL)""",
        """CREATE TABLE lte_namespaces (
            room integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            revision bigint NOT NULL DEFAULT 0,
            at text COLLATE "C" NOT NULL DEFAULT '',
            last_key bigint NOT NULL DEFAULT 0,
            wordings bigint NOT NULL DEFAULT 0,
            approximate boolean NOT NULL DEFAULT false
        )""",
        """CREATE TABLE lte_revisions (
            room integer NOT NULL,
            revision bigint NOT NULL,
            operation text NOT NULL,
            at text COLLATE "C" NOT NULL,
            PRIMARY KEY (room, revision)
        )""",
        """CREATE TABLE lte_versions (
            room integer NOT NULL,
            key bigint NOT NULL,
            id text NOT NULL,
            tag uuid NOT NULL,
            version integer NOT NULL,
            revision bigint NOT NULL,
            prompt text NOT NULL,
            target_new text NOT NULL,
            subject text,
            relation text,
            statement text,
            valid_from text,
            valid_until text,
            source text,
            metadata text NOT NULL,
            aliases text,
            many_valued smallint,
            slot text,
            digest bytea NOT NULL,
            PRIMARY KEY (room, key),
            UNIQUE (room, tag, version)
        )""",
        """CREATE TABLE lte_vectors (
            room integer NOT NULL,
            key bigint NOT NULL,
            position smallint NOT NULL,
            live boolean NOT NULL,
            vector vector NOT NULL,
            PRIMARY KEY (room, key, position)
        )""",
        """CREATE INDEX lte_vectors_live ON lte_vectors (room) WHERE live""",
        """CREATE TABLE lte_events (
            seq bigint GENERATED ALWAYS AS IDENTITY,
            room integer NOT NULL,
            revision bigint NOT NULL,
            action text NOT NULL,
            id text NOT NULL,
            tag uuid NOT NULL,
            version integer NOT NULL,
            superseded_by text,
            PRIMARY KEY (room, seq)
        )""",
        """CREATE INDEX lte_events_by_tag ON lte_events (room, tag, seq)""",
        """CREATE INDEX lte_events_by_revision ON lte_events (room, revision, seq)""",
        """CREATE TABLE lte_live (
            room integer NOT NULL,
            tag uuid NOT NULL,
            key bigint NOT NULL,
            base uuid,
            digest bytea NOT NULL,
            PRIMARY KEY (room, tag)
        )""",
        """CREATE INDEX lte_live_by_base ON lte_live (room, base)""",
        """CREATE INDEX lte_live_by_digest ON lte_live (room, digest)""",
        """CREATE TABLE lte_other_slots (room integer NOT NULL, base uuid NOT NULL,
            tag uuid NOT NULL)""",
        """CREATE INDEX lte_other_slots_by_base ON lte_other_slots (room, base)""",
        """CREATE INDEX lte_other_slots_by_tag ON lte_other_slots (room, tag)""",
        """CREATE TABLE lte_pending (
            room integer NOT NULL,
            tag uuid NOT NULL,
            key bigint NOT NULL,
            digest bytea NOT NULL,
            PRIMARY KEY (room, tag)
        )""",
        """CREATE INDEX lte_pending_by_digest ON lte_pending (room, digest)""",
    ),
    2: (),  # the tables are the same, and the slots are brought into today's form
}
"""What makes each format out of the one before it; the first out of nothing."""


def tag_of(value: str) -> uuid.UUID:
    """Return the tag under which a text is looked up.

    Example:
        >>> tag_of("e1")
        UUID('8b5cc4df-7eec-7d32-a781-4eca4af047ae')
    """
    return uuid.UUID(bytes=hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()[:16])


def prepare(connection: Connection, name: str) -> bool:
    """Make sure that the tables are there and of today's format, in one transaction.

    Returns:
        Whether anything had to be made.

    Raises:
        StoreError: pgvector is missing or too old, or the tables are another
            program's, or of a later format.
    """
    latest = max(MIGRATIONS)
    if _format(connection, name) == latest:
        return False
    # Openers queue; the lock ends with the transaction.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('lte_chains'))"))
    found = _format(connection, name)
    _require_pgvector(connection, name)
    for version in range(found + 1, latest + 1):
        for statement in MIGRATIONS[version]:
            connection.execute(text(statement))
    if 0 < found < _REFILED:
        refile(connection, tag_of)
    connection.execute(
        text(
            "INSERT INTO lte_meta (name, value) VALUES ('format', :format) "
            "ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value"
        ),
        {"format": str(latest)},
    )
    if 0 < found < latest:
        _log.info("%s was of format %d and is now of %d", name, found, latest)
    return True


def _format(connection: Connection, name: str) -> int:
    """Return the format of the tables; 0 where there are none."""
    # Not to_regclass(): it may still not see what has been made while this transaction
    # waited for its turn, as it remembers that there was nothing.
    columns = _scalar(
        connection,
        "SELECT string_agg(a.attname::text, ',' ORDER BY a.attnum) "
        "FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
        "WHERE c.relname = 'lte_meta' AND pg_table_is_visible(c.oid) "
        "AND a.attnum > 0 AND NOT a.attisdropped",
    )
    if columns is None:
        return 0
    found = None
    if columns == "name,value":
        found = _scalar(connection, "SELECT value FROM lte_meta WHERE name = 'format'")
    if found is None:
        raise StoreError(
            f"{name} has a table lte_meta of another program: it was left as it is; give the "
            "memory a schema of its own, with ?options=-csearch_path%3DNAME,public in the URL"
        )
    if int(found) > max(MIGRATIONS):
        raise StoreError(
            f"{name} was written by a later version of lte-chains (format {found}, this one "
            f"reads up to {max(MIGRATIONS)}): pip install --upgrade lte-chains"
        )
    return int(found)


def _require_pgvector(connection: Connection, name: str) -> None:
    """Make the extension if this user may, and check that it can do what is needed."""
    version = _scalar(connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if version is None:
        connection.execute(text("CREATE EXTENSION vector"))
    elif tuple(map(int, version.split(".")[:2])) < _OLDEST_PGVECTOR:
        raise StoreError(
            f"{name} has pgvector {version}: lte-chains needs 0.8 or later. Upgrade the server's "
            "package, then run ALTER EXTENSION vector UPDATE in the database"
        )
    if _scalar(connection, "SELECT to_regtype('vector')") is None:
        raise StoreError(
            f"pgvector is in {name}, but in a schema that is not on the search path: add that "
            "schema to it, with ?options=-csearch_path%3D… in the URL"
        )


def _scalar(connection: Connection, statement: str) -> Any:
    return connection.execute(text(statement)).scalar()
