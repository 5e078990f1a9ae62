"""Which edits are in the model together at a checkpoint, and which of them are asked about.

Every checkpoint asks about the same rows: what is lost from one to the next is then
a row's own loss, and not that other rows are harder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Filling:
    """Edits that are in the model together.

    Example:
        >>> Filling(rows=(0, 1, 2), asked=(0, 2)).asked
        (0, 2)
    """

    rows: tuple[int, ...]
    """The rows whose edits are made, in this order."""
    asked: tuple[int, ...]
    """Those of them that are asked about."""


Plan = dict[int, list[Filling]]
"""The fillings of each checkpoint, by its number of edits."""


def plan_of(rows: int, checkpoints: Sequence[int], asked: int) -> Plan:
    """Plan the checkpoints that there are rows for; the last may be cut.

    Args:
        rows: How many rows there are.
        checkpoints: Growing numbers of edits.
        asked: How many rows are asked about, at most.

    Example:
        >>> plan = plan_of(30, (1, 10, 100), asked=5)
        >>> {edits: len(fillings) for edits, fillings in plan.items()}
        {1: 5, 10: 1, 30: 1}
    """
    chosen = spread(rows, asked)
    reached = sorted({min(checkpoint, rows) for checkpoint in checkpoints})
    return {edits: fillings(edits, rows, chosen) for edits in reached}


def spread(count: int, most: int) -> list[int]:
    """Return at most so many of the places below `count`, evenly spread from the first to the last.

    Example:
        >>> spread(10, 4), spread(3, 4)
        ([0, 3, 6, 9], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def fillings(edits: int, rows: int, asked: Sequence[int]) -> list[Filling]:
    """Divide a checkpoint into fillings that ask about each of the same rows once.

    A checkpoint of fewer edits than are asked about has several: of as many edits each,
    all of them asked rows. Any other has one, in which the asked rows are evenly spread
    among the first of the other rows.

    Args:
        edits: The checkpoint: how many edits are in the model together.
        rows: How many rows there are, as many as edits or more.
        asked: The rows that are asked about at every checkpoint, in their order.

    Example:
        >>> [filling.rows for filling in fillings(2, 9, [0, 4, 8])]
        [(0, 4), (8, 0)]
        >>> fillings(5, 9, [0, 4, 8])
        [Filling(rows=(0, 1, 4, 2, 8), asked=(0, 4, 8))]
    """
    if edits < len(asked):
        return [_group(asked, start, edits) for start in range(0, len(asked), edits)]
    others = iter(sorted(set(range(rows)) - set(asked)))
    places = dict(zip(spread(edits, len(asked)), asked, strict=True))
    order = tuple(places[i] if i in places else next(others) for i in range(edits))
    return [Filling(order, tuple(asked))]


def _group(asked: Sequence[int], start: int, edits: int) -> Filling:
    members = tuple(asked[(start + i) % len(asked)] for i in range(edits))
    # The last group is filled up with rows that have been asked about before.
    return Filling(members, members[: len(asked) - start])
