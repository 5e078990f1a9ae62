"""Rows that begin alike, trained as one sequence whose beginning is read once.

Parallel data ask many questions after the same edits, and most tokens of a row are
its edits. Here rows of a common beginning become one sequence: the beginning, then what
each row goes on with. A row's tokens see the beginning and one another, and stand at the
positions that they have in the row alone, so that every answer's loss is what it would be
without sharing. What is left of a sequence's length is filled with other rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from lte_chains.training.alignment.conversations import IGNORED, common_beginning

_WORTH_SHARING = 0.4
"""Rows are joined if they have at least this share of the shorter one in common."""


@dataclass(frozen=True)
class Row:
    """A tokenised row."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    """The tokens that bear loss, `IGNORED` elsewhere."""

    def sharable(self) -> int:
        """Return how many tokens may be common: what bears loss is a row's own."""
        first = next((at for at, label in enumerate(self.labels) if label != IGNORED), 0)
        return max(first - 1, 0)


@dataclass
class Family:
    """Rows and what they have in common."""

    rows: list[Row]
    common: int
    """How many tokens all of them begin with."""

    @property
    def length(self) -> int:
        """Tokens of the sequence that the rows make."""
        return self.common + sum(len(row.input_ids) - self.common for row in self.rows)


class SharedRows(Dataset[dict[str, torch.Tensor]]):
    """Sequences of one length, each of as many rows as it holds."""

    def __init__(self, rows: Iterable[Mapping[str, Sequence[int]]], length: int) -> None:
        """Join rows.

        Args:
            rows: Tokenised rows: "input_ids" and "labels".
            length: Tokens of a sequence; no row may be longer.
        """
        alike = families([Row(tuple(r["input_ids"]), tuple(r["labels"])) for r in rows], length)
        self._sequences = pack(alike, length)
        self._length = length

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self._sequences)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        """Return a sequence.

        Returns:
            Tensors of shape (length,): "input_ids", "labels", "position_ids", and what
            `collate` makes a mask of: "family", and "branch", which is 0 in a family's
            beginning and then counts its rows.
        """
        columns: dict[str, list[int]] = {name: [] for name in _FILLING}
        for number, family in enumerate(self._sequences[place], 1):
            for branch, part in enumerate(_parts(family)):
                columns["input_ids"] += part.input_ids
                columns["labels"] += part.labels
                begin = family.common if branch else 0
                columns["position_ids"] += range(begin, begin + len(part.input_ids))
                columns["family"] += [number] * len(part.input_ids)
                columns["branch"] += [branch] * len(part.input_ids)
        rest = self._length - len(columns["input_ids"])
        return {
            name: torch.tensor(column + [_FILLING[name]] * rest) for name, column in columns.items()
        }


_FILLING = {"input_ids": 0, "labels": IGNORED, "position_ids": 0, "family": 0, "branch": 0}


def _parts(family: Family) -> Iterator[Row]:
    """Yield the common beginning, then what each row goes on with."""
    first, common = family.rows[0], family.common
    yield Row(first.input_ids[:common], (IGNORED,) * common)
    for row in family.rows:
        yield Row(row.input_ids[common:], row.labels[common:])


def families(rows: Sequence[Row], length: int) -> list[Family]:
    """Group rows that begin alike, so that no group makes a sequence longer than `length`."""
    found: list[Family] = []
    for row in sorted(rows, key=lambda row: row.input_ids):
        if not (found and _joined(found[-1], row, length)):
            found.append(Family([row], row.sharable()))
    for family in found:
        if len(family.rows) == 1:
            family.common = 0
    return found


def _joined(family: Family, row: Row, length: int) -> bool:
    """Add a row to a family that it is like enough."""
    last = family.rows[-1]
    bound = min(family.common, row.sharable())
    common = common_beginning(last.input_ids[:bound], row.input_ids[:bound])
    if common < _WORTH_SHARING * min(len(last.input_ids), len(row.input_ids)):
        return False
    joined = Family([*family.rows, row], common)
    if joined.length > length:
        return False
    family.rows, family.common = joined.rows, common
    return True


def pack(found: Iterable[Family], length: int) -> list[list[Family]]:
    """Put families into as few sequences as best-fit decreasing finds."""
    packed: list[list[Family]] = []
    room: list[tuple[int, int]] = []  # (tokens left, sequence), sorted
    for family in sorted(found, key=lambda family: -family.length):
        at = bisect_left(room, (family.length, -1))
        if at == len(room):
            packed.append([family])
            left, place = length - family.length, len(packed) - 1
        else:
            left, place = room.pop(at)
            packed[place].append(family)
            left -= family.length
        if left > 0:
            room.insert(bisect_left(room, (left, place)), (left, place))
    return packed


def collate(sequences: Sequence[Mapping[str, torch.Tensor]], *, dtype: Any) -> dict[str, Any]:
    """Make a batch of sequences, with the mask that says which token sees which.

    Args:
        sequences: Items of `SharedRows`.
        dtype: Of the mask, which is added to the attention's scores: shape
            (batch, 1, length, length), 0 where a token is seen.
    """
    batch = {name: torch.stack([item[name] for item in sequences]) for name in sequences[0]}
    family, branch = batch.pop("family"), batch.pop("branch")
    length = family.shape[1]
    within = family[:, :, None] == family[:, None, :]
    before = torch.ones(length, length, dtype=torch.bool).tril()
    seen = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    hidden = ~(within & before & seen)[:, None]
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, torch.finfo(dtype).min)
    return {**batch, "attention_mask": mask}
