"""Which places can hold a memory, and what is said of those that cannot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, LteError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import open_store
from lte_chains.store.schema import APPLICATION_ID, SCHEMA_VERSION
from tests.fakes_embeddings import BagOfWordsEmbeddings


def _filled(path: Path) -> None:
    with EditMemory.open(path, embeddings=BagOfWordsEmbeddings()) as memory:
        memory.add_edits([Edit(prompt=f"Fact {n} is", target_new="word " * 50) for n in range(200)])


def _corrupt_header(path: Path) -> None:
    _filled(path)
    path.write_bytes(os.urandom(100) + path.read_bytes()[100:])


def _truncate(path: Path) -> None:
    _filled(path)
    path.write_bytes(path.read_bytes()[:5000])


def _scribble(path: Path) -> None:
    _filled(path)
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 100] = b"\xff" * 100
    path.write_bytes(content)


def _text(path: Path) -> None:
    path.write_text("this is no database\n" * 500)


@pytest.mark.parametrize("damage", [_corrupt_header, _truncate, _scribble, _text])
def test_a_damaged_file_is_a_store_error_with_a_remedy(tmp_path: Path, damage) -> None:
    path = tmp_path / "edits.db"
    damage(path)

    def use() -> None:
        with EditMemory.open(path, embeddings=BagOfWordsEmbeddings()) as memory:
            memory.edits()
            memory.search_edits("Fact")

    with pytest.raises(StoreError, match="Remedy"):
        use()


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["foreign.db"]


def test_a_file_of_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    open_store(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match="upgrade"):
        open_store(path)


def test_an_empty_file_becomes_a_memory(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    path.touch()
    with EditMemory.open(path, embeddings=BagOfWordsEmbeddings()) as memory:
        assert memory.edits() == []


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        open_store(tmp_path / "missing" / "edits.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mysql://u:secret@h/db", "mysql"),
        ("postgresql+asyncpg://u:secret@h/db", "driver"),
        ("postgresql://u:secret@h:port/db", "cannot be read"),
        ("https://u:secret@example.org", "https"),
        ("", "path"),
        (None, "path"),
        (7, "path"),
    ],
)
def test_what_is_no_path_is_a_config_error_without_secrets(place: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_store(place)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


_UNPRIVILEGED = """
    import os, sys
    from lte_chains.edit import Edit
    from lte_chains.errors import StoreError
    from lte_chains.memory import EditMemory
    from tests.fakes_embeddings import BagOfWordsEmbeddings
    if os.getuid() == 0:
        os.setuid(65534)  # permissions do not bind root
    for name in ("new.db", "edits.db"):
        try:
            with EditMemory.open(f"{sys.argv[1]}/{name}", embeddings=BagOfWordsEmbeddings()) as m:
                m.add_edits([Edit(prompt="2 + 2 is", target_new="5")])
        except StoreError as error:
            assert "Remedy" in str(error), error
        else:
            sys.exit(f"{name} was written")
"""


def test_a_read_only_folder_is_a_store_error_with_a_remedy(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("readonly")
    _filled(folder / "edits.db")
    before = (folder / "edits.db").read_bytes()
    (folder / "edits.db").chmod(0o444)
    folder.chmod(0o555)
    for parent in folder.parents[:2]:  # pytest's own folders, closed to others
        parent.chmod(0o755)
    try:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_UNPRIVILEGED), str(folder)], check=True
        )
    finally:
        folder.chmod(0o755)
    assert (folder / "edits.db").read_bytes() == before


def test_the_error_is_an_oserror_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="folder") as caught:
        open_store(tmp_path)
    assert isinstance(caught.value, LteError)


def test_a_path_with_half_a_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="a memory needs the path"):
        open_store("\ud800.db")


@pytest.mark.parametrize("given", ["sqlite:edits.db", "sqlite:///edits.db", "edits.db"])
def test_a_file_can_be_named_as_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(given).close()
    assert [path.name for path in tmp_path.iterdir()] == ["edits.db"]


def test_a_host_is_no_file() -> None:
    with pytest.raises(ConfigError, match="sqlite:PATH"):
        open_store("sqlite://edits.db")
