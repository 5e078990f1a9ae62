"""A backup is one whole state, taken and put back while the memory is in use."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, ConflictError, DataError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store.schema import prepare
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=512)


def fact(n: int, target: str = "x") -> Edit:
    return Edit(prompt=f"Fact number {n} is", target_new=target)


def open_memory(path: Path | str, **options) -> EditMemory:
    return EditMemory.open(path, embeddings=EMBEDDINGS, **options)


def targets(memory: EditMemory) -> list[str]:
    return [edit.target_new for edit in memory.edits()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edits.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


def test_a_backup_is_a_memory_with_all_namespaces_and_the_history(path: Path, copy: Path) -> None:
    with open_memory(path) as memory:
        [id_] = memory.add_edits([fact(1)])
        memory.in_namespace("other").add_edits([fact(2, "other")])
        memory.retract([id_])
        memory.backup(copy)
        memory.add_edits([fact(3)])
    assert {p.name for p in path.parent.iterdir()} == {"edits.db", "copy.db"}
    with open_memory(copy) as again:
        assert (again.revision, targets(again)) == (2, [])
        assert targets(again.in_namespace("other")) == ["other"]
        again.rollback(1)
        assert again.search_edits("Fact number 1 is")[0].edit.id == id_


def test_a_memory_without_a_file_can_be_saved(copy: Path) -> None:
    with open_memory(":memory:") as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
    with open_memory(copy) as again:
        assert targets(again) == ["x"]


def test_writers_go_on_while_a_backup_is_taken(path: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with open_memory(path) as memory:
            batch = 0
            while not stop.is_set():
                memory.add_edits([fact(n, str(batch)) for n in range(20)])
                batch += 1

    with open_memory(path) as memory:
        memory.add_edits([fact(n, "first") for n in range(20)])
        thread = threading.Thread(target=write)
        thread.start()
        for number in range(8):
            memory.backup(tmp_path / f"copy{number}.db")
        stop.set()
        thread.join()
    for number in range(8):
        with open_memory(tmp_path / f"copy{number}.db") as again:
            assert len(again.edits()) == 20
            assert len(set(targets(again))) == 1


def test_a_backup_replaces_an_earlier_one_only_when_it_is_whole(
    path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
        before = copy.read_bytes()
        memory.add_edits([fact(2)])

        def full(_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="No space"):
                memory.backup(copy)
        assert copy.read_bytes() == before
        assert {p.name for p in path.parent.iterdir() if p.name.startswith(".")} == set()
        memory.backup(copy)
    with open_memory(copy) as again:
        assert again.revision == 2


@pytest.mark.parametrize("bad", ["itself", "folder", "missing/copy.db", "", 7])
def test_a_backup_needs_a_place(path: Path, bad: object) -> None:
    place = {"itself": path, "folder": path.parent}.get(str(bad), bad)
    place = path.parent / place if place == "missing/copy.db" else place
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        with pytest.raises((StoreError, ConfigError)):
            memory.backup(place)  # type: ignore[arg-type]
        assert targets(memory) == ["x"]


def test_a_backup_of_other_pages_is_restored_into_an_open_memory(path: Path, copy: Path) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(n) for n in range(50)])
        memory.backup(copy)
        with sqlite3.connect(copy, isolation_level=None) as older:
            older.execute("PRAGMA page_size = 4096")
            older.execute("VACUUM")
            assert older.execute("PRAGMA page_size").fetchone() == (4096,)
        older.close()
        memory.add_edits([fact(60)])
        EditMemory.restore(copy, path)
        assert len(memory.edits()) == 50
        assert memory.search_edits("Fact number 7 is")[0].edit.prompt == "Fact number 7 is"
    with sqlite3.connect(path) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    restored.close()


def test_a_restored_memory_is_seen_by_those_who_have_it_open(path: Path, copy: Path) -> None:
    with open_memory(path) as memory, open_memory(path) as other:
        memory.add_edits([fact(n, "old") for n in range(30)])
        memory.backup(copy)
        memory.add_edits([fact(n, "new") for n in range(40)])
        assert other.search_edits("Fact number 7 is", k=1)[0].edit.target_new == "new"
        EditMemory.restore(copy, path)
        for seen in (memory, other):
            assert (seen.revision, set(targets(seen))) == (1, {"old"})
            found = seen.search_edits("Fact number 7 is", k=99)
            assert (len(found), found[0].edit.target_new) == (30, "old")
        memory.add_edits([fact(99, "then")])
        assert other.search_edits("Fact number 99 is", k=1)[0].edit.target_new == "then"


def test_a_backup_can_be_put_where_no_memory_is(path: Path, copy: Path) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
    path.unlink()
    EditMemory.restore(copy, path)
    with open_memory(path) as again:
        assert targets(again) == ["x"]


@pytest.mark.parametrize("holds", ["memory", "backup"])
def test_a_restore_waits_for_who_holds_a_file_but_not_for_ever(
    path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, holds: str
) -> None:
    monkeypatch.setattr("lte_chains.store.backup.BUSY_SECONDS", 0.3)
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
        memory.add_edits([fact(2)])
        with closing(sqlite3.connect({"memory": path, "backup": copy}[holds])) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match=r"locked.*try again"):
                EditMemory.restore(copy, path)
            assert len(memory.edits()) == 2
        EditMemory.restore(copy, path)
        assert len(memory.edits()) == 1


@pytest.fixture
def crashed(path: Path, copy: Path) -> Path:
    """A memory with a log beside it that nobody has open any more, of which `copy` is a backup."""
    with open_memory(path) as memory:
        memory.add_edits([fact(n, "old") for n in range(50)])
        memory.backup(copy)
        memory.add_edits([fact(n, "new") for n in range(80)])
        memory.retract([edit.id for edit in memory.edits()[:9]])
        files = {p: p.read_bytes() for p in path.parent.iterdir() if p.name.startswith(path.name)}
    assert path.with_name("edits.db-wal") in files
    for file, content in files.items():
        file.write_bytes(content)
    return path


def test_the_log_of_a_file_that_is_gone_is_not_applied_to_the_one_put_in_its_place(
    crashed: Path, copy: Path
) -> None:
    crashed.unlink()
    log = crashed.with_name("edits.db-wal")
    with pytest.raises(StoreError, match=r"edits\.db-wal beside .* delete it and try again"):
        EditMemory.restore(copy, crashed)
    with open_memory(copy) as memory, pytest.raises(StoreError, match="delete it and try again"):
        memory.backup(crashed)
    assert not crashed.exists()
    log.unlink()
    EditMemory.restore(copy, crashed)
    with open_memory(crashed) as memory:
        assert (len(memory.edits()), set(targets(memory))) == (50, {"old"})


def test_what_is_no_memory_any_more_is_to_be_moved_away_before_a_restore(
    path: Path, copy: Path
) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    with pytest.raises(StoreError, match=r"move it away, and edits\.db-wal with it"):
        EditMemory.restore(copy, path)
    path.rename(path.with_name("ruin.db"))
    EditMemory.restore(copy, path)
    with open_memory(path) as memory:
        assert targets(memory) == ["x"]


def test_a_restored_file_takes_the_place_of_one_that_was_not_closed(
    crashed: Path, copy: Path
) -> None:
    EditMemory.restore(copy, crashed)
    with open_memory(crashed) as memory:
        assert (len(memory.edits()), set(targets(memory))) == (50, {"old"})


def test_a_backup_replaces_a_memory_that_was_not_closed_but_none_that_is_open(
    crashed: Path, tmp_path: Path
) -> None:
    with open_memory(tmp_path / "other.db") as other:
        other.add_edits([fact(1, "other")])
        with open_memory(crashed) as memory:
            with pytest.raises(StoreError, match="open elsewhere"):
                other.backup(crashed)
            memory.add_edits([fact(99)])
            assert len(memory.edits()) == 72
        other.backup(crashed)
    with open_memory(crashed) as memory:
        assert targets(memory) == ["other"]


def test_readers_hold_up_no_writer_of_a_restored_memory_or_of_a_backup(
    path: Path, copy: Path
) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
    path.unlink()
    EditMemory.restore(copy, path)
    for place in (path, copy):
        with open_memory(place) as memory, closing(sqlite3.connect(place)) as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM versions").fetchone() == (1,)
            memory.add_edits([fact(2)])


def test_a_file_that_cannot_be_switched_to_a_log_is_used_as_it_is(path: Path, copy: Path) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(copy)
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as connection:
        prepare(connection, str(copy))
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (1,)


def test_what_is_no_sound_backup_changes_nothing(path: Path, tmp_path: Path, copy: Path) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(n) for n in range(300)])
        memory.backup(copy)
    foreign, empty, cut, text = (tmp_path / name for name in ("f.db", "e.db", "c.db", "t.db"))
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    sqlite3.connect(empty).close()
    cut.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2 // 4096 * 4096])
    text.write_text("not a database, but long enough to be read as one" * 100)
    for bad in (foreign, empty, cut, text, tmp_path / "none.db", path):
        with pytest.raises(StoreError):
            EditMemory.restore(bad, path)
        with open_memory(path) as memory:
            assert len(memory.edits()) == 300
    with pytest.raises(StoreError, match="another program"):
        EditMemory.restore(copy, foreign)
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith(".")} == set()


def test_normal_durability_is_a_setting_of_sqlite(path: Path) -> None:
    for durability, expected in (("full", 2), ("normal", 1)):
        with open_memory(path, durability=durability) as memory:
            database = memory._shared.store._database  # type: ignore[attr-defined]
            assert database.read("PRAGMA synchronous")[0][0] == expected
    with pytest.raises(ConfigError, match="'full' or 'normal', not 'never'"):
        open_memory(path, durability="never")


@pytest.mark.parametrize("call", ["add_edits", "propose", "retract", "rollback", "purge"])
def test_a_writer_who_was_overtaken_changes_nothing(path: Path, call: str) -> None:
    with open_memory(path) as memory:
        memory.add_edits([Edit.from_statement("One.", id="a")])
        seen = memory.revision
        memory.add_edits([fact(1)])
        argument: object = {"add_edits": [fact(2)], "propose": [fact(2)], "rollback": 1}.get(
            call, ["a"]
        )
        before = memory.history()
        with pytest.raises(ConflictError, match="revision 2, not 1"):
            getattr(memory, call)(argument, if_revision=seen)
        assert memory.history() == before
        getattr(memory, call)(argument, if_revision=2)
        assert memory.revision == 3


def test_a_path_that_is_too_long_is_a_plain_error(path: Path) -> None:
    endless = "a" * 5000
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        with pytest.raises(StoreError, match="too long"):
            memory.backup(endless)
        with pytest.raises(DataError, match="too long"):
            memory.export_jsonl(endless)
        with pytest.raises(DataError, match="too long"):
            memory.import_jsonl(endless)
    for call in (
        lambda: open_memory(endless),
        lambda: EditMemory.restore(path, endless),
        lambda: EditMemory.restore(endless, path),
    ):
        with pytest.raises(StoreError, match="too long"):
            call()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE versions SET metadata = NULL",
        "UPDATE versions SET metadata = '[' ",
        "UPDATE versions SET prompt = x'ff00'",
        "UPDATE versions SET prompt = CAST(x'fffe' AS TEXT)",
        "UPDATE versions SET aliases = '7'",
        "UPDATE versions SET valid_from = 'soon'",
        "UPDATE revisions SET at = 'now'",
        "UPDATE meta SET value = '{' WHERE name = 'space'",
    ],
)
def test_damaged_rows_are_a_plain_error(path: Path, damage: str) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    schema = (
        "UPDATE sqlite_master SET sql = replace(sql, 'metadata TEXT NOT NULL', 'metadata TEXT')"
    )
    connection.execute(schema)
    connection.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(damage)
    connection.close()

    def read() -> None:
        with open_memory(path) as memory:
            memory.edits()
            memory.history()

    with pytest.raises(StoreError, match=r"damaged|UTF-8"):
        read()


@pytest.mark.parametrize("column", ["source", "aliases", "digest", "metadata"])
def test_a_table_that_lacks_a_column_is_a_plain_error(path: Path, column: str) -> None:
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"ALTER TABLE versions RENAME COLUMN {column} TO {column}x")
    connection.close()

    def read(what: str) -> None:
        with open_memory(path) as memory:
            getattr(memory, what)()

    for what in ("edits", "history") if column != "digest" else ("history",):
        with pytest.raises(StoreError, match="column"):
            read(what)


def test_a_link_stays_one(path: Path, copy: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(copy)
    with open_memory(path) as memory:
        memory.add_edits([fact(1)])
        memory.backup(link)
    assert link.is_symlink()
    with open_memory(copy) as memory:
        assert targets(memory) == ["x"]


def test_a_restore_while_all_is_embedded_anew_leaves_no_strange_vectors(
    path: Path, copy: Path
) -> None:
    with open_memory(copy) as memory:
        memory.add_edits([Edit.from_statement("Zebras have stripes.")])

    class Restoring(BagOfWordsEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            if copy.exists():
                EditMemory.restore(copy, path)
                copy.unlink()
            return super().embed_documents(texts)

    with open_memory(path) as memory:
        memory.add_edits([Edit.from_statement("Pears are green.")])
        memory.reembed(Restoring(dim=16))
        [found] = memory.search_edits("Zebras have stripes.")
    assert found.score == pytest.approx(1)
