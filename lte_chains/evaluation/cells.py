"""How figures stand in a report's tables, and tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Table = tuple[str, list[str], list[list[str]]]
"""A title, the columns' names, and rows of text."""


def share(value: float | None) -> str:
    """Show a share in hundredths.

    Example:
        >>> share(0.5), share(None)
        ('50.0', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}"


def with_interval(value: float | None, found: Mapping[str, float] | None) -> str:
    """Show a share with its interval.

    Example:
        >>> with_interval(0.5, {"low": 0.4, "high": 0.6})
        '50.0 [40.0, 60.0]'
    """
    if found is None:
        return share(value)
    return f"{share(value)} [{share(found['low'])}, {share(found['high'])}]"


def difference(found: Mapping[str, float] | None) -> str:
    """Show a paired difference with its interval, and a star if that excludes 0.

    Example:
        >>> difference({"mean": -0.1, "low": -0.2, "high": -0.05})
        '-10.0 [-20.0, -5.0]*'
    """
    if found is None:
        return "–"
    mark = "*" if found["low"] > 0 or found["high"] < 0 else ""
    return (
        f"{100 * found['mean']:+.1f} [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]{mark}"
    )


def too_long_note(counts: Mapping[str, int]) -> str:
    """Say how many edits of which methods were too long to be made; nothing if none was.

    Example:
        >>> too_long_note({"LTE": 0, "ROME": 2})
        '. Too long for the model, and counted as failed: 2 edits of ROME'
    """
    told = [f"{count} edits of {title}" for title, count in counts.items() if count]
    return f". Too long for the model, and counted as failed: {', '.join(told)}" if told else ""


def superseded_note(count: int) -> str:
    """Say of how many rows a later one takes back the edit; nothing if of none.

    Example:
        >>> superseded_note(2)
        '. 2 rows are edited otherwise by later ones, and judged by their own target'
    """
    if not count:
        return ""
    return f". {count} rows are edited otherwise by later ones, and judged by their own target"


def markdown(tables: Sequence[Table], report: Mapping[str, Any]) -> str:
    """Return a report's tables as Markdown, above them its notes, below how they were made."""
    made = {key: value for key, value in report.items() if key != "methods"}
    parts = [f"> {note}" for note in made.get("notes", ())]
    for title, columns, rows in tables:
        lines = [f"### {title}", "", _line(columns), _line(["---"] * len(columns))]
        parts.append("\n".join([*lines, *(_line(row) for row in rows)]))
    parts.append("\n".join(["```json", json.dumps(made, indent=2), "```"]))
    return "\n\n".join(parts) + "\n"


def write_texts(report: Mapping[str, Any], text: str, folder: Path) -> list[Path]:
    """Write a report as ``report.json``, and what it says as ``report.md``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "report.json", folder / "report.md"]
    files[0].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    files[1].write_text(text, encoding="utf-8")
    return files


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
