"""A progress bar appears for long work on a terminal, or when it is asked for."""

from __future__ import annotations

import io
import sys

import pytest

from lte_chains import progress
from lte_chains.progress import in_batches


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Make stderr a terminal; called in the test itself, where pytest's capture is set up."""
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    return stream


@pytest.mark.parametrize("show", [True, False, None])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 13])
def test_every_item_comes_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, show: bool | None, count: int
) -> None:
    terminal(monkeypatch)
    for patience in (-1.0, 1e9):
        monkeypatch.setattr(progress, "_PATIENCE_SECONDS", patience)
        batches = list(in_batches(range(count), 4, label="Counting", show=show))
        assert [n for batch in batches for n in batch] == list(range(count))
        assert all(len(batch) <= 4 for batch in batches)


@pytest.mark.parametrize(
    ("show", "patience", "expected"),
    [(None, -1.0, True), (None, 1e9, False), (True, 1e9, True), (False, -1.0, False)],
)
def test_on_a_terminal_long_work_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch,
    show: bool | None,
    patience: float,
    expected: bool,
) -> None:
    stream = terminal(monkeypatch)
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", patience)
    list(in_batches(range(10), 2, label="Counting", show=show))
    assert ("Counting" in stream.getvalue()) is expected


def test_off_a_terminal_there_is_none_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", -1.0)
    list(in_batches(range(10), 2, label="Counting"))
    assert capsys.readouterr() == ("", "")
    list(in_batches(range(10), 2, label="Counting", show=True))
    assert "Counting" in capsys.readouterr().err
