"""How sure are figures? Bootstrap intervals of means and of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lte_chains.errors import ConfigError

_PLACES = 4


@dataclass(frozen=True)
class Interval:
    """A mean over rows with its 95 % bootstrap interval.

    Example:
        >>> interval([1.0, 1.0, 1.0])
        Interval(mean=1.0, low=1.0, high=1.0, rows=3)
    """

    mean: float
    """The mean itself."""
    low: float
    """Its 2.5th percentile over resamples of the rows."""
    high: float
    """Its 97.5th percentile."""
    rows: int
    """Rows that have a value."""

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference of nothing lies outside."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float], *, seed: int = 0, resamples: int = 2000) -> Interval | None:
    """Return the mean of rows' values with its percentile bootstrap interval; None without rows.

    Args:
        values: One value a row.
        seed: Seed of the resampling.
        resamples: How many samples of as many rows are drawn, with replacement.

    Raises:
        ConfigError: There are no resamples.
    """
    if resamples < 1:
        raise ConfigError(f"resamples={resamples}: use 1 or more")
    array = np.asarray(values, float)
    if not len(array):
        return None
    drawn = np.random.default_rng(seed).integers(0, len(array), (resamples, len(array)))
    low, high = np.percentile(array[drawn].mean(axis=1), (2.5, 97.5))
    return Interval(
        mean=round(float(array.mean()), _PLACES),
        low=round(float(low), _PLACES),
        high=round(float(high), _PLACES),
        rows=len(array),
    )


def paired_difference(
    values: Sequence[float | None],
    reference: Sequence[float | None],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval | None:
    """Return the mean of value − reference over the rows that have both.

    Pairing takes out what makes a row hard for every method, so that small
    differences show.

    Args:
        values: One value a row, None where the row has none.
        reference: The reference's values of the same rows.
        seed: Seed of the resampling.
        resamples: How many samples are drawn.

    Raises:
        ConfigError: The rows are not the same.

    Example:
        >>> paired_difference([0.0, 0.5, None], [1.0, 1.0, 1.0]).mean
        -0.75
    """
    if len(values) != len(reference):
        raise ConfigError(f"{len(values)} and {len(reference)} rows cannot be paired")
    apart = [
        value - other
        for value, other in zip(values, reference, strict=True)
        if value is not None and other is not None
    ]
    return interval(apart, seed=seed, resamples=resamples)
