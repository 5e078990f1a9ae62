"""Small campaigns; see `crash` and `fuzz` for the large ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lte_chains.store import SQLiteStore
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
    assert done["told_add"] > 5
    assert done["told_retract"] > 0


def test_a_campaign_notices_what_a_writer_was_told_and_is_not_so(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "edits.db")
    edits = crash.batch("w-0")
    ids = store.add("default", edits, [crash.QUERIES[0]] * len(edits), fingerprint="x")
    store.retract("default", ids[:2])
    store.rollback("default", 1)
    store.purge("default", ids[5:6])
    history = crash.History()
    history.follow(store)
    true = [
        crash.Report("add", tuple(ids), 0),
        crash.Report("retract", tuple(ids[:2]), 2),
        crash.Report("rollback", (), 3, target=1),
        crash.Report("purge", tuple(ids[5:6]), 4),
    ]
    false = [
        crash.Report("add", ("w-1-0",), 0),
        crash.Report("retract", tuple(ids[:2]), 3),
        crash.Report("retract", tuple(ids[:3]), 2),
        crash.Report("retract", tuple(ids[:2]), 5),
        crash.Report("rollback", (), 3, target=2),
        crash.Report("purge", tuple(ids[:1]), 2),
    ]
    for report in true:
        history.check(report, store)
    for report in false:
        with pytest.raises(AssertionError, match="lost"):
            history.check(report, store)
    assert history.live(4) == {edit.id for edit in store.edits("default")}
    store.close()


def test_no_input_is_an_unhandled_error(tmp_path: Path) -> None:
    report = fuzz.run(tmp_path, inputs=300, seed=7)
    assert report["Importer"]["read"] > 5
    assert set(report["CommandLine"]) == {"exit 0", "exit 1", "exit 2"}
    assert {"opened", "StoreError"} <= set(report["Opener"])


def test_a_campaign_notices_a_file_that_opens_with_edits_that_were_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = fuzz.Opener(tmp_path)

    def one_letter(_: random.Random, content: bytes) -> bytes:
        return content.replace(b"Fact 7 is", b"Fakt 7 is")

    monkeypatch.setattr(opener, "_damaged", one_letter)
    outcomes = {opener.feed(random.Random(n)) for n in range(8)}
    assert outcomes == {"opened", "opened, and the doctor knows why it is not as it was"}
    monkeypatch.setattr(fuzz, "examine", lambda *_, **__: [])
    with pytest.raises(AssertionError, match="the doctor finds nothing"):
        list(map(opener.feed, map(random.Random, range(8))))
