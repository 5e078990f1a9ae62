"""The cost of a block of code."""

from __future__ import annotations

import time

import numpy as np

from lte_chains.evaluation.resources import metered


def test_time_and_the_peak_of_memory_are_measured_also_if_it_was_given_back():
    with metered() as cost:
        held = np.ones(8_000_000)  # 64 MB, written to
        time.sleep(0.01)
        del held
    assert cost.seconds >= 0.01
    assert 50 < cost.peak_mb < 200
    with metered() as small:
        pass
    assert small.peak_mb < 30


def test_the_cost_of_what_fails_is_measured_too():
    try:
        with metered() as cost:
            raise ValueError
    except ValueError:
        assert cost.seconds > 0
