"""HNSW indexes: one of each large namespace, built beside its readers and writers.

A namespace whose index is whole is marked `approximate`. Who builds one may end
before that: the server then finishes the index by itself, and the next to look
marks it. What was cut short is dropped and built anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from lte_chains.store.postgres.database import BUSY_SECONDS, PostgresDatabase
from lte_chains.store.postgres.search import Room, find_room

_log = logging.getLogger(__name__)

_LARGEST_DIMENSION = 4_000
"""That an HNSW index of half precision can hold."""

# By their table, and not by name alone: another schema on the search path may hold another
# memory, with indexes and rooms of the same names.
_LOCK_KEYS = "(hashtext('lte_hnsw ' || CAST('lte_vectors'::regclass AS oid)), :room)"
_TRY_LOCK = text(f"SELECT pg_try_advisory_lock{_LOCK_KEYS}")
_UNLOCK = text(f"SELECT pg_advisory_unlock{_LOCK_KEYS}")
_FROM_INDEXES = """FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'lte_vectors'::regclass AND starts_with(c.relname, 'lte_hnsw_')"""
_INDEXES = text(f"SELECT CAST(i.indexrelid::regclass AS text) AS name {_FROM_INDEXES}")
_INDEX = text(
    f"""SELECT CAST(i.indexrelid::regclass AS text) AS name, i.indisvalid AS valid,
    pg_get_indexdef(i.indexrelid) AS definition {_FROM_INDEXES} AND c.relname = :name"""
)
# Only if it is still there: vectors may have been replaced since it was built.
_MARK = text(
    f"""UPDATE lte_namespaces SET approximate = true WHERE room = :room
    AND EXISTS (SELECT 1 {_FROM_INDEXES} AND c.relname = :name AND i.indisvalid)"""  # noqa: S608
)
_UNMARK = text("UPDATE lte_namespaces SET approximate = false WHERE approximate")
_CANCEL_BUILDS = text(
    """SELECT pg_cancel_backend(p.pid) FROM pg_stat_progress_create_index AS p
    JOIN pg_class AS c ON c.oid = p.index_relid
    WHERE p.relid = 'lte_vectors'::regclass AND starts_with(c.relname, 'lte_hnsw_')"""
)
# No reader or writer minds this one, but whoever builds an index does.
_KEEP_BUILDERS_OUT = text("LOCK TABLE lte_vectors IN SHARE UPDATE EXCLUSIVE MODE")


def build_index(
    database: PostgresDatabase, namespace: str, *, sent: Callable[[], None] | None = None
) -> None:
    """Give a namespace its HNSW index, beside readers and writers; nothing if it has one.

    Args:
        database: Where it is.
        namespace: Which one.
        sent: Called when the server is about to be told to build: it goes on even
            if this process ends.

    Raises:
        StoreError: PostgreSQL failed. Searches stay exact.
    """
    with database.maintaining() as connection:
        connection.detach()  # it may be at work for long, and outlive the pool
        room = find_room(connection, namespace)
        if room is None or room.number is None or room.approximate:
            return
        if room.space.dimension > _LARGEST_DIMENSION:
            _log.info("%d dimensions are too many for an HNSW index", room.space.dimension)
            return
        with _alone(connection, room.number) as alone:
            if not alone:
                return  # somebody else is at it
            if not _is_whole(connection, room):
                _build(connection, room, sent)
            mark = {"room": room.number, "name": _name(room.number)}
            if connection.execute(_MARK, mark).rowcount:
                _log.info("namespace %r of %s has an HNSW index now", namespace, database.name)


def drop_indexes(connection: Connection) -> None:
    """Drop the indexes of all namespaces, inside a transaction; what is being built is given up.

    Whole or not: one that was cut short still demands vectors of its own dimension.
    """
    connection.execute(_CANCEL_BUILDS)
    connection.execute(_KEEP_BUILDERS_OUT)
    for name in connection.execute(_INDEXES).scalars().all():
        connection.exec_driver_sql(f"DROP INDEX {name}")
    connection.execute(_UNMARK)


@contextmanager
def _alone(connection: Connection, room: int) -> Iterator[bool]:
    """Tell whether nobody else builds this index; then nobody does before the block ends."""
    if not connection.execute(_TRY_LOCK, {"room": room}).scalar():
        yield False
        return
    try:
        connection.execute(text("SET lock_timeout = 0"))  # it waits for all who read
        yield True
    finally:
        connection.execute(text(f"SET lock_timeout = '{BUSY_SECONDS:.0f}s'"))
        connection.execute(_UNLOCK, {"room": room})


def _is_whole(connection: Connection, room: Room) -> bool:
    """Return whether the index is there, perhaps of a builder that ended; else drop what is."""
    row = connection.execute(_INDEX, {"name": _name(room.number)}).one_or_none()
    if row is None:
        return False
    if row.valid and f"halfvec({room.space.dimension})" in row.definition:
        return True
    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {row.name}")
    return False


def _build(connection: Connection, room: Room, sent: Callable[[], None] | None) -> None:
    statement = (
        f"CREATE INDEX CONCURRENTLY {_name(room.number)} ON lte_vectors USING hnsw "
        f"((vector::halfvec({room.space.dimension})) halfvec_ip_ops) "
        f"WHERE live AND room = {room.number}"
    )
    if sent is not None:
        sent()
    connection.execute(text(statement))


def _name(room: int | None) -> str:
    return f"lte_hnsw_{room}"
