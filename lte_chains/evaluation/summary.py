"""From rows to the figures of a method: means, intervals, differences to the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lte_chains.evaluation.bootstrap import Interval, interval, paired_difference
from lte_chains.evaluation.judging import HARMONIC, harmonic
from lte_chains.evaluation.metrics import mean
from lte_chains.evaluation.own_measures import OWN_MEASURES
from lte_chains.evaluation.results_log import Row

_MEASURES = (*HARMONIC, "locality_marked", "fluency")
_COMPARED = (*_MEASURES, *OWN_MEASURES)
_FORCED = HARMONIC
_KIND = "portability."


def summarise(rows: Sequence[Row], reference: Sequence[Row], seed: int) -> dict[str, Any]:
    """Return a method's figures.

    They are the measures of `evaluate_knowedit` (``edit_success``, ``rephrase``,
    ``portability``, ``portability_by_kind``, ``locality``, ``locality_marked``,
    ``fluency``, ``teacher_forced``), ``own_measures`` of ConvSent and Sanitation where
    there are such rows (`OWN_MEASURES`), and ``harmonic_mean`` of the first four,
    ``intervals``, ``difference`` to the reference row by row with
    its interval, ``seconds_per_edit``, ``peak_mb``, and ``too_long``, the number of edits
    that did not fit into the model's context and count as failed.

    Args:
        rows: The method's rows.
        reference: The rows of the method to compare with; none for no comparison.
        seed: Seed of the resampling.
    """
    means = {name: mean(_values(rows, "generated", name)) for name in _MEASURES}
    forced = {name: mean(_values(rows, "forced", name)) for name in _FORCED}
    peaks = [float(row["peak_mb"]) for row in rows if row.get("peak_mb") is not None]
    seconds = mean(1000 * float(row["seconds"]) for row in rows)
    return {
        **means,
        "harmonic_mean": harmonic(means),
        "portability_by_kind": {
            kind: mean(_values(rows, "generated", f"{_KIND}{kind}")) for kind in _kinds(rows)
        },
        "own_measures": {
            name: mean(values)
            for name in OWN_MEASURES
            if (values := _values(rows, "generated", name))
        },
        "teacher_forced": forced if any(v is not None for v in forced.values()) else None,
        "intervals": {
            name: _shown(interval(_values(rows, "generated", name), seed=seed))
            for name in _COMPARED
        },
        "difference": {name: _difference(rows, reference, name, seed) for name in _COMPARED}
        if reference
        else None,
        "seconds_per_edit": None if seconds is None else seconds / 1000,
        "peak_mb": max(peaks, default=None),
        "too_long": sum(bool(row.get("too_long")) for row in rows),
    }


def _difference(
    rows: Sequence[Row], reference: Sequence[Row], name: str, seed: int
) -> dict[str, Any] | None:
    """Compare the rows that both have done."""
    others: Mapping[int, Row] = {int(row["row"]): row for row in reference}
    both = [(row, others[int(row["row"])]) for row in rows if int(row["row"]) in others]
    pairs = [(row["generated"].get(name), other["generated"].get(name)) for row, other in both]
    return _shown(paired_difference([a for a, _ in pairs], [b for _, b in pairs], seed=seed))


def _values(rows: Sequence[Row], judged: str, name: str) -> list[float]:
    return [float(row[judged][name]) for row in rows if name in row[judged]]


def _kinds(rows: Sequence[Row]) -> list[str]:
    names = {name for row in rows for name in row["generated"] if name.startswith(_KIND)}
    return sorted(name.removeprefix(_KIND) for name in names)


def _shown(found: Interval | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
