"""Changing to another embedder: the vectors of all versions, in all namespaces, at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, text

from lte_chains.edit import Edit
from lte_chains.store.base import Vectors, VectorSpace
from lte_chains.store.postgres.database import PostgresDatabase, driver
from lte_chains.store.postgres.hnsw import drop_indexes
from lte_chains.store.postgres.rows import TABLES, copy_rows
from lte_chains.store.postgres.vectors import write_space
from lte_chains.store.rows import decode, moment

# Writers lock a row of this table, and for that the table in a lesser mode; readers do not.
_LOCK = text("LOCK TABLE lte_namespaces IN EXCLUSIVE MODE")
_NEWER = text(
    """SELECT v.*, n.name AS namespace FROM lte_versions AS v JOIN lte_namespaces AS n USING (room)
    WHERE v.key > coalesce((CAST(:seen AS jsonb) ->> CAST(v.room AS text))::bigint, 0)
    ORDER BY v.room, v.key"""
)
_STORED = text(
    """SELECT v.room, v.key, l.key IS NOT NULL AS live FROM lte_versions AS v
    LEFT JOIN lte_live AS l USING (room, key)"""
)
_REVISIONS = text(
    """WITH entries AS (INSERT INTO lte_revisions (room, revision, operation, at)
        SELECT room, revision + 1, 'reembed', greatest(:now, at)
        FROM lte_namespaces WHERE revision > 0)
    UPDATE lte_namespaces AS n SET revision = revision + 1, at = greatest(:now, at),
        wordings = (SELECT count(*) FROM lte_vectors AS x WHERE x.room = n.room AND x.live)
    WHERE revision > 0"""
)


def reembed(
    database: PostgresDatabase,
    embed: Callable[[Sequence[Edit]], Sequence[Vectors]],
    *,
    fingerprint: str,
) -> None:
    """Replace the vectors of all versions; see `EditStore.reembed`.

    Embedding happens outside the transaction; what others add in the meantime
    is embedded in further rounds, until there is nothing new.
    """
    fresh: dict[tuple[int, int], Vectors] = {}
    seen: dict[int, int] = {}
    while True:
        with database.writing() as connection:
            connection.execute(_LOCK)
            rows = connection.execute(_NEWER, {"seen": json.dumps(seen)}).mappings().all()
            if not rows:
                _replace(connection, fresh, fingerprint)
                return
        vectors = embed([decode(dict(row)) for row in rows])
        for row, own in zip(rows, vectors, strict=True):
            fresh[row["room"], row["key"]] = np.atleast_2d(own)
            seen[row["room"]] = row["key"]


def _replace(
    connection: Connection, fresh: dict[tuple[int, int], Vectors], fingerprint: str
) -> None:
    dimension = next((vectors.shape[-1] for vectors in fresh.values()), None)
    write_space(connection, None if dimension is None else VectorSpace(fingerprint, dimension))
    # Also where no vectors are left: the next ones may be of another dimension.
    drop_indexes(connection)
    if dimension is None:
        return
    connection.execute(text("DELETE FROM lte_vectors"))
    stored = connection.execute(_STORED).all()
    copy_rows(
        driver(connection),
        TABLES["lte_vectors"],
        (
            (row.room, row.key, position, row.live, vector)
            for row in stored
            for position, vector in enumerate(fresh[row.room, row.key])
        ),
    )
    connection.execute(_REVISIONS, {"now": moment(datetime.now(UTC))})
