"""Scores become probabilities, and probabilities a threshold."""

from __future__ import annotations

import math
import random

import pytest

from lte_chains.errors import ConfigError
from lte_chains.scope.calibration import (
    Calibration,
    area_under_curve,
    calibration_error,
    fit,
    least_cost,
    reliability,
)


def _drawn(slope: float, intercept: float, count: int = 20_000) -> tuple[list[float], list[bool]]:
    """Scores whose labels follow a known calibration."""
    rng = random.Random(0)
    scores = [rng.uniform(-4, 4) for _ in range(count)]
    truth = Calibration(slope, intercept)
    return scores, [rng.random() < truth.probability(score) for score in scores]


def test_a_known_calibration_is_found_again():
    scores, labels = _drawn(1.7, -0.6)
    found = fit(scores, labels)
    assert found.slope == pytest.approx(1.7, abs=0.06)
    assert found.intercept == pytest.approx(-0.6, abs=0.06)


def test_a_fitted_calibration_says_what_comes_true():
    scores, labels = _drawn(0.5, 1.0)
    before = calibration_error([Calibration().probability(s) for s in scores], labels)
    fitted = fit(scores, labels)
    after = calibration_error([fitted.probability(s) for s in scores], labels)
    assert before > 0.1
    assert after < 0.02


def test_rows_that_are_perfectly_apart_do_not_make_it_infinitely_sure():
    found = fit([-2.0, -1.0, 1.0, 2.0], [False, False, True, True])
    assert 0 < found.slope < 20
    assert found.probability(1.0) < 0.999


def test_few_rows_lean_on_the_calibration_to_begin_with():
    start = Calibration(2.0, -1.0)
    found = fit([0.5], [True], start=start)
    assert found.slope == pytest.approx(start.slope, abs=0.5)
    assert found.intercept == pytest.approx(start.intercept, abs=0.5)


def test_a_known_weight_of_the_cosine_is_found_again():
    rng = random.Random(1)
    scores = [rng.uniform(-6, 6) for _ in range(20_000)]
    cosines = [rng.uniform(0.2, 1.0) for _ in scores]
    truth = Calibration(0.6, -4.0, 7.0)
    labels = [rng.random() < truth.probability(*both) for both in zip(scores, cosines, strict=True)]
    found = fit(scores, labels, cosines=cosines)
    assert found.slope == pytest.approx(0.6, abs=0.03)
    assert found.intercept == pytest.approx(-4.0, abs=0.3)
    assert found.similarity == pytest.approx(7.0, abs=0.4)


def test_a_cosine_that_points_the_wrong_way_gets_no_weight():
    assert fit([0.0] * 80, [True, False] * 40, cosines=[0.1, 0.9] * 40).similarity == 0.0


def test_without_cosines_they_get_no_weight():
    assert fit([1.0, -1.0], [True, False]).similarity == 0.0


def test_labels_that_contradict_the_scores_never_turn_the_order_around():
    assert fit([-3.0, 3.0] * 50, [True, False] * 50).slope > 0


def test_probabilities_are_defined_for_every_score():
    calibration = Calibration(3.0, 0.0)
    assert calibration.probability(-1e6) == 0.0
    assert calibration.probability(1e6) == 1.0


@pytest.mark.parametrize(("scores", "labels"), [([], []), ([1.0], []), ([1.0, 2.0], [True])])
def test_scores_and_labels_must_come_in_pairs(scores, labels):
    with pytest.raises(ConfigError, match="one label for each score"):
        fit(scores, labels)


def test_there_must_be_as_many_cosines_as_scores():
    with pytest.raises(ConfigError, match="not 2 for 2 and 1"):
        fit([1.0, 2.0], [True, False], cosines=[0.5])


@pytest.mark.parametrize("similarity", [-0.1, math.nan, math.inf])
def test_a_cosine_that_lowers_the_probability_is_refused(similarity):
    with pytest.raises(ConfigError, match="similarity of at least 0"):
        Calibration(1.0, 0.0, similarity)


@pytest.mark.parametrize("slope", [0.0, -1.0, math.nan, math.inf])
def test_a_slope_that_does_not_keep_the_order_is_refused(slope):
    with pytest.raises(ConfigError, match="positive slope"):
        Calibration(slope)


def test_the_threshold_lies_in_the_middle_of_the_gap():
    assert least_cost([0.9, 0.7], [0.3, 0.1]) == 0.5


def test_a_miss_may_cost_more_than_a_false_fire():
    right, wrong = [0.4, 0.6, 0.9, 0.9], [0.1, 0.2, 0.5, 0.7]
    assert least_cost(right, wrong, miss_weight=10) < 0.4
    assert least_cost(right, wrong, miss_weight=0.1) > 0.7


def test_a_threshold_needs_both_kinds_of_questions():
    with pytest.raises(ConfigError, match="got 0 and 1"):
        least_cost([], [0.5])
    with pytest.raises(ConfigError, match="miss_weight"):
        least_cost([0.5], [0.5], miss_weight=0)


def test_the_area_counts_pairs_in_the_right_order_and_halves_ties():
    assert area_under_curve([3.0, 4.0], [1.0, 2.0]) == 1.0
    assert area_under_curve([1.0], [1.0]) == 0.5
    assert area_under_curve([], [1.0]) is None


def test_reliability_counts_every_pair_once():
    table = reliability([0.0, 0.05, 0.999, 1.0], [False, True, True, True])
    assert [(row["from"], row["pairs"], row["true"]) for row in table] == [
        (0.0, 2, 0.5),
        (0.9, 2, 1.0),
    ]
    assert calibration_error([], []) is None
