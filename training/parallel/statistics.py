"""Count what parallel data are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lte_chains.training.parallel.build import ParallelData, ParallelRow

_CHARS_PER_TOKEN = 4
"""Of English text, roughly, for most tokenizers."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Counts of the rows of one split, each a table of its own."""

    rows: int
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    """Source to variant to rows."""
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    """Scope and kind to variant to rows."""
    facts: dict[str, int] = field(default_factory=dict)
    """Edits in the prompt to edited rows."""
    place: dict[str, int] = field(default_factory=dict)
    """Place of the row's own edit, from 1, to rows with one own edit and at least one other."""
    tokens: int = 0
    """Of prompts and answers together, estimated from their length."""


def count(rows: Sequence[ParallelRow]) -> Statistics:
    """Count the rows of one split.

    Example:
        >>> row = ParallelRow(source="mine", kind="rewrite", scope="in", variant="unedited",
        ...                   question="Who runs Acme?", facts=(), answer="Joe")
        >>> count([row]).by_kind
        {'in: rewrite': {'unedited': 1}}
    """
    edited = [row for row in rows if row.variant == "edited"]
    mixed = [row for row in edited if len(row.own_places) == 1 < len(row.facts)]
    return Statistics(
        rows=len(rows),
        by_source=_crossed((row.source, row.variant) for row in rows),
        by_kind=_crossed((f"{row.scope}: {row.kind}", row.variant) for row in rows),
        facts=_sorted(Counter(str(len(row.facts)) for row in edited)),
        place=_sorted(Counter(str(row.own_places[0] + 1) for row in mixed)),
        tokens=sum(len(row.prompt) + len(row.answer) for row in rows) // _CHARS_PER_TOKEN,
    )


def describe(data: ParallelData) -> dict[str, Any]:
    """Return the counts of both splits, what was left out, and the settings, as JSON values."""
    return {
        "train": asdict(count(data.train)),
        "dev": asdict(count(data.dev)),
        "left_out": _sorted(+data.dropped),
        "config": asdict(data.config),
    }


def _crossed(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = {}
    for name, variant in pairs:
        table.setdefault(name, Counter())[variant] += 1
    return {name: _sorted(table[name]) for name in sorted(table)}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts)}
