"""Facts as triples, out of the files in which the field keeps them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import DataError


@dataclass(frozen=True)
class Triple:
    """One fact.

    Example:
        >>> Triple("Freedonia", "P36", "Fredville").relation
        'P36'
    """

    subject: str
    relation: str
    """A Wikidata property id, or a name of the relation."""
    object: str
    label: str | None = None
    """The relation's name, if the file gives one."""


def read_triples(path: str | Path, *, limit: int | None = None) -> list[Triple]:
    """Read triples, each once, in the order of the file.

    Understood are tab- or comma-separated files with the columns relation,
    subject and object, and JSON lists of rows that hold objects with the same
    fields, at any depth, as texts or with a ``label`` and an ``id``.

    Args:
        path: The file; ``.json`` is read as JSON.
        limit: Read at most that many, from the front.

    Raises:
        DataError: The file cannot be read, or holds no triples.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = _from_json(json.load(file)) if path.suffix == ".json" else _from_table(file)
            triples = list(dict.fromkeys(found))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as triples: {error}") from error
    if not triples:
        raise DataError(f"{path} holds no triples: it needs relation, subject and object")
    return triples[:limit]


def _from_table(file: Any) -> Iterator[Triple]:
    header = file.readline()
    file.seek(0)
    # Quotes are text in tab-separated files.
    options: dict[str, Any] = {"delimiter": ","}
    if "\t" in header:
        options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    for row in csv.DictReader(file, **options):
        values = [row.get(name) for name in ("subject", "relation", "object")]
        if all(isinstance(value, str) and value.strip() for value in values):
            yield Triple(*(str(value).strip() for value in values))


def _from_json(value: Any) -> Iterator[Triple]:
    if isinstance(value, list):
        for item in value:
            yield from _from_json(item)
    elif isinstance(value, dict):
        if {"subject", "relation", "object"} <= value.keys():
            relation = value["relation"]
            subject, object_ = _label(value["subject"]), _label(value["object"])
            if subject and object_ and _label(relation):
                name = relation.get("id") if isinstance(relation, dict) else None
                yield Triple(subject, name or _label(relation), object_, _label(relation))
        else:
            for item in value.values():
                yield from _from_json(item)


def _label(value: Any) -> str:
    text = value.get("label") if isinstance(value, dict) else value
    return text.strip() if isinstance(text, str) else ""
