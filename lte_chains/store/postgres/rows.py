"""Writing rows to a table: a few in one message with others, or many by COPY."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier, Placeholder

from lte_chains.store.postgres.database import Raw
from lte_chains.store.rows import CONTENT


@dataclass(frozen=True)
class Table:
    """A table, with the types of the columns that are written."""

    name: str
    columns: dict[str, str]


_TEXTS = {name: "int2" if name == "many_valued" else "text" for name in CONTENT}

TABLES = {
    table.name: table
    for table in (
        Table(
            "lte_versions",
            {
                "room": "int4",
                "key": "int8",
                "id": "text",
                "tag": "uuid",
                "version": "int4",
                "revision": "int8",
                **_TEXTS,
                "slot": "text",
                "digest": "bytea",
            },
        ),
        Table(
            "lte_vectors",
            {"room": "int4", "key": "int8", "position": "int2", "live": "bool", "vector": "vector"},
        ),
        Table(
            "lte_live",
            {"room": "int4", "tag": "uuid", "key": "int8", "base": "uuid", "digest": "bytea"},
        ),
        Table("lte_other_slots", {"room": "int4", "base": "uuid", "tag": "uuid"}),
        Table("lte_pending", {"room": "int4", "tag": "uuid", "key": "int8", "digest": "bytea"}),
        Table(
            "lte_events",
            {
                "room": "int4",
                "revision": "int8",
                "action": "text",
                "id": "text",
                "tag": "uuid",
                "version": "int4",
                "superseded_by": "text",
            },
        ),
    )
}
"""What a writing call writes to, in that order."""


def insert_rows(raw: Raw, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write a few rows, in their order; inside a pipeline without waiting for an answer."""
    statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(
        Identifier(table.name),
        SQL(", ").join(map(Identifier, table.columns)),
        SQL(", ").join([Placeholder()] * len(table.columns)),
    )
    raw.cursor().executemany(statement, list(rows))


def copy_rows(raw: Raw, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write many rows, in their order."""
    statement = SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        Identifier(table.name), SQL(", ").join(map(Identifier, table.columns))
    )
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(table.columns.values()))
        for row in rows:
            copy.write_row(row)
