"""Files of earlier formats are brought up to date when they are opened, and keep everything."""

from __future__ import annotations

import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.store import SQLiteStore
from lte_chains.store.doctor import examine
from lte_chains.store.schema import SCHEMA_VERSION, prepare
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=4)
HERE = Path(__file__).parent
"""Dumps of what earlier formats wrote. Of formats 2 and 3 with what those versions said of it: times
that were cut, superseded, retracted, restored, proposed, approved, rejected and purged edits, ids
used again, other vectors; in format 3 many values, aliases, and a statement that took a slot."""


def restored(format_: int, path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((HERE / f"format_{format_}.sql").read_text(encoding="utf-8"))
    connection.close()
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return restored(1, tmp_path / "edits.db")


def plain(edit: Edit) -> dict[str, Any]:
    """An edit's fields that are not empty, as JSON has them; the slot no old version told."""
    fields = {name: value for name, value in vars(edit).items() if value not in (None, (), "", {})}
    fields.pop("matched_slot", None)
    return json.loads(json.dumps(fields, default=lambda value: value.isoformat()))


def told(memory: EditMemory) -> dict[str, Any]:
    """All that a memory says, as JSON has it."""
    return {
        "revision": memory.revision,
        "edits": [plain(edit) for edit in memory.edits()],
        "pending": [plain(edit) for edit in memory.pending()],
        "history": [
            [
                *(entry.revision, entry.at.isoformat(), entry.operation, entry.action, entry.id),
                *(entry.version, entry.superseded_by, entry.edit and plain(entry.edit)),
            ]
            for entry in memory.history()
        ],
        "as_of": [
            [f"{edit.id} {edit.version}" for edit in memory.edits(as_of=revision)]
            for revision in range(memory.revision + 1)
        ],
        "found": [
            [match.edit.id, round(match.score, 5)]
            for match in memory.search_edits("Fact 1 Ann", k=50)
        ],
    }


def tables(path: Path) -> set[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    try:
        return set(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
    finally:
        connection.close()


def test_an_old_file_keeps_everything(old: Path) -> None:
    with EditMemory.open(old, embeddings=EMBEDDINGS) as memory:
        jane, john, seat = sorted(memory.edits(), key=lambda edit: str(edit.id))
        assert (jane.id, jane.version, jane.revision) == ("jane", 2, 2)
        assert (john.target_new, john.valid_from.date()) == ("John Roe", date(2027, 1, 1))
        assert seat == Edit(
            prompt="Acme's seat is in",
            target_new="Lisbon",
            source="https://acme.example",
            metadata={"ticket": 7},
            id="seat",
            namespace="default",
            version=1,
            revision=1,
        )
        assert [(entry.revision, entry.action, entry.id) for entry in memory.history()] == [
            (1, "add", "jane"),
            (1, "add", "seat"),
            (2, "supersede", "jane"),
            (2, "add", "jane"),
            (2, "add", "john"),
            (3, "add", "anvils"),
            (4, "retract", "anvils"),
        ]
        assert [edit.id for edit in memory.edits(as_of=1)] == ["jane", "seat"]
        assert memory.search_edits("Acme's seat is in", k=1)[0].edit.id == "seat"
        assert [edit.id for edit in memory.in_namespace("other").edits()] == ["sum"]


@pytest.mark.parametrize("format_", [2, 3])
def test_a_file_says_what_the_version_that_wrote_it_said(format_: int, tmp_path: Path) -> None:
    path = restored(format_, tmp_path / "edits.db")
    expected = json.loads((HERE / f"format_{format_}.json").read_text(encoding="utf-8"))
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        for namespace, said in expected.items():
            assert told(memory.in_namespace(namespace)) == said
    assert examine(path) == []


@pytest.mark.parametrize("format_", [2, 3])
def test_a_file_goes_on_where_the_version_that_wrote_it_stopped(
    format_: int, tmp_path: Path
) -> None:
    path = restored(format_, tmp_path / "edits.db")
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        live, revision = len(memory.edits()), memory.revision
        memory.add_edits([Edit(prompt="Fact 9 is", target_new="x")])
        memory.propose([Edit(prompt="Fact 40 is", target_new="x")])
        assert (len(memory.edits()), memory.revision) == (live, revision), "all of it is known"
        memory.add_edits([Edit(prompt="Fact 9 is", target_new="z", id="later")])
        assert [e.superseded_by for e in memory.history()][-2:] == ["later", None]
        memory.approve(["wait"])
        assert [edit.id for edit in memory.pending()] == ["wait2", "maybe"]
        memory.rollback(2)
        assert [f"{e.id} {e.version}" for e in memory.edits()] == [
            f"{e.id} {e.version}" for e in memory.edits(as_of=2)
        ]
        memory.add_edits([Edit(prompt="Fact 0 is", target_new="back", id="e0")])
        assert [e.version for e in memory.edits() if e.id == "e0"] == [2]
        if format_ == 3:
            memory.rollback(4)
            memory.add_edits(
                [Edit(prompt="Whose?", target_new="Cy", subject="Anna", relation="child", id="c2")]
            )
            ids = {edit.id for edit in memory.edits()}
            assert ids >= {"c2", "bob2"}, "another value stays"
            assert "cy" not in ids, "the same one, by an alias, does not"
    assert examine(path) == []


def test_an_old_file_can_do_all_that_a_new_one_can(old: Path) -> None:
    with EditMemory.open(old, embeddings=EMBEDDINGS) as memory:
        memory.rollback(3)
        assert {edit.id for edit in memory.edits()} == {"jane", "john", "seat", "anvils"}
        assert memory.pending() == []
        memory.approve(memory.propose([Edit(prompt="Acme's seat is in", target_new="Porto")]))
        assert [edit.target_new for edit in memory.edits(at=date(2026, 1, 1))][-1] == "Porto"
        [again] = memory.add_edits([Edit(prompt="Acme's seat is in", target_new="Porto")])
        assert memory.revision == 7, again
        memory.purge(["jane"])
        memory.reembed(BagOfWordsEmbeddings(dim=8))
        assert memory.search_edits("The CEO of Acme is", k=1, at=date(2027, 6, 1))[0].edit.id == (
            "john"
        )


def test_a_migrated_file_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    for path in (old, new):
        SQLiteStore(path).close()
    assert {row[1:] for row in tables(old)} - {row[1:] for row in tables(new)} <= {
        ("sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)")  # SQLite's own, for good
    }
    assert {row[1:] for row in tables(new)} <= {row[1:] for row in tables(old)}
    for path in (old, new):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_many_may_open_an_old_file_at_once(old: Path) -> None:
    def ids() -> set[str | None]:
        with EditMemory.open(old, embeddings=EMBEDDINGS) as memory:
            return {edit.id for edit in memory.edits()}

    with ThreadPoolExecutor(8) as pool:
        found = [job.result() for job in [pool.submit(ids) for _ in range(8)]]
    assert found == [{"jane", "john", "seat"}] * 8


@pytest.mark.skipif(os.name != "posix", reason="needs a way of SQLite's to lock without a log")
def test_a_place_where_no_log_can_be_is_used_and_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"{(tmp_path / 'edits.db').as_uri()}?vfs=unix-dotfile"  # as little as some networks do
    for _ in range(2):
        caplog.clear()
        with closing(sqlite3.connect(place, uri=True, isolation_level=None)) as connection:
            prepare(connection, "edits.db")
            assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert "edits.db cannot have a write-ahead log" in caplog.text
        assert "local disk" in caplog.text


def test_a_migration_that_fails_leaves_the_old_file(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lte_chains.errors import StoreError
    from lte_chains.store import schema

    last = (*schema.MIGRATIONS[SCHEMA_VERSION], "CREATE TABLE meta (again)")
    before = tables(old)
    with monkeypatch.context() as patch:
        patch.setitem(schema.MIGRATIONS, SCHEMA_VERSION, last)
        with pytest.raises(StoreError, match="meta"):
            SQLiteStore(old)
    assert tables(old) == before
    with EditMemory.open(old, embeddings=EMBEDDINGS) as memory:
        assert len(memory.edits()) == 3


def held(memory: EditMemory) -> set[str | None]:
    return {edit.id for edit in memory.edits()}


def ceo(subject: str, target: str) -> Edit:
    return Edit(prompt="Who?", target_new=target, subject=subject, relation="CEO", id=target)


def test_slots_of_format_4_are_those_of_today(tmp_path: Path) -> None:
    path = restored(4, tmp_path / "edits.db")
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        revision = memory.revision
        assert held(memory) >= {"straight", "curly", "kyoto", "joyce", "ice", "kit", "levi2"}
        memory.add_edits([Edit(prompt="日本の首都は", target_new="奈良", id="nara")])
        memory.add_edits([Edit(prompt='Who wrote "Ulysses"', target_new="Homer", id="homer")])
        memory.add_edits([ceo("B&J's", "Liz")])
        assert held(memory).isdisjoint({"kyoto", "joyce", "ice"})
        memory.approve(["wendy"])
        memory.add_edits([ceo("Wendy's", "Tim")])
        assert "wendy" not in held(memory)
        child = {"subject": "O'Hara", "relation": "child", "prompt": "Whose?"}
        memory.add_edits([Edit(target_new='Kit "K"', id="kit2", **child)])
        memory.add_edits([Edit(target_new="Al", id="al", **child)])
        assert held(memory) >= {"kit2", "al"}
        assert "kit" not in held(memory)
        memory.rollback(7)
        memory.add_edits([ceo("Levi's", "Max")])
        assert held(memory).isdisjoint({"levi", "levi2"})
        assert memory.history()[0].revision == 1 < revision


def test_edits_that_come_to_share_a_slot_stay_and_are_named(tmp_path: Path) -> None:
    path = restored(4, tmp_path / "edits.db")
    [finding] = examine(path)
    assert (finding.part, finding.problem) == (
        "slots",
        "1 live edits whose slot a later one holds as well",
    )
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        assert held(memory) >= {"straight", "curly", "early", "late"}
        memory.add_edits([ceo("MOODY'S", "Kim")])
        assert held(memory).isdisjoint({"straight", "curly"})
    assert examine(path) == []


def test_a_damaged_edit_of_an_old_file_does_not_keep_it_closed(tmp_path: Path) -> None:
    path = restored(4, tmp_path / "edits.db")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE versions SET aliases = 'no JSON' WHERE id IN ('ice', 'curly')")
    connection.commit()
    connection.close()
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([Edit(prompt="日本の首都は", target_new="奈良", id="nara")])
        assert [edit.target_new for edit in memory.get_edits(["nara"])] == ["奈良"]
        assert memory.history("kyoto")[-1].superseded_by == "nara"
