"""Metrics against values that were worked out by hand."""

from __future__ import annotations

import pytest

from lte_chains.evaluation.metrics import mean, mean_over_rows, ngram_entropy


def test_fluency_is_the_weighted_entropy_of_bigrams_and_trigrams():
    # Three distinct bigrams and two distinct trigrams: log2 3 and 1 bits.
    expected = 100 * (2 / 3 * 1.584962500721156 + 4 / 3 * 1.0) / 2
    assert ngram_entropy("a b c d") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "one", "one two", "no no no no no"])
def test_repetition_and_very_short_text_are_not_fluent(text):
    assert ngram_entropy(text) == 0


def test_means_are_over_rows_of_keys_of_prompts():
    rows = [{"a": [1.0, 0.0], "b": [0.0]}, {"a": [1.0]}, {"b": []}, {}]
    assert mean_over_rows(rows) == 0.625


def test_nothing_to_average_is_none():
    assert mean([]) is None
    assert mean_over_rows([{}, {"a": []}]) is None
