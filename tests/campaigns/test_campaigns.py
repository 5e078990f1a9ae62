"""Small campaigns; see `crash` and `fuzz` for the large ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns import crash, fuzz


@pytest.fixture(autouse=True)
def _limits_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a campaign sets in this process."""
    monkeypatch.setattr(crash.saved_indexes, "_WORTH", crash.saved_indexes._WORTH)
    for name in ("GROWING_ROWS", "KEPT_ROWS"):
        monkeypatch.setattr(crash.vector_index, name, getattr(crash.vector_index, name))


@pytest.mark.slow
def test_writers_killed_at_random_points_lose_nothing(tmp_path: Path) -> None:
    done = crash.run(tmp_path / "edits.db", kills=5, writers=3, seed=1)
    assert done["kills"] == 5
    assert done["batches"] > 5


def test_no_input_is_an_unhandled_error(tmp_path: Path) -> None:
    report = fuzz.run(tmp_path, inputs=300, seed=7)
    assert report["Importer"]["read"] > 5
    assert set(report["CommandLine"]) == {"exit 0", "exit 1", "exit 2"}
    assert set(report["Opener"]) == {"opened", "StoreError"}
