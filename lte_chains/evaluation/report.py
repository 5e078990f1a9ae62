"""Show a comparison: a table for people, Markdown for documents, JSON, and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lte_chains.errors import MissingExtraError
from lte_chains.evaluation.own_measures import OWN_MEASURES

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


def comparison_tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return tables as (title, columns, rows) of text: figures, differences, teacher forcing, cost.

    Example:
        >>> comparison_tables({"methods": {}, "rows": 0, "regime": "single", "base": "x"})[0][0]
        'Generated answers: 0 rows, single, x edited'
    """
    methods: Mapping[str, Any] = report["methods"]
    setting = f"{report['rows']} rows, {report['regime']}, {report['base']} edited"
    before = report.get("original", {}).get("fluency")
    if before is not None:
        setting += f"; its fluency before is {before:.0f}"
    tables = [
        (
            f"Generated answers: {setting}",
            ["method", *(label for label, _ in _COLUMNS), "fluency"],
            [
                [m["title"], *(_with_interval(m, name) for _, name in _COLUMNS), _fluency(m)]
                for m in methods.values()
            ],
        )
    ]
    if any(m["own_measures"] for m in methods.values()):
        tables.append(_own_table(methods))
    compared = [m for m in methods.values() if m["difference"]]
    if compared:
        tables.append(
            (
                "Difference to LTE on the same rows, with its 95 % interval (* excludes 0)",
                ["method", *(label for label, name in _COLUMNS if name in _COMPARED)],
                [[m["title"], *(_difference(m, name) for name in _COMPARED)] for m in compared],
            )
        )
    forced = [m for m in methods.values() if m["teacher_forced"]]
    if forced:
        tables.append(
            (
                "Teacher forcing, as the papers report it",
                ["method", *(label for label, name in _COLUMNS if name in _COMPARED)],
                [
                    [m["title"], *(_share(m["teacher_forced"][name]) for name in _COMPARED)]
                    for m in forced
                ],
            )
        )
    tables.append(("Cost", _COST, [_cost(m) for m in methods.values()]))
    return tables


def _own_table(methods: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
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
    return f"{value:.3f}" if name == "divergence" else _with_interval(method, name, value)


_COST = ["method", "s / edit", "times LTE's", "peak MB", "parameters", "preparation, s"]


def to_markdown(report: Report) -> str:
    """Return the tables as Markdown, and below them how they were made.

    Example:
        >>> text = to_markdown({"methods": {}, "rows": 0, "regime": "single", "base": "x"})
        >>> text.splitlines()[0]
        '### Generated answers: 0 rows, single, x edited'
    """
    parts = []
    for title, columns, rows in comparison_tables(report):
        lines = [f"### {title}", "", _line(columns), _line(["---"] * len(columns))]
        parts.append("\n".join([*lines, *(_line(row) for row in rows)]))
    made = {key: value for key, value in report.items() if key != "methods"}
    parts.append("\n".join(["```json", json.dumps(made, indent=2), "```"]))
    return "\n\n".join(parts) + "\n"


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write a report as ``report.json``, ``report.md`` and plots; return the files.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "report.json", folder / "report.md"]
    files[0].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    files[1].write_text(to_markdown(report), encoding="utf-8")
    files.append(plot_success_against_locality(report, folder / "success-locality.png"))
    return files


def plot_success_against_locality(report: Report, path: Path) -> Path:
    """Draw each method's edit success against its locality, with their intervals.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _axes("locality", "edit success")
    for method in report["methods"].values():
        x, y = method["intervals"]["locality"], method["intervals"]["edit_success"]
        if x is None or y is None:
            continue
        axes.errorbar(
            x["mean"],
            y["mean"],
            xerr=_whiskers(x),
            yerr=_whiskers(y),
            fmt="o",
            label=method["title"],
        )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    return _save(figure, axes, path)


def plot_decay(
    curves: Mapping[str, Sequence[tuple[int, float | None]]], path: Path, *, measure: str
) -> Path:
    """Draw a measure over the number of edits, a curve for each method.

    Args:
        curves: (edits, value) by the method's title.
        path: Where to write the picture.
        measure: What the values are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _axes("edits", measure)
    for title, points in curves.items():
        known = [(edits, value) for edits, value in points if value is not None]
        axes.plot([x for x, _ in known], [y for _, y in known], marker="o", label=title)
    axes.set_xscale("log")
    axes.set(ylim=(-0.03, 1.03))
    return _save(figure, axes, path)


def _axes(x: str, y: str) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "train") from error
    # Without pyplot: no window, and no state that outlives the picture.
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path) -> Path:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    return path


def _whiskers(found: Mapping[str, float]) -> list[list[float]]:
    return [[found["mean"] - found["low"]], [found["high"] - found["mean"]]]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _with_interval(method: Report, name: str, value: float | None = None) -> str:
    found = method["intervals"].get(name)
    shown = _share(method[name] if value is None else value)
    if found is None:
        return shown
    return f"{shown} [{_share(found['low'])}, {_share(found['high'])}]"


def _difference(method: Report, name: str) -> str:
    found = method["difference"][name]
    if found is None:
        return "–"
    mark = "*" if found["low"] > 0 or found["high"] < 0 else ""
    return (
        f"{100 * found['mean']:+.1f} [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]{mark}"
    )


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


def decay_table(report: Report) -> tuple[str, list[str], list[list[str]]]:
    """Return what `compare_decay` found as (title, columns, rows) of text.

    Example:
        >>> decay_table({"methods": {}, "rows": 10, "base": "x", "original": {"facts": 3}})[0]
        '10 rows, x edited; 3 facts known before'
    """
    title = f"{report['rows']} rows, {report['base']} edited; "
    title += f"{report['original']['facts']} facts known before"
    columns = ["method", "edits", "edit success", "portability", "locality", "first ones"]
    rows = [
        [
            method["title"],
            f"{point['edits']:,}",
            *(_share(point["all"][name]) for name in ("edit_success", "portability", "locality")),
            _share(point["first"]["edit_success"]),
            _share(point.get("recall")),
            f"{point['perplexity']:.1f}" if "perplexity" in point else "–",
        ]
        for method in report["methods"].values()
        for point in method["curve"]
    ]
    return title, [*columns, "known facts", "perplexity"], rows
