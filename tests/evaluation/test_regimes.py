"""Regimes: which edits are in the model together, and in how many calls they came."""

from __future__ import annotations

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import EditTooLongError
from lte_chains.evaluation.regimes import Regime, superseded


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


class _Short(_Listening):
    """Takes no edits of more than one character."""

    def edit(self, edits):
        if places := [place for place, edit in enumerate(edits) if len(edit) > 1]:
            raise EditTooLongError("too long", places)
        super().edit(edits)


@pytest.mark.parametrize(
    ("text", "calls"),
    [("batch:3", [["a", "c"]]), ("sequential:3", [["a"], ["c"]]), ("single", [["a", "c"]])],
)
def test_an_edit_that_is_too_long_is_left_out_and_the_others_are_made(text, calls):
    editor, done = _Short(), []
    left_out = Regime.parse(text).insert(editor, ["a", "bb", "c"], advance=done.append)
    assert (left_out, editor.calls, sum(done)) == ({1}, calls, 3)


def test_a_group_of_nothing_but_edits_that_are_too_long_makes_none():
    editor = _Short()
    assert Regime.parse("batch:2").insert(editor, ["aa", "bb"]) == {0, 1}
    assert editor.calls == []


def test_edits_that_a_later_one_takes_back_are_counted_in_their_group():
    edits = [Edit(prompt="The CEO of Acme is", target_new=name) for name in ("A", "B", "B", "C")]
    assert superseded(edits) == 3
    assert [superseded(group) for group in Regime.parse("batch:2").groups(edits)] == [1, 1]
    assert [superseded(group) for group in Regime.parse("single").groups(edits)] == [0] * 4
