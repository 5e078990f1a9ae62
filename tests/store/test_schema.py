"""Files of earlier formats are brought up to date when they are opened, and keep everything."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.store import SQLiteStore
from lte_chains.store.schema import SCHEMA_VERSION
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=4)
FORMAT_1 = Path(__file__).with_name("format_1.sql")
"""A dump of what format 1 wrote: two namespaces, a time that was cut, a retracted statement."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "edits.db"
    connection = sqlite3.connect(path)
    connection.executescript(FORMAT_1.read_text(encoding="utf-8"))
    connection.close()
    return path


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
    assert {row[:2] for row in tables(old)} == {row[:2] for row in tables(new)}
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
