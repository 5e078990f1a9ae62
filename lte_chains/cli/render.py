"""What the commands print: JSON objects for scripts, tables for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lte_chains.edit import Edit, EditMatch
    from lte_chains.memory import HistoryEntry

JsonObject = dict[str, Any]
"""A JSON object: keys are strings, values are JSON values."""


_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
"""Characters by which a terminal could be made to hide or reorder text."""


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(visible(json.dumps(value, ensure_ascii=False, indent=2)))


def visible(text: str) -> str:
    r"""Write what a terminal would obey or hide as an escape, as JSON has it.

    Example:
        >>> visible("Jane\x1b[8m Doe")
        'Jane\\u001b[8m Doe'
    """
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout; all is text, never markup, and empty columns are left out."""
    cells = [["" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    heading = Text(visible(title), style="italic")
    shown = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    table = Table(title=heading, title_justify="left")
    for place in shown:
        # An id must stay in one piece to be copied.
        table.add_column(columns[place], overflow="fold", no_wrap=columns[place] == "id")
    for row in cells:
        table.add_row(*(Text(row[place]) for place in shown))
    Console().print(table if shown else heading)


def edit_json(edit: Edit) -> JsonObject:
    """Describe an edit as a JSON object: what was given, and where it stands in the ledger.

    Example:
        >>> from lte_chains.edit import Edit
        >>> edit_json(Edit(prompt="The CEO of Acme is", target_new="Jane Doe", version=1))
        {'prompt': 'The CEO of Acme is', 'target_new': 'Jane Doe', 'version': 1, 'revision': None}
    """
    from lte_chains.interchange import edit_to_dict

    return {**edit_to_dict(edit), "version": edit.version, "revision": edit.revision}


def entry_json(entry: HistoryEntry) -> JsonObject:
    """Describe one entry of the history as a JSON object."""
    return {
        "revision": entry.revision,
        "at": entry.at.isoformat(),
        "operation": entry.operation,
        "action": entry.action,
        "id": entry.id,
        "version": entry.version,
        "edit": None if entry.edit is None else edit_json(entry.edit),
        "superseded_by": entry.superseded_by,
    }


def match_json(match: EditMatch) -> JsonObject:
    """Describe a match as a JSON object."""
    return {
        "id": match.edit.id,
        "edit": match.edit.descriptor,
        "score": round(match.score, 6),
        "in_scope": match.in_scope,
        "hop": match.hop,
    }
