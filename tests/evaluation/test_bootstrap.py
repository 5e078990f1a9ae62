"""Intervals of means and paired differences."""

from __future__ import annotations

import math
import random

import pytest

from lte_chains.errors import ConfigError
from lte_chains.evaluation.bootstrap import interval, paired_difference


def test_the_interval_is_about_two_standard_errors_wide():
    rng = random.Random(0)
    values = [float(rng.random() < 0.7) for _ in range(400)]
    found = interval(values)
    error = math.sqrt(found.mean * (1 - found.mean) / 400)
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.01)


def test_about_nineteen_of_twenty_intervals_hold_the_truth():
    rng = random.Random(1)
    held = 0
    for trial in range(200):
        found = interval([rng.gauss(0, 1) for _ in range(60)], seed=trial, resamples=300)
        held += found.low <= 0 <= found.high
    assert 180 <= held <= 199


def test_pairing_finds_a_difference_that_the_rows_own_spread_would_hide():
    rng = random.Random(2)
    hard = [rng.gauss(0, 10) for _ in range(100)]
    better = [value + 1 + rng.gauss(0, 0.1) for value in hard]
    found = paired_difference(better, hard)
    assert found.excludes_zero
    assert found.mean == pytest.approx(1, abs=0.05)
    assert not interval(better).excludes_zero


def test_rows_that_one_of_both_lacks_are_left_out():
    found = paired_difference([1.0, None, 0.0], [0.0, 1.0, None])
    assert (found.mean, found.rows) == (1.0, 1)


def test_no_rows_have_no_interval():
    assert interval([]) is None
    assert paired_difference([None], [1.0]) is None


def test_the_same_seed_gives_the_same_interval():
    values = [0.0, 1.0, 1.0, 0.5]
    assert interval(values, seed=3) == interval(values, seed=3)
    with pytest.raises(ConfigError, match="resamples=0"):
        interval(values, resamples=0)
    with pytest.raises(ConfigError, match="1 and 2 rows"):
        paired_difference([1.0], [1.0, 2.0])
