"""The reliability diagram: how often a gate was right, by how sure it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_FEWEST = 10
"""Pairs that a bin must have to be drawn."""


def save_diagram(bins: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw the share of pairs in scope against the mean probability that the gate gave.

    Args:
        bins: As `near_misses.measure` reports them: ``said``, ``true`` and ``pairs``,
            which is written beside the point.
        path: The PNG file.
    """
    # The object interface: pyplot would choose a window system for the whole process.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    drawn = [b for b in bins if b["pairs"] >= _FEWEST]
    axes.plot([b["said"] for b in drawn], [b["true"] for b in drawn], "o-")
    for b in drawn:
        axes.annotate(
            f"{b['pairs']:,.0f}",
            (b["said"], b["true"]),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(
        xlabel="probability given", ylabel="share in scope", xlim=(-0.02, 1.08), ylim=(-0.06, 1.04)
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
