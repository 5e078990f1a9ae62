"""The trainer's log as a loss curve, and its steps as a progress bar on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

LogEntry = Mapping[str, Any]
"""One entry of the trainer's log: "step", and "loss" or "eval_loss" among others."""


def losses(log: Sequence[LogEntry], key: str = "loss") -> list[tuple[int, float]]:
    """Return the (step, loss) pairs of a trainer's log, in order.

    Example:
        >>> losses([{"step": 1, "loss": 2.5}, {"step": 1, "eval_loss": 2.0}])
        [(1, 2.5)]
    """
    return [(entry["step"], float(entry[key])) for entry in log if key in entry]


def save_loss_curve(log: Sequence[LogEntry], path: Path, *, title: str) -> None:
    """Draw the training loss, and the dev loss if there is one, into a PNG file."""
    # The object interface: pyplot would choose a window system for the whole process.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label, style in (("loss", "train", "-"), ("eval_loss", "dev", "o--")):
        points = losses(log, key)
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, style, label=label, markersize=4)
    axes.set(title=title, xlabel="update", ylabel="loss on answer tokens")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


@contextmanager
def progress_callback(*, show: bool) -> Iterator[Any]:
    """Give a trainer callback that moves a bar on stderr and logs every entry.

    Args:
        show: Whether to draw the bar; the entries are logged in any case.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from transformers import TrainerCallback

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    bar = Progress(*columns, console=Console(stderr=True), disable=not show)
    task = bar.add_task("aligning", total=None)

    class _Reporter(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            bar.update(task, completed=state.global_step, total=state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            logger.info("%s", state.log_history[-1])

    with bar:
        yield _Reporter()
