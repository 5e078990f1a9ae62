"""Pictures of a comparison: success against locality, and decay over the number of edits."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lte_chains.errors import MissingExtraError

_log = logging.getLogger(__name__)


@contextmanager
def without_plots_if_missing() -> Iterator[None]:
    """Do without plots where matplotlib is not installed: the figures are more than they."""
    try:
        yield
    except MissingExtraError as error:
        _log.warning("no plots are drawn: %s", error)


def plot_success_against_locality(report: Mapping[str, Any], path: Path) -> Path:
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
