"""The PostgreSQL store alone: its server's failures, its formats, its erasing, its HNSW index."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import text

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, ConflictError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import open_store
from lte_chains.store.postgres import PostgresStore, database, erasure, schema
from lte_chains.store.postgres.schema import tag_of
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.postgres_server import Server

pytestmark = pytest.mark.postgres
EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


def fact(n: int, target: str = "x", **fields: object) -> Edit:
    return Edit(prompt=f"Fact number {n} is", target_new=target, **fields)


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def run(url: str, statement: str) -> None:
    with connect(url) as connection:
        connection.execute(statement)


def ask(url: str, statement: str) -> list[tuple]:
    with connect(url) as connection:
        return connection.execute(statement).fetchall()


def test_a_writer_that_has_seen_an_older_revision_is_refused(postgres_url: str) -> None:
    store = open_store(postgres_url)
    one = np.float32([[1, 0]])
    [id_] = store.add("n", [fact(1)], one, fingerprint="a", if_revision=0)
    store.propose("n", [fact(2, id="p")], one, fingerprint="a", if_revision=1)
    for call in (
        lambda: store.add("n", [fact(3)], one, fingerprint="a", if_revision=1),
        lambda: store.propose("n", [fact(3)], one, fingerprint="a", if_revision=1),
        lambda: store.retract("n", [id_], if_revision=1),
        lambda: store.approve("n", ["p"], if_revision=3),
        lambda: store.reject("n", ["p"], if_revision=0),
        lambda: store.rollback("n", 0, if_revision=1),
        lambda: store.purge("n", [id_], if_revision=1),
    ):
        with pytest.raises(ConflictError, match="at revision 2"):
            call()
    assert store.revision("n") == 2
    assert store.approve("n", ["p"], if_revision=2) == 3
    store.close()


def test_of_many_optimistic_writers_exactly_one_wins_each_round(postgres_url: str) -> None:
    store = open_store(postgres_url)
    start = threading.Barrier(6)

    def write(worker: int) -> bool:
        start.wait()
        try:
            store.add("n", [fact(worker)], np.float32([[1, 0]]), fingerprint="a", if_revision=0)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(write, range(6))) == 1
    assert (store.revision("n"), len(store.edits("n"))) == (1, 1)
    store.close()


def test_a_server_that_is_not_there_is_told_with_what_to_do_and_no_password(tmp_path) -> None:
    for url, remedy in (
        ("postgresql+psycopg://me:secret@127.0.0.1:1/edits", "check that it runs"),
        (f"postgresql://me:secret@/edits?host={tmp_path}", "check that it runs"),
    ):
        with pytest.raises(StoreError, match=remedy) as caught:
            open_store(url)
        assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_told_with_what_to_do(postgres_url: str) -> None:
    url = postgres_url.replace("/postgres?", "/nowhere?")
    with pytest.raises(StoreError, match="create it first"):
        open_store(url)


def test_tables_of_another_program_or_a_later_version_are_left_alone(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        connection.execute("CREATE TABLE lte_meta (theirs int)")
        with pytest.raises(StoreError, match="another program"):
            open_store(postgres_url)
        connection.execute("DROP TABLE lte_meta")
        open_store(postgres_url).close()
        connection.execute("UPDATE lte_meta SET value = '99' WHERE name = 'format'")
    with pytest.raises(StoreError, match="upgrade"):
        open_store(postgres_url)


def test_an_old_format_is_brought_up_to_date_once_and_keeps_everything(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(n) for n in range(20)])
        before = memory.edits()
    latest = max(schema.MIGRATIONS)
    addition = ("ALTER TABLE lte_versions ADD COLUMN note text", "CREATE TABLE lte_extra (n int)")
    monkeypatch.setitem(schema.MIGRATIONS, latest + 1, addition)

    def ids(_: int) -> list[Edit]:
        with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as opened:
            return opened.edits()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ids, range(4))) == [before] * 4
    [(found,)] = ask(postgres_url, "SELECT value FROM lte_meta WHERE name = 'format'")
    assert found == str(latest + 1)


def test_slots_of_an_old_format_are_those_of_today(postgres_url: str) -> None:
    def ceo(subject: str, target: str, **fields: Any) -> Edit:
        return Edit(prompt="Who?", target_new=target, subject=subject, relation="CEO", **fields)

    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([ceo("Moody's", "Rob"), ceo("Ben & Jerry's", "Jo", aliases=("B&J's",))])
        memory.add_edits([ceo("Levi's", "Old")])
        memory.add_edits([ceo("Levi's", "New")])
    with connect(postgres_url) as connection:  # as it was written before
        for column in ("subject", "slot", "aliases"):
            connection.execute(f"UPDATE lte_versions SET {column} = replace({column}, $$'$$, '’')")
        for name in ("moody’s", "ben & jerry’s", "levi’s"):
            found = f"SELECT key FROM lte_versions WHERE slot LIKE '{name}%%'"
            connection.execute(
                f"UPDATE lte_live SET base = %s WHERE key IN ({found})", (tag_of(f"{name}\x1fceo"),)
            )
        connection.execute("UPDATE lte_other_slots SET base = %s", (tag_of("b&j’s\x1fceo"),))
        connection.execute("UPDATE lte_meta SET value = '1' WHERE name = 'format'")
        connection.commit()
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        assert memory.edits()[0].subject == "Moody’s"
        memory.add_edits([ceo("Moody's", "Ann"), ceo("B&J's", "Liz")])
        assert [edit.target_new for edit in memory.edits()] == ["New", "Ann", "Liz"]
        memory.rollback(2)
        memory.add_edits([ceo("Levi's", "Max")])
        assert [edit.target_new for edit in memory.edits()] == ["Rob", "Jo", "Max"]


def test_many_may_open_a_new_database_at_once(postgres_server: Server) -> None:
    for _ in range(3):
        url = postgres_server.new_url()
        start = threading.Barrier(6)

        def open_(_: int, url: str = url, start: threading.Barrier = start) -> int:
            start.wait()
            with EditMemory.open(url, embeddings=EMBEDDINGS) as memory:
                return memory.revision

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(open_, range(6))) == [0] * 6
        postgres_server.drop(url)


def test_a_migration_that_fails_leaves_the_old_format(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(postgres_url).close()
    latest = max(schema.MIGRATIONS)
    with monkeypatch.context() as patch:
        patch.setitem(
            schema.MIGRATIONS,
            latest + 1,
            ("CREATE TABLE lte_extra (n int)", "CREATE TABLE lte_meta ()"),
        )
        with pytest.raises(StoreError, match="lte_meta"):
            open_store(postgres_url)
    assert ask(postgres_url, "SELECT to_regclass('lte_extra')") == [(None,)]
    open_store(postgres_url).close()


def test_a_namespace_that_another_client_holds_is_waited_for_then_named(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1)])
        with connect(postgres_url) as other, other.transaction():
            other.execute("SELECT * FROM lte_namespaces FOR UPDATE")
            with pytest.raises(StoreError, match="another client holds"):
                memory.add_edits([fact(2)])
            assert len(memory.search_edits("Fact")) == 1, "readers are not held up"
            memory.in_namespace("other").add_edits([fact(2)])
        memory.add_edits([fact(2)])


def test_a_lost_connection_is_made_again(postgres_url: str) -> None:
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1)])
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        ask(postgres_url, f"{cut} AND datname = current_database() AND state = 'idle'")
        assert len(memory.edits()) == 1
        memory.add_edits([fact(2)])


def test_a_connection_lost_in_the_middle_of_a_call_leaves_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lte_chains.store.postgres.ledger import Transaction

    finish = Transaction.finish

    def cut(self: Transaction) -> None:
        pid = self.connection.execute(text("SELECT pg_backend_pid()")).scalar()
        ask(postgres_url, f"SELECT pg_terminate_backend({pid})")
        finish(self)

    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(1)])
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "finish", cut)
            with pytest.raises(StoreError, match="Remedy"):
                memory.add_edits([fact(2), fact(3)])
        assert (memory.revision, len(memory.edits())) == (1, 1)
        memory.add_edits([fact(2), fact(3)])
        assert memory.revision == 2


def test_commits_wait_for_the_disk_even_where_the_server_does_not(postgres_url: str) -> None:
    url = postgres_url.replace("options=", "options=-csynchronous_commit%3Doff%20")
    for durability, expected in (("full", "on"), ("normal", "off")):
        store = PostgresStore(url, durability=durability)
        with store._database.writing() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == expected
        store.close()
    with pytest.raises(ConfigError, match="never"):
        PostgresStore(url, durability="never")


def test_purged_text_and_vectors_are_in_no_table_file(postgres_url: str, postgres_server) -> None:
    secret = "zanzibarquartz"
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        ids = memory.add_edits([fact(n, f"{secret}{n}" if n == 3 else "kept") for n in range(9)])
        files = [
            postgres_server.folder / path
            for table in ("lte_versions", "lte_vectors")
            for (path,) in ask(postgres_url, f"SELECT pg_relation_filepath('{table}')")
        ]
        run(postgres_url, "CHECKPOINT")
        assert any(secret.encode() in path.read_bytes() for path in files)
        assert memory.purge([ids[3]]) == 2
        run(postgres_url, "CHECKPOINT")
        now = [
            postgres_server.folder / path
            for table in ("lte_versions", "lte_vectors")
            for (path,) in ask(postgres_url, f"SELECT pg_relation_filepath('{table}')")
        ]
        assert now != files
        assert not any(secret.encode() in path.read_bytes() for path in now)
        assert len(memory.search_edits("Fact", k=20)) == 8
        assert [entry.edit for entry in memory.history(ids[3])] == [None, None]


def test_a_purge_that_a_reader_holds_up_says_so_and_is_finished_later(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "BUSY_SECONDS", 0.1)
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        [id_] = memory.add_edits([fact(1)])
        with connect(postgres_url) as reader:
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM lte_versions")
            with pytest.raises(StoreError, match="purge the same ids again"):
                memory.purge([id_])
            assert memory.edits() == []
        assert memory.purge([id_]) == 2
        assert ask(postgres_url, "SELECT * FROM lte_meta WHERE name = 'scrub'") == []


def test_tables_too_large_to_rewrite_are_vacuumed_and_that_is_logged(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(erasure, "_REWRITE_BYTES", 0)
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        ids = memory.add_edits([fact(1), fact(2)])
        with caplog.at_level(logging.WARNING):
            memory.purge(ids[:1])
        assert "VACUUM FULL" in caplog.text


def test_the_count_of_live_vectors_is_kept(postgres_url: str) -> None:
    with EditMemory.open(postgres_url, embeddings=EMBEDDINGS) as memory:
        ids = memory.add_edits([fact(n) for n in range(10)])
        memory.add_edits([fact(3, "y"), fact(4, "z", valid_from=date(2030, 1, 1))])
        memory.retract(ids[:2])
        memory.propose([fact(30, id="p")])
        memory.approve(["p"])
        memory.rollback(1)
        memory.purge(ids[5:6])
        counted = ask(postgres_url, "SELECT count(*) FROM lte_vectors WHERE live")
        assert ask(postgres_url, "SELECT wordings FROM lte_namespaces") == counted == [(18,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_works_on_the_database_beside_its_parent(postgres_url: str) -> None:
    script = """
        import os, sys
        from lte_chains.edit import Edit
        from lte_chains.memory import EditMemory
        from tests.fakes_embeddings import BagOfWordsEmbeddings
        memory = EditMemory.open(sys.argv[1], embeddings=BagOfWordsEmbeddings(dim=32))
        memory.add_edits([Edit(prompt="Fact 0 is", target_new="x")])
        child = os.fork()
        if child == 0:
            memory.add_edits([Edit(prompt="Fact 1 is", target_new="x")])
            os._exit(0 if len(memory.search_edits("Fact")) >= 2 else 1)
        memory.add_edits([Edit(prompt="Fact 2 is", target_new="x")])
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
        assert len(memory.search_edits("Fact")) == 3
        memory.close()
    """
    command = [sys.executable, "-c", textwrap.dedent(script), postgres_url]
    subprocess.run(command, check=True, timeout=60)


def test_without_the_extra_the_remedy_is_named() -> None:
    script = """
        import sys
        sys.modules["psycopg"] = None
        from lte_chains import EditMemory, MissingExtraError
        for call in (lambda: EditMemory.open("postgresql://localhost/edits"),
                     lambda: __import__("lte_chains.store.postgres")):
            try:
                call()
            except MissingExtraError as error:
                assert "lte-chains[postgres]" in str(error), error
            else:
                sys.exit("no error")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
