"""An engine under the ledger that is stopped, or killed anywhere, ends with every edit and no more."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lte_chains import Edit, EditMemory
from lte_chains.integrations.vector_stores import VectorStoreBridge
from lte_chains.integrations.vector_stores.carrier import VectorCarrier
from tests.fakes_embeddings import BagOfWordsEmbeddings

DIM = 64

ENGINES = {
    "qdrant": """
        def make(_, embeddings):
            from langchain_qdrant import QdrantVectorStore
            from qdrant_client import QdrantClient, models
            if "client" not in globals():
                globals()["client"] = QdrantClient(path=folder)
            if not client.collection_exists("edits"):
                size = len(embeddings.embed_query("any"))
                params = models.VectorParams(size=size, distance=models.Distance.COSINE)
                client.create_collection("edits", vectors_config=params)
            return QdrantVectorStore(client, "edits", embedding=embeddings)
    """,
    "chroma": """
        def make(_, embeddings):
            from langchain_chroma import Chroma
            return Chroma("edits", embedding_function=embeddings, persist_directory=folder)
    """,
}
"""How to open each engine in `folder`."""

CHILD = """
import os, signal, sys
from lte_chains import Edit, EditMemory
from lte_chains.integrations.vector_stores import bridge
from tests.fakes_embeddings import BagOfWordsEmbeddings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

store = bridge.VectorStoreBridge(ledger, make)
memory = EditMemory(store, embeddings=BagOfWordsEmbeddings(dim=64))
memory.add_edits([Edit(prompt=f"Fact {n} is", target_new="old", id=f"e{n}") for n in range(8)])
assert len(memory.search_edits("Fact 1 is", 20)) == 8
memory.add_edits([Edit(prompt=f"Fact {n} is", target_new="new", id=f"e{n}") for n in range(4, 12)])
memory.retract(["e0", "e1"])

Engine = bridge._Engine
write, writes = Engine._write, []

def half(self, stale, new):
    write(self, stale, new[: len(new) // 2])
    die()

def first_only(self, stale, new):
    writes.append(new)
    write(self, stale, new)
    if len(writes) == 1:
        die()

def stale_only(self, stale, new):
    write(self, stale, [])
    die()

def unmarked(self, mark):
    write(self, [self._mark_key], [])
    die()

match point:
    case "before the engine heard":
        die()
    case "between what goes and what comes":
        Engine._write = stale_only
    case "in the middle of a batch":
        Engine._write = half
    case "between two batches":
        bridge._BATCH = 3
        Engine._write = first_only
    case "before the mark":
        Engine.note = die
    case "in the middle of the mark":
        Engine.note = unmarked
    case "after everything":
        memory.search_edits("Fact 1 is", 20)
        die()
memory.search_edits("Fact 1 is", 20)
"""
POINTS = [line.partition('"')[2][:-2] for line in CHILD.splitlines() if "case " in line]

AFTER = """
from lte_chains import Edit, EditMemory
from lte_chains.integrations.vector_stores.carrier import VectorCarrier
from lte_chains.integrations.vector_stores import VectorStoreBridge
from tests.fakes_embeddings import BagOfWordsEmbeddings

live = {f"e{n}" for n in range(2, 12)}
with EditMemory(VectorStoreBridge(ledger, make), embeddings=BagOfWordsEmbeddings(dim=64)) as memory:
    found = memory.search_edits("Fact 5 is", 50)
    assert {match.edit.id for match in found} == live, found
    assert found[0].edit.id == "e5" and found[0].edit.target_new == "new"
    documents = make("default", VectorCarrier(64)).similarity_search("anything", k=200)
    own = [d.metadata for d in documents if d.metadata["lte_namespace"] == "default"]
    assert {metadata["lte_id"] for metadata in own} == live, own
    assert len(own) == 2 * len(live), "each wording once"
    assert all(m["lte_version"] == (2 if 4 <= int(m["lte_id"][1:]) < 8 else 1) for m in own)
"""


def run(engine: str, body: str, folder: Path, point: str = "") -> int:
    """Run a script in a process of its own, as the engine's files belong to one process."""
    names = {"folder": str(folder / "engine"), "ledger": str(folder / "edits.db"), "point": point}
    setting = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    script = setting + textwrap.dedent(ENGINES[engine]) + body
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(done.stderr)
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_engine_that_is_killed_ends_with_every_edit_and_no_more(
    engine: str, point: str, tmp_path: Path
) -> None:
    assert run(engine, CHILD, tmp_path, point) == -signal.SIGKILL
    assert run(engine, AFTER, tmp_path) == 0


def test_engine_that_was_stopped_while_others_wrote_catches_up(tmp_path: Path) -> None:
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    def opened(client: QdrantClient) -> EditMemory:
        def make(_: str, embeddings: VectorCarrier) -> QdrantVectorStore:
            if not client.collection_exists("edits"):
                params = models.VectorParams(size=DIM, distance=models.Distance.COSINE)
                client.create_collection("edits", vectors_config=params)
            return QdrantVectorStore(client, "edits", embedding=embeddings)

        store = VectorStoreBridge(tmp_path / "edits.db", make)
        return EditMemory(store, embeddings=BagOfWordsEmbeddings(dim=DIM))

    def fact(n: int, target: str) -> Edit:
        return Edit(prompt=f"Fact {n} is", target_new=target, id=f"e{n}")

    for turn in range(3):
        client = QdrantClient(path=str(tmp_path / "engine"))
        with opened(client) as memory:
            found = memory.search_edits("Fact", 99)
            assert {m.edit.id for m in found} == {edit.id for edit in memory.edits()}
            memory.add_edits([fact(100 + turn, "here")])
            assert memory.search_edits(f"Fact {100 + turn} is", 1)[0].edit.id == f"e{100 + turn}"
        client.close()
        with EditMemory.open(
            tmp_path / "edits.db", embeddings=BagOfWordsEmbeddings(dim=DIM)
        ) as away:
            away.add_edits([fact(n, f"turn {turn}") for n in range(turn, turn + 6)])
            away.retract([f"e{turn}"])
            away.rollback(max(1, away.revision - 2))
            away.purge([f"e{turn + 1}"])
            away.add_edits([fact(50 + turn, "away")])
