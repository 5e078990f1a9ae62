"""How a pair is timed, and what is kept of it."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

Work = Callable[[int], object]
"""Does a piece of work; the argument counts the times, from 0."""


@dataclass(frozen=True)
class Result:
    """One pair."""

    name: str
    """What was done."""
    size: int
    """How many edits there were."""
    ours: float
    """Seconds, or bytes, of the memory."""
    yardstick: float
    """The same of what it is compared with."""
    against: str
    """What that is."""
    limit: float | None = None
    """The most that the ratio may be; None for a figure that is only told."""
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """The memory's over the yardstick's: smaller is better."""
        return self.ours / self.yardstick if self.yardstick else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None if there is none."""
        return None if self.limit is None else self.ratio <= self.limit


def seconds(work: Work, *, times: int = 1) -> float:
    """Return the median time of a piece of work."""
    taken = []
    for number in range(times):
        start = perf_counter()
        work(number)
        taken.append(perf_counter() - start)
    return statistics.median(taken)


def alternately(works: Sequence[Work], *, pairs: int, times: int = 1) -> list[float]:
    """Return the median time of each work; they take turns, so that all see the same machine."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(pairs):
        for place, work in enumerate(works):
            gc.collect()

            def once(number: int, work: Work = work, turn: int = turn) -> object:
                return work(turn * times + number)

            taken[place].append(seconds(once, times=times))
    return [statistics.median(own) for own in taken]


def pair(ours: Work, yardstick: Work, *, pairs: int, times: int = 1) -> tuple[float, float]:
    """Return the median times of the memory's work and of the yardstick's."""
    first, second = alternately([ours, yardstick], pairs=pairs, times=times)
    return first, second
