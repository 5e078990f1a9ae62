"""What the commands print: JSON objects for scripts, tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lte_chains.edit import Edit, EditMatch

JsonObject = dict[str, Any]
"""A JSON object: keys are strings, values are JSON values."""

_EDIT_FIELDS = ("id", "prompt", "target_new", "statement", "subject", "relation", "source")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table on stdout; cells are text, never markup."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def edit_json(edit: Edit) -> JsonObject:
    """Describe an edit as a JSON object, without its unset fields.

    Example:
        >>> from lte_chains.edit import Edit
        >>> edit_json(Edit(prompt="The CEO of Acme is", target_new="Jane Doe"))
        {'prompt': 'The CEO of Acme is', 'target_new': 'Jane Doe'}
    """
    fields: JsonObject = {name: getattr(edit, name) for name in _EDIT_FIELDS}
    fields["valid_from"] = moment_text(edit.valid_from)
    fields["valid_until"] = moment_text(edit.valid_until)
    fields["metadata"] = dict(edit.metadata)
    fields["version"] = edit.version
    fields["revision"] = edit.revision
    return {name: value for name, value in fields.items() if value not in (None, "", {})}


def match_json(match: EditMatch) -> JsonObject:
    """Describe a match as a JSON object."""
    return {
        "id": match.edit.id,
        "edit": match.edit.descriptor,
        "score": round(match.score, 6),
        "in_scope": match.in_scope,
        "hop": match.hop,
    }


def moment_text(moment: datetime | None) -> str | None:
    """Write a moment as ISO 8601 in UTC.

    Example:
        >>> from datetime import UTC
        >>> moment_text(datetime(2026, 1, 31, tzinfo=UTC))
        '2026-01-31T00:00:00Z'
    """
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
