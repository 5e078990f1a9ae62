"""Show what became of edits when more were made: tables, Markdown, JSON and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lte_chains.evaluation.cells import (
    Table,
    difference,
    markdown,
    share,
    superseded_note,
    too_long_note,
    write_texts,
)
from lte_chains.evaluation.plots import plot_decay, without_plots_if_missing

Report = Mapping[str, Any]
"""What `compare_decay` returns."""

_SHOWN = ("edit_success", "rephrase", "portability", "locality")
_LABELS = [name.replace("_", " ") for name in _SHOWN]
_PLOTTED = ("edit_success", "locality")


def decay_tables(report: Report) -> list[Table]:
    """Return what `compare_decay` found as (title, columns, rows) of text.

    Example:
        >>> report = {"methods": {}, "rows": 10, "base": "x", "original": {"facts": 3}}
        >>> decay_tables({**report, "asked": 4, "cut": []})[0][0]
        'The same 4 of 10 rows at every checkpoint, x edited; 3 facts known before'
    """
    title = f"The same {report['asked']} of {report['rows']} rows at every checkpoint, "
    title += f"{report['base']} edited; {report['original']['facts']} facts known before"
    if report["cut"]:
        cut = ", ".join(f"{checkpoint:,}" for checkpoint in report["cut"])
        title += f". There are not rows enough for {cut} edits: cut to {report['rows']:,}"
    title += superseded_note(report.get("superseded", 0))
    title += too_long_note(
        {
            method["title"]: max(point["too_long"] for point in method["curve"])
            for method in report["methods"].values()
        }
    )
    columns = ["method", "edits", *_LABELS, "known facts", "perplexity"]
    tables = [(title, columns, [[*names, *_scores(p)] for names, p in _points(report)])]
    lost = [
        [*names, *(difference(p["all"]["difference"][name]) for name in _SHOWN)]
        for names, p in _points(report)
        if p["all"]["difference"]
    ]
    if lost:
        title = "Difference to the first checkpoint on the same rows (* excludes 0)"
        tables.append((title, ["method", "edits", *_LABELS], lost))
    kept = [[*names, *_retention(p["first"])] for names, p in _points(report) if p["first"]]
    if kept:
        title = "Retention: success of the first edits when they were made, and after all others"
        columns = ["method", "edits", "first ones", "when made", "in the end", "difference"]
        tables.append((title, columns, kept))
    return tables


def decay_markdown(report: Report) -> str:
    """Return the tables as Markdown, and below them how they were made."""
    return markdown(decay_tables(report), report)


def write_decay(report: Report, folder: Path) -> list[Path]:
    """Write a report as ``report.json``, ``report.md`` and, with matplotlib, plots.

    Returns:
        The files that were written.
    """
    files = write_texts(report, decay_markdown(report), folder)
    with without_plots_if_missing():
        for measure in _PLOTTED:
            path = folder / f"decay-{measure}.png"
            shown = measure.replace("_", " ")
            files.append(plot_decay(_curves(report, measure), path, measure=shown))
    return files


def _curves(report: Report, measure: str) -> dict[str, list[tuple[int, float | None]]]:
    return {
        method["title"]: [(point["edits"], point["all"][measure]) for point in method["curve"]]
        for method in report["methods"].values()
    }


def _points(report: Report) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    for method in report["methods"].values():
        for point in method["curve"]:
            yield [method["title"], f"{point['edits']:,}"], point


def _scores(point: Mapping[str, Any]) -> list[str]:
    return [
        *(share(point["all"][name]) for name in _SHOWN),
        share(point.get("recall")),
        f"{point['perplexity']:.1f}" if "perplexity" in point else "–",
    ]


def _retention(first: Mapping[str, Any]) -> list[str]:
    return [
        str(first["rows"]),
        share(first["when_made"]["edit_success"]),
        share(first["edit_success"]),
        difference(first["difference"]["edit_success"]),
    ]
