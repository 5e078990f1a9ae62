"""What a gate's figures look like: how far it can be believed, and what passing more costs.

    python -m lte_chains.training.scope_gate.diagram REPORT.json OUT.png

draws the second from what `lte-chains evaluate retrieval --json` printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def save_trade_off(
    points: Sequence[Mapping[str, Any]], path: Path, *, kinds: Sequence[str]
) -> None:
    """Draw, for every threshold, the share of right edits passed against that of false fires.

    Args:
        points: As `lte_chains.evaluation.separation.separation` reports them under
            ``trade_off``; every fourth has its threshold beside it.
        path: The PNG file.
        kinds: The kinds of questions in scope to draw.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    fired = [point["false_fire"] for point in points]
    for kind in kinds:
        passed = [point["passed"][kind] for point in points]
        axes.plot(fired, passed, "o-", markersize=3, label=kind)
        for point in points[3::4]:
            axes.annotate(
                f"{point['threshold']:.2f}",
                (point["false_fire"], point["passed"][kind]),
                xytext=(4, -10),
                textcoords="offset points",
                fontsize=7,
            )
    axes.set(xlabel="locality probes with any edit", ylabel="right edits that pass")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the trade-off of a report."""
    parser = argparse.ArgumentParser(description="Draw passing against false fire.")
    parser.add_argument("report", type=Path, help="what `evaluate retrieval --json` printed")
    parser.add_argument("out", type=Path, help="the PNG file")
    parser.add_argument("--kinds", nargs="+", default=["rephrase", "Reasoning"])
    given = parser.parse_args(arguments)
    report = json.loads(given.report.read_text("utf-8"))
    save_trade_off(report["separation"]["trade_off"], given.out, kinds=given.kinds)


if __name__ == "__main__":
    main()
