"""Show a comparison: a table for people, Markdown for documents, JSON, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lte_chains.evaluation.cells import (
    Table,
    difference,
    markdown,
    share,
    superseded_note,
    too_long_note,
    with_interval,
    write_texts,
)
from lte_chains.evaluation.own_measures import OWN_MEASURES
from lte_chains.evaluation.plots import plot_success_against_locality, without_plots_if_missing

Report = Mapping[str, Any]
"""What `compare_methods` returns."""

_COLUMNS = (
    ("edit success", "edit_success"),
    ("rephrase", "rephrase"),
    ("portability", "portability"),
    ("locality", "locality"),
    ("harmonic", "harmonic_mean"),
)
_COMPARED = ("edit_success", "rephrase", "portability", "locality")


def comparison_tables(report: Report) -> list[Table]:
    """Return tables as (title, columns, rows) of text: figures, differences, teacher forcing, cost.

    Example:
        >>> comparison_tables({"methods": {}, "rows": 0, "regime": "single", "base": "x"})[0][0]
        'Generated answers: 0 rows, single, x edited'
    """
    methods: Mapping[str, Any] = report["methods"]
    made = list(methods.values())
    labels = [label for label, name in _COLUMNS if name in _COMPARED]
    tables = [_figures(report, made)]
    if any(m["portability_by_kind"] for m in made):
        tables.append(_kinds_table(made))
    if any(m["own_measures"] for m in made):
        tables.append(_own_table(methods))
    if compared := [m for m in made if m["difference"]]:
        title = "Difference to LTE on the same rows, with its 95 % interval (* excludes 0)"
        rows = [
            [m["title"], *(difference(m["difference"][name]) for name in _COMPARED)]
            for m in compared
        ]
        tables.append((title, ["method", *labels], rows))
    if forced := [m for m in made if m["teacher_forced"]]:
        rows = [
            [m["title"], *(share(m["teacher_forced"][name]) for name in _COMPARED)] for m in forced
        ]
        tables.append(("Teacher forcing, as the papers report it", ["method", *labels], rows))
    tables.append(("Cost", _COST, [_cost(m) for m in made]))
    return tables


def _figures(report: Report, made: Sequence[Report]) -> Table:
    title = f"Generated answers: {report['rows']} rows, {report['regime']}, {report['base']} edited"
    before = report.get("original", {}).get("fluency")
    if before is not None:
        title += f"; its fluency before is {before:.0f}"
    title += superseded_note(report.get("superseded", 0))
    title += too_long_note({m["title"]: m["too_long"] for m in made})
    rows = [
        [
            m["title"],
            *(with_interval(m[name], m["intervals"].get(name)) for _, name in _COLUMNS),
            _fluency(m),
        ]
        for m in made
    ]
    return title, ["method", *(label for label, _ in _COLUMNS), "fluency"], rows


def _kinds_table(made: Sequence[Report]) -> Table:
    kinds = list(dict.fromkeys(kind for m in made for kind in m["portability_by_kind"]))
    rows = [
        [m["title"], *(share(m["portability_by_kind"].get(kind)) for kind in kinds)] for m in made
    ]
    return "Portability by kind", ["method", *(kind.replace("_", " ") for kind in kinds)], rows


def _own_table(methods: Mapping[str, Any]) -> Table:
    shown = [
        name for name in OWN_MEASURES if any(name in m["own_measures"] for m in methods.values())
    ]
    columns = ["method", *shown]
    rows = [[m["title"], *(_own(m, name) for name in shown)] for m in methods.values()]
    return "ConvSent's and Sanitation's own measures (divergence: nats per token)", columns, rows


def _own(method: Report, name: str) -> str:
    value = method["own_measures"].get(name)
    if value is None:
        return "–"
    if name == "divergence":
        return f"{value:.3f}"
    return with_interval(value, method["intervals"].get(name))


_COST = ["method", "s / edit", "times LTE's", "peak MB", "parameters", "preparation, s"]


def to_markdown(report: Report) -> str:
    """Return the tables as Markdown, and below them how they were made.

    Example:
        >>> text = to_markdown({"methods": {}, "rows": 0, "regime": "single", "base": "x"})
        >>> text.splitlines()[0]
        '### Generated answers: 0 rows, single, x edited'
    """
    return markdown(comparison_tables(report), report)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write a report as ``report.json``, ``report.md`` and, with matplotlib, a plot.

    Returns:
        The files that were written.
    """
    files = write_texts(report, to_markdown(report), folder)
    with without_plots_if_missing():
        files.append(plot_success_against_locality(report, folder / "success-locality.png"))
    return files


def _fluency(method: Report) -> str:
    return "–" if method["fluency"] is None else f"{method['fluency']:.0f}"


def _cost(method: Report) -> list[str]:
    ratio, peak = method["time_ratio"], method["peak_mb"]
    seconds = method["seconds_per_edit"]
    return [
        method["title"],
        "–" if seconds is None else f"{seconds:.3f}",
        "–" if ratio is None else f"{ratio:.1f}",
        "–" if peak is None else f"{peak:.0f}",
        f"{method['parameters_touched']:,}",
        f"{method['prepare_seconds']:.1f}",
    ]
