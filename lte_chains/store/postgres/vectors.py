"""Vectors as PostgreSQL keeps them, and the space that it records them to be of."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, text

from lte_chains.store.base import Vectors, VectorSpace, check_space
from lte_chains.store.postgres.database import driver

_SPACE = text("SELECT value FROM lte_meta WHERE name = 'space'")
_RECORD = "INSERT INTO lte_meta (name, value) VALUES ('space', :value) ON CONFLICT "
_VECTORS = """SELECT key, vector FROM lte_vectors
    WHERE room = %(room)s AND key = ANY(%(keys)s) ORDER BY key, position"""


def space_of(value: str | None) -> VectorSpace | None:
    """Return the space of a recorded value."""
    return None if value is None else VectorSpace(**json.loads(value))


def read_space(connection: Connection) -> VectorSpace | None:
    """Return the recorded space; None before the first edit."""
    return space_of(connection.execute(_SPACE).scalar())


def claim_space(connection: Connection, space: VectorSpace) -> None:
    """Record the space of a new store's first vectors; later ones must be of it.

    Raises:
        EmbeddingError: They are of another.
    """
    recorded = read_space(connection)
    if recorded is None:
        # Where another client records one at this moment, this waits for its commit.
        connection.execute(text(f"{_RECORD}DO NOTHING"), {"value": _spelled(space)})
        recorded = read_space(connection) or space
    check_space(recorded, space)


def write_space(connection: Connection, space: VectorSpace | None) -> None:
    """Record another space in place of the one before; None for none."""
    if space is None:
        connection.execute(text("DELETE FROM lte_meta WHERE name = 'space'"))
        return
    replacing = text(f"{_RECORD}(name) DO UPDATE SET value = EXCLUDED.value")
    connection.execute(replacing, {"value": _spelled(space)})


def _spelled(space: VectorSpace) -> str:
    return json.dumps({"fingerprint": space.fingerprint, "dimension": space.dimension})


def read_vectors(connection: Connection, room: int, keys: Sequence[int]) -> dict[int, Vectors]:
    """Return the vectors of versions by their keys, each of shape (wordings, dimension)."""
    with driver(connection).cursor(binary=True) as cursor:
        cursor.execute(_VECTORS, {"room": room, "keys": list(keys)})
        own: dict[int, list[Vectors]] = {}
        for key, vector in cursor:
            own.setdefault(key, []).append(vector.to_numpy())
    return {key: np.stack(vectors) for key, vectors in own.items()}
