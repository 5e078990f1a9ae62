"""Erasing purged edits from PostgreSQL's own files."""

from __future__ import annotations

import logging
import time

from sqlalchemy import Connection, text

from lte_chains.errors import StoreError
from lte_chains.store.postgres.database import BUSY_SECONDS, PostgresDatabase

_log = logging.getLogger(__name__)

_REWRITE_BYTES = 256 * 2**20
"""Tables up to this size are rewritten, which takes seconds, and all other calls wait for it."""
_SIZE = text(
    "SELECT pg_total_relation_size('lte_versions') + pg_total_relation_size('lte_vectors')"
)
_DEMAND = text(
    """INSERT INTO lte_meta (name, value) VALUES ('scrub', pg_current_xact_id()::text)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value"""
)
_MARK = text("SELECT value FROM lte_meta WHERE name = 'scrub'")
# Only this erasure's mark: a purge in between has set another one.
_DONE = text("DELETE FROM lte_meta WHERE name = 'scrub' AND value = :mark")
# Other users' snapshots are hidden from this one, if it is no superuser.
_OLD_READERS = text(
    """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND age(backend_xmin) >= age(CAST(CAST(:mark AS xid8) AS xid))"""
)


def demand_erasure(connection: Connection) -> None:
    """Note, in a purge's own transaction, that traces must be erased after it."""
    connection.execute(_DEMAND)


def erase_traces(database: PostgresDatabase) -> None:
    """Free the places of purged rows, and rewrite the tables if they are not too large.

    A deleted row's bytes stay in a table's file until its place is used again.
    Tables that are not too large are rewritten without them. Larger ones are only
    vacuumed, as all clients would stand still for long; ``VACUUM FULL`` rewrites
    them in a quiet hour.

    Raises:
        StoreError: Another client keeps reading an old state.
    """
    with database.maintaining() as connection:
        mark = connection.execute(_MARK).scalar()
        if mark is None:
            return
        _await_readers(connection, database.name, mark)
        small = connection.execute(_SIZE).scalar_one() <= _REWRITE_BYTES
        connection.execute(text(f"VACUUM {'(FULL)' if small else ''} lte_versions, lte_vectors"))
        connection.execute(_DONE, {"mark": mark})
        if small:
            _log.info("erased the traces of purged edits from %s", database.name)
        else:
            _log.warning(
                "the places of purged edits in %s are free but not overwritten: run VACUUM FULL "
                "lte_versions, lte_vectors in a quiet hour",
                database.name,
            )


def _await_readers(connection: Connection, name: str, mark: str) -> None:
    """Wait until nobody reads a state from before a purge.

    Raises:
        StoreError: Somebody does, for longer than a call waits.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute(_OLD_READERS, {"mark": mark}).scalar_one():
        if time.monotonic() > deadline:
            raise StoreError(
                f"edits were purged, but another client still reads {name} as it was, so traces "
                "stay in its tables: end that transaction and purge the same ids again"
            )
        time.sleep(0.01)
