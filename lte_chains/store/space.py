"""Vectors as a SQLite ledger keeps them, and the space that it records them to be of."""

from __future__ import annotations

import json
import sqlite3
from functools import lru_cache

from lte_chains.errors import StoreError
from lte_chains.store.base import Vectors, VectorSpace, check_space
from lte_chains.store.entries import INSERT_VECTORS, Entries

WITHOUT_VECTORS = """SELECT v.key FROM versions AS v LEFT JOIN vectors AS x USING (key)
    WHERE x.key IS NULL AND v.digest IS NOT NULL"""
"""The keys of versions that are stored without their vectors: in a damaged file."""
_DROP_ORPHANS = """DELETE FROM vectors WHERE NOT EXISTS (
    SELECT 1 FROM versions AS v WHERE v.key = vectors.key AND v.digest IS NOT NULL)"""


def read_space(connection: sqlite3.Connection) -> VectorSpace | None:
    """Return the recorded space; None before the first edit."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'space'").fetchone()
    return None if row is None else parse_space(row[0])


@lru_cache(maxsize=16)
def parse_space(recorded: str | None) -> VectorSpace | None:
    """Return a space as it is recorded; None for none.

    Raises:
        StoreError: The record is damaged.

    Example:
        >>> parse_space('{"fingerprint": "demo", "dimension": 2}')
        VectorSpace(fingerprint='demo', dimension=2)
    """
    if recorded is None:
        return None
    try:
        fields = json.loads(recorded)
        return VectorSpace(str(fields["fingerprint"]), int(fields["dimension"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the memory's record of its embedder is damaged ({recorded!r}): restore the file "
            "from a backup"
        ) from error


def claim_space(
    connection: sqlite3.Connection, recorded: VectorSpace | None, space: VectorSpace
) -> None:
    """Record the space of a new store's first vectors; later ones must be of the recorded one.

    Raises:
        EmbeddingError: They are of another.
    """
    if recorded is not None:
        check_space(recorded, space)
        return
    _write_space(connection, space)


def replace_vectors(
    connection: sqlite3.Connection, fresh: dict[int, bytes], space: VectorSpace | None
) -> None:
    """Exchange the vectors of all versions, in a space of their own; None if there are none.

    Where a version had none, it has them now; those of no version are gone.
    """
    connection.execute(_DROP_ORPHANS)
    if space is None:
        connection.execute("DELETE FROM meta WHERE name = 'space'")
        return
    changes = [(vectors, key) for key, vectors in fresh.items()]
    connection.executemany("UPDATE vectors SET vector = ? WHERE key = ?", changes)
    # Not the rest of `fresh`: what was purged in the meantime must not come back.
    missing = [key for (key,) in connection.execute(WITHOUT_VECTORS).fetchall()]
    connection.executemany(INSERT_VECTORS, [(key, fresh[key]) for key in missing if key in fresh])
    _write_space(connection, space)
    for row in connection.execute("SELECT namespace FROM rooms").fetchall():
        entries = Entries(connection, row["namespace"], "reembed")
        entries.begin()
        entries.finish()


def blob(vectors: Vectors) -> bytes:
    """Return one vector, or several one after the other, as float32 bytes."""
    import numpy as np

    return np.ascontiguousarray(vectors, np.float32).tobytes()


def unpacked(stored: bytes, dimension: int) -> Vectors:
    """Return the vectors of a stored value, shape (wordings, dimension).

    Raises:
        ValueError: Its length is no multiple of the dimension's.

    Example:
        >>> import numpy as np
        >>> unpacked(blob(np.float32([[1, 0], [0, 1]])), 2).shape
        (2, 2)
    """
    import numpy as np

    return np.frombuffer(stored, np.float32).reshape(-1, dimension)


def _write_space(connection: sqlite3.Connection, space: VectorSpace) -> None:
    text = json.dumps({"fingerprint": space.fingerprint, "dimension": space.dimension})
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('space', ?)", (text,))
