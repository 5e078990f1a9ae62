"""The doctor finds what is damaged, repairs what is derived, and leaves a sound memory alone."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lte_chains.cli import app
from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.index import cache, vector_index
from lte_chains.memory import EditMemory
from lte_chains.store import SQLiteStore, saved_indexes
from lte_chains.store.doctor import examine
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.store.test_bulk import some_edit

EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a memory in which everything has happened, with a saved index."""
    folder = tmp_path_factory.mktemp("made")
    rng = random.Random(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_indexes, "_WORTH", 80)
        patch.setattr(vector_index, "GROWING_ROWS", 40)
        patch.setattr(vector_index, "KEPT_ROWS", 0)
        with EditMemory.open(folder / "edits.db", embeddings=EMBEDDINGS) as memory:
            for _ in range(6):
                memory.add_edits([some_edit(rng) for _ in range(20)])
            memory.add_edits([Edit(prompt=f"Fact {n} is", target_new="so") for n in range(150)])
            memory.retract([str(edit.id) for edit in memory.edits()[:5]])
            memory.rollback(4)
            memory.rollback(7)
            waiting = memory.propose([some_edit(rng), Edit.from_statement("Maybe.")])
            memory.approve(waiting[:1])
            memory.propose([Edit.from_statement("Perhaps.", id="gone")])
            memory.purge(["gone", str(memory.edits()[0].id)])
            memory.in_namespace("other").add_edits([some_edit(rng) for _ in range(20)])
            memory.search_edits("Fact")
    assert len(cache.places_of(folder / "edits.db")) == 1
    return folder


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "edits.db"


def run(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_sound_memory_has_no_findings(path: Path) -> None:
    assert examine(path) == []
    assert examine(path, repair=True) == []
    assert len(cache.places_of(path)) == 1


def test_an_old_file_is_sound_once_it_is_brought_up_to_date(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript(Path(__file__).with_name("format_1.sql").read_text("utf-8"))
    connection.close()
    assert examine(tmp_path / "old.db") == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE versions SET state = 0 WHERE key % 3 = 0",
        "UPDATE versions SET state = 1 WHERE state = 0 AND digest IS NOT NULL",
        "UPDATE versions SET state = 2 WHERE key % 5 = 0 AND state = 1",
        "UPDATE versions SET state = 0 WHERE state = 2",
        "DELETE FROM other_slots",
        "INSERT INTO other_slots SELECT room, 'x', key FROM versions WHERE state = 1 LIMIT 1",
        "UPDATE versions SET slot = 'x' WHERE prompt = 'Fact 140 is'",
        "DROP INDEX live_by_slot",
    ],
)
def test_what_follows_from_the_ledger_is_made_anew(path: Path, damage: str) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        before = memory.edits(), memory.pending(), memory.in_namespace("other").edits()
    run(path, damage)
    [finding, *rest] = examine(path)
    assert (finding.part, finding.repaired) == ("index", False)
    assert {other.part for other in rest} <= {"cache"}
    assert all(finding.repaired for finding in examine(path, repair=True))
    assert examine(path) == []
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        assert (memory.edits(), memory.pending()) == before[:2]
        assert memory.in_namespace("other").edits() == before[2]


@pytest.mark.parametrize(
    ("damage", "part", "problem"),
    [
        ("DELETE FROM revisions WHERE revision = 2", "ledger", "without a gap"),
        ("UPDATE revisions SET last = last + 1 WHERE revision = 6", "ledger", "is missing"),
        ("UPDATE versions SET revision = 1 WHERE revision = 6", "ledger", "does not tell of"),
        ("UPDATE events SET revision = 1", "ledger", "does not tell of"),
        ("DELETE FROM events WHERE action = 'retract'", "ledger", "is missing"),
        ("DELETE FROM versions WHERE key = 9", "ledger", "is missing"),
        ("UPDATE versions SET digest = NULL WHERE key = 9", "ledger", "neither stored nor purged"),
        ("UPDATE versions SET target_new = 'lies' WHERE key = 9", "ledger", "text is damaged"),
        ("UPDATE versions SET metadata = '{' WHERE key = 9", "ledger", "text is damaged"),
        ("UPDATE revisions SET at = 'x' WHERE revision = 2", "ledger", "date is damaged"),
        ("UPDATE versions SET version = 7 WHERE key = 9", "ledger", "versions are not numbered"),
        ("DELETE FROM rooms", "ledger", "no name"),
        ("DELETE FROM vectors WHERE key = 9", "vectors", "without vectors"),
        ("INSERT INTO vectors VALUES (99999, x'00')", "vectors", "not there"),
        ("UPDATE vectors SET vector = x'0102' WHERE key = 9", "vectors", "damaged"),
        ("UPDATE vectors SET vector = zeroblob(127) || x'7f' WHERE key = 9", "vectors", "damaged"),
        ("DELETE FROM meta WHERE name = 'space'", "vectors", "no record"),
    ],
)
def test_what_was_written_once_is_only_reported(
    path: Path, damage: str, part: str, problem: str
) -> None:
    run(path, damage)
    for repair in (False, True):
        found = [finding for finding in examine(path, repair=repair) if not finding.repaired]
        assert [f for f in found if f.part == part and problem in f.problem], found
        assert all(finding.remedy for finding in found)


def test_a_damaged_text_does_not_end_the_examination(path: Path) -> None:
    run(
        path,
        "UPDATE versions SET metadata = '{', aliases = '[\"x\"]' WHERE state = 1",
        "DELETE FROM vectors WHERE key = 9",
    )
    assert {finding.part for finding in examine(path)} >= {"ledger", "vectors"}


def test_an_empty_file_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "edits.db").touch()
    with pytest.raises(StoreError, match="no edit memory"):
        examine(tmp_path / "edits.db")


def test_what_the_doctor_says_of_vectors_helps(path: Path) -> None:
    lost = "SELECT max(key) FROM versions WHERE state = 1 AND prompt = 'Fact 149 is'"
    run(
        path,
        f"DELETE FROM vectors WHERE key = ({lost})",
        "DELETE FROM vectors WHERE key = 9",
        "INSERT INTO vectors VALUES (99999, x'00')",
    )
    assert {finding.part for finding in examine(path)} >= {"vectors"}
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.reembed(memory.embeddings)
        found = memory.search_edits("Fact 149 is", k=500)
        assert "Fact 149 is" in {match.edit.prompt for match in found}
    assert examine(path) == []


def test_damaged_indexes_of_sqlite_are_made_anew(path: Path) -> None:
    run(
        path,
        "UPDATE sqlite_master SET sql = replace(sql, 'slot, state', 'state, slot') "
        "WHERE name = 'live_by_slot'",
    )
    # Which are live is read by that index, so a saved index of vectors seems to hold others.
    assert "index" in {finding.part for finding in examine(path)} <= {"index", "cache"}
    assert all(finding.repaired for finding in examine(path, repair=True))
    assert examine(path) == []


def test_a_damaged_page_is_reported(path: Path) -> None:
    content = bytearray(path.read_bytes())
    rng = random.Random(1)
    for _ in range(40):
        at = rng.randrange(8192, len(content) - 200)
        content[at : at + 200] = rng.randbytes(200)
    path.write_bytes(bytes(content))
    assert "file" in {finding.part for finding in examine(path)}


def test_caches_that_do_not_fit_are_found_and_deleted(path: Path) -> None:
    [place] = cache.places_of(path)
    whole = place.read_bytes()
    for number, content in enumerate((whole[:-1], b"", whole)):
        broken = place.with_name(f"edits.db-index-{number:016x}")
        broken.write_bytes(content)
    found = examine(path)
    assert {finding.part for finding in found} == {"cache"}
    assert len(found) == 3
    examine(path, repair=True)
    assert cache.places_of(path) == [place]
    assert examine(path) == []


def test_a_cache_with_other_vectors_than_the_ledger_is_found(path: Path) -> None:
    run(
        path,
        "UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE key = 150) WHERE key = 160",
    )
    [finding] = examine(path)
    assert (finding.part, "not what the ledger holds" in finding.problem) == ("cache", True)


def test_a_commit_between_two_looks_at_the_ledger_is_no_finding(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[str] = []

    def beside(connection: sqlite3.Connection, saved: cache.Saved) -> str | None:
        def add(statement: str) -> None:
            if statement.startswith("SELECT key, vector FROM vectors") and not added:
                with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
                    added.extend(memory.add_edits([Edit.from_statement("Beside.")]))

        connection.set_trace_callback(add)
        return fault(connection, saved)

    fault = saved_indexes._fault
    monkeypatch.setattr(saved_indexes, "_fault", beside)
    assert examine(path) == []
    assert added


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_is_an_unhandled_error(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 30)):
        at = rng.randrange(len(content))
        content[at : at + rng.randrange(1, 300)] = rng.randbytes(rng.randrange(1, 300))
    path.write_bytes(bytes(content[: rng.choice([len(content), rng.randrange(len(content))])]))
    with contextlib.suppress(StoreError):
        examine(path, repair=bool(seed % 2))


def test_the_commands_tell_and_repair(path: Path, tmp_path: Path) -> None:
    runner = CliRunner()

    def call(*arguments: str, code: int = 0) -> dict:
        result = runner.invoke(app, [*arguments, "--store", str(path), "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if result.stdout else {}

    assert call("doctor") == {"store": str(path), "sound": True, "findings": []}
    copy = tmp_path / "copy.db"
    assert call("backup", str(copy))["bytes"] == copy.stat().st_size
    run(path, "UPDATE versions SET state = 0")
    report = call("doctor", code=1)
    assert report["findings"][0]["remedy"] == "lte-chains doctor --repair"
    assert call("doctor", "--repair")["sound"]
    run(path, "DELETE FROM versions")
    call("restore", str(copy), code=1)
    call("restore", str(copy), "--replace")
    assert call("doctor")["sound"]
    table = runner.invoke(app, ["doctor", "--store", str(path)])
    assert "is sound" in table.stdout
    for command in ("doctor", "backup", "restore"):
        arguments = [command, *([str(copy)] if command != "doctor" else [])]
        result = runner.invoke(app, [*arguments, "--store", "postgresql://u:secret@h/d"])
        assert result.exit_code == 1
        assert "secret" not in result.output
    none = runner.invoke(app, ["doctor", "--store", str(tmp_path / "none.db")])
    assert none.exit_code == 1


def test_vectors_of_zeros_are_sound(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "edits.db")
    edits = [Edit.from_statement("Nothing.")]
    store.add("default", edits, np.zeros((1, 4), np.float32), fingerprint="x")
    store.close()
    assert examine(tmp_path / "edits.db") == []
