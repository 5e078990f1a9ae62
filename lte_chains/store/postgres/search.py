"""Finding the nearest edits in PostgreSQL: exactly, or by the HNSW index of a large namespace.

An exact search reads the vectors of one namespace, through the index on its
number, and no others. From `APPROXIMATE_FROM` vectors on a namespace gets an HNSW
index of its own: its searches never meet another namespace's edits, so that a
filter by namespace costs neither time nor results. Both give more and more of the
order as validity and filters refuse what comes first; where the approximate one
would have to go far, the exact one takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import Vector
from psycopg.rows import dict_row
from sqlalchemy import Connection, text

from lte_chains.edit import Edit
from lte_chains.index.scores import exact
from lte_chains.store.base import Vectors, VectorSpace
from lte_chains.store.postgres.database import driver
from lte_chains.store.postgres.vectors import space_of
from lte_chains.store.rows import decode

APPROXIMATE_FROM = 50_000
"""Vectors of one namespace from which on it gets an HNSW index."""
_WIDEST = 400
"""Vectors that are asked of an HNSW index at most."""
_EF_SEARCH = 200
"""Candidates that a search of an HNSW index keeps, at least."""
_MARGIN = 8
"""Vectors fetched beyond those wanted, so that ties at the border are usually seen whole."""
_WORDINGS = 2
"""Under how many wordings most edits are held."""
_TIE = 1e-5
"""Scores closer than this may come in either order from single precision."""

_ROOM = text(
    """SELECT n.room, n.wordings, n.approximate, m.value AS space FROM lte_meta AS m
    LEFT JOIN lte_namespaces AS n ON n.name = :name WHERE m.name = 'space'"""
)
_NEAREST = """SELECT v.*, x.vector, best.distance FROM (
        SELECT key, position, vector <#> %(query)s AS distance FROM lte_vectors
        WHERE live AND room = {room} ORDER BY {order} LIMIT %(width)s
    ) AS best
    JOIN lte_vectors AS x ON x.room = {room} AND (x.key, x.position) = (best.key, best.position)
    JOIN lte_versions AS v ON v.room = {room} AND v.key = best.key
    ORDER BY best.distance, v.key"""
# The HNSW index knows this expression, and the exact search's "distance" it does not know.
_HALF = "(vector::halfvec({dimension})) <#> (%(query)s::vector::halfvec({dimension}))"


@dataclass(frozen=True)
class Room:
    """A namespace, as a search finds it."""

    namespace: str
    number: int | None
    """None if it never held an edit."""
    space: VectorSpace
    approximate: bool
    """Whether it has an HNSW index."""
    wordings: int
    """How many live vectors it has."""


def find_room(connection: Connection, namespace: str) -> Room | None:
    """Return a namespace as it is now; None while the store holds no vectors at all."""
    row = connection.execute(_ROOM, {"name": namespace}).one_or_none()
    space = None if row is None else space_of(row.space)
    if row is None or space is None:
        return None
    return Room(namespace, row.room, space, bool(row.approximate), row.wordings or 0)


def nearest(
    connection: Connection,
    room: Room,
    vector: Vectors,
    k: int,
    accept: Callable[[Edit], bool],
) -> list[tuple[Edit, float]]:
    """Return the `k` live, accepted edits of highest cosine, best first."""
    if room.number is None:
        return []
    if room.approximate:
        width = (k + _MARGIN) * _WORDINGS
        while width <= _WIDEST:
            rows = _fetch(connection, room, vector, width, approximate=True)
            hits = [hit for hit in _ranked(room, _sure(rows, width), vector) if accept(hit[0])]
            if len(hits) >= k:
                return hits[:k]
            if len(rows) < width:
                break
            width *= 4
    for hits in _exactly(connection, room, vector, k, accept):
        if len(hits) >= k:
            return hits[:k]
    return hits


def _exactly(
    connection: Connection, room: Room, vector: Vectors, k: int, accept: Callable[[Edit], bool]
) -> Iterator[list[tuple[Edit, float]]]:
    """Yield what is found among more and more of the nearest vectors, until all are seen."""
    width = (k + _MARGIN) * _WORDINGS
    while True:
        rows = _fetch(connection, room, vector, width, approximate=False)
        yield [hit for hit in _ranked(room, _sure(rows, width), vector) if accept(hit[0])]
        if len(rows) < width:
            return
        width *= 4


def _fetch(
    connection: Connection, room: Room, vector: Vectors, width: int, *, approximate: bool
) -> list[dict[str, Any]]:
    """Return the nearest vectors with their versions, nearest first."""
    order = _HALF.format(dimension=room.space.dimension) if approximate else "distance"
    # Numbers, and no parameters: an index on part of the rows is used only if the
    # statement itself says that it needs no others.
    statement = _NEAREST.format(room=int(room.number or 0), order=order)
    with driver(connection).cursor(binary=True, row_factory=dict_row) as cursor:
        if approximate:
            cursor.execute(
                "SELECT set_config('hnsw.ef_search', %s, true), "
                "set_config('hnsw.iterative_scan', 'strict_order', true)",
                (str(max(_EF_SEARCH, 2 * width)),),
            )
        cursor.execute(statement, {"query": Vector(vector), "width": width})
        return cursor.fetchall()


def _sure(rows: list[dict[str, Any]], width: int) -> list[dict[str, Any]]:
    """Leave out rows that may tie with what lies beyond the width."""
    if len(rows) < width:
        return rows
    return [row for row in rows if row["distance"] < rows[-1]["distance"] - _TIE]


def _ranked(room: Room, rows: list[dict[str, Any]], vector: Vectors) -> list[tuple[Edit, float]]:
    """Return the edits of rows, each once and by its best wording, in their final order."""
    if not rows:
        return []
    vectors = np.stack([row["vector"].to_numpy() for row in rows])
    scores = exact(vectors, vector)
    best: dict[int, float] = {}
    for row, score in zip(rows, scores.tolist(), strict=True):
        best[row["key"]] = max(score, best.get(row["key"], -1.0))
    own = {row["key"]: {**row, "namespace": room.namespace} for row in rows}
    ordered = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(decode(own[key]), score) for key, score in ordered]
