"""A progress bar for what takes long, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_PATIENCE_SECONDS = 2.0
"""Shorter work shows no bar unless one is asked for."""


def in_batches(
    items: Sequence[_Item], size: int, *, label: str, show: bool | None = None
) -> Iterator[Sequence[_Item]]:
    """Yield `items` in batches, with a progress bar if the work takes long.

    Args:
        items: What is worked on.
        size: Most items in a batch.
        label: What the bar says.
        show: Always or never a bar; with None only on a terminal, and only once
            the first batch has shown that the rest takes more than two seconds.

    Example:
        >>> list(in_batches("abcde", 2, label="letters"))
        ['ab', 'cd', 'e']
    """
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    if show is None and not sys.stderr.isatty():
        show = False
    started = time.monotonic()
    if show is None and batches:
        yield batches[0]
        elapsed = time.monotonic() - started
        show = elapsed * (len(batches) - 1) > _PATIENCE_SECONDS
        done, batches = len(batches[0]), batches[1:]
    else:
        done = 0
    if not show or not batches:
        yield from batches
        return
    yield from _with_bar(batches, done=done, total=len(items), label=label)


def _with_bar(
    batches: Sequence[Sequence[_Item]], *, done: int, total: int, label: str
) -> Iterator[Sequence[_Item]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Off a terminal nothing moves: the finished bar is all there is to show.
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task(label, total=total, completed=done)
        for batch in batches:
            yield batch
            bar.advance(task, len(batch))
