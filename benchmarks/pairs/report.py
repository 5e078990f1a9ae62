"""Results as JSON, as a table and as plots."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from pairs.running import Result

HEADING = """| what | edits | memory | against | yardstick | ratio | at most | |
|---|---|---|---|---|---|---|---|"""
"""The first lines of a table."""
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def save(results: Sequence[Result], out: Path, *, command: str) -> None:
    """Write `benchmarks.json`, the table in `benchmarks.md` and the plots into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        {**asdict(result), "ratio": round(result.ratio, 3), "met": result.met} for result in results
    ]
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    report = {"command": command, **machine, "results": rows}
    (out / "benchmarks.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    page = out / "benchmarks.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else f"{_BEGIN}\n{_END}\n"
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    plots = plot(results, out)
    body = "\n\n".join([f"`{command}`:", table(results), *plots])
    page.write_text(f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}", encoding="utf-8")


def table(results: Iterable[Result]) -> str:
    """Return results as a Markdown table.

    Example:
        >>> print(table([Result("add", 10, 0.002, 0.001, "a bare table", 1.5)]))
        | what | edits | memory | against | yardstick | ratio | at most | |
        |---|---|---|---|---|---|---|---|
        | add | 10 | 2 ms | a bare table | 1 ms | 2.00 | 1.5 | missed |
    """
    return "\n".join([HEADING, *map(line, results)])


def line(result: Result) -> str:
    """Return a result as a line of the table."""
    limit = "" if result.limit is None else f"{result.limit:g}"
    met = {True: "met", False: "missed", None: ""}[result.met]
    ours, yardstick = (_amount(a, result.unit) for a in (result.ours, result.yardstick))
    cells = result.name, f"{result.size:,}", ours, result.against, yardstick, f"{result.ratio:.2f}"
    return f"| {' | '.join(cells)} | {limit} | {met} |"


def plot(results: Sequence[Result], out: Path) -> list[str]:
    """Draw the searches by the number of edits; return what shows the pictures in Markdown."""
    searches = [result for result in results if result.name.startswith("search")]
    if not searches:
        return []
    try:
        import matplotlib as mpl
    except ImportError:  # of the extra [train]; the table says the same
        return []
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for against in dict.fromkeys(result.against for result in searches):
        own = sorted({(r.size, r.yardstick * 1e3) for r in searches if r.against == against})
        axes.plot(*zip(*own, strict=True), marker="o", label=against)
    ours = sorted({(r.size, r.ours * 1e3) for r in searches if "one namespace" in r.name})
    if ours:
        axes.plot(*zip(*ours, strict=True), marker="s", linewidth=2.5, label="memory")
    axes.set(xscale="log", yscale="log", xlabel="edits", ylabel="ms a search of the best 3")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "benchmarks-search.svg")
    pyplot.close(figure)
    return ["![Time of a search by the number of edits](benchmarks-search.svg)"]


def _amount(value: float, unit: str) -> str:
    if unit == "MB":
        return f"{value / 1e6:,.0f} MB"
    if unit == "%":
        return f"{value:.2%}"
    if unit == "s":
        return f"{value:,.2f} s"
    return f"{value * 1e3:.3g} ms"
