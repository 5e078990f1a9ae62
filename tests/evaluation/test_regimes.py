"""Regimes: which edits are in the model together, and in how many calls they came."""

from __future__ import annotations

import pytest

from lte_chains.errors import ConfigError
from lte_chains.evaluation.regimes import Regime


class _Listening:
    def __init__(self):
        self.calls = []

    def edit(self, edits):
        self.calls.append(list(edits))


@pytest.mark.parametrize(
    ("text", "groups", "calls"),
    [
        ("single", [["a"], ["b"], ["c"]], [["a"]]),
        ("batch:2", [["a", "b"], ["c"]], [["a", "b"]]),
        ("batch:100", [["a", "b", "c"]], [["a", "b", "c"]]),
        ("sequential:2", [["a", "b"], ["c"]], [["a"], ["b"]]),
    ],
)
def test_a_regime_groups_rows_and_inserts_them_in_its_way(text, groups, calls):
    regime, editor = Regime.parse(text), _Listening()
    assert str(regime) == text
    assert regime.groups("abc") == groups
    regime.insert(editor, groups[0])
    assert editor.calls == calls


@pytest.mark.parametrize("text", ["", "all", "batch:x", "batch:0", "single:2", "sequential:-1"])
def test_what_is_no_regime_is_refused(text):
    with pytest.raises(ConfigError, match="single, batch:N or sequential:N"):
        Regime.parse(text)
