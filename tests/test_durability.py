"""A writer that is killed loses nothing that it was told is stored, and leaves no half batch."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import time
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings

KILLS = 20
BATCH = 40


def write_batches(path: Path, name: str, acknowledge: Connection) -> None:
    """Add batches without end, reporting each one that the memory says is stored."""
    memory = EditMemory.open(path, embeddings=BagOfWordsEmbeddings(dim=32))
    for number in count():
        batch = f"{name}-{number}"
        memory.add_edits(
            Edit(
                # One slot in four is taken again by every batch, so batches supersede too.
                prompt=f"Fact {n} is" if n % 4 == 0 else f"Fact {n} of {batch} is",
                target_new=batch,
                id=f"{batch}-{n}",
            )
            for n in range(BATCH)
        )
        acknowledge.send(batch)


def test_a_writer_killed_in_mid_batch_twenty_times_leaves_whole_batches_only(
    tmp_path: Path,
) -> None:
    path = tmp_path / "edits.db"
    seeded = random.Random(11)
    acknowledged: list[str] = []
    for run in range(KILLS):
        acknowledged += _killed_run(path, f"run{run}", pause=seeded.uniform(0.0, 0.05))
        with EditMemory.open(path, embeddings=BagOfWordsEmbeddings(dim=32)) as memory:
            _assert_whole(memory, acknowledged)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def _killed_run(path: Path, name: str, *, pause: float) -> list[str]:
    """Start a writer, kill it in the middle of its work, return the batches it reported."""
    # Forked from a server that has imported everything: a new process in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lte_chains.memory"])
    reports, acknowledge = context.Pipe(duplex=False)
    writer = context.Process(target=write_batches, args=(path, name, acknowledge))
    writer.start()
    acknowledge.close()
    with reports:
        reported = [reports.recv()]
        time.sleep(pause)
        writer.kill()
        writer.join()
        try:
            while True:
                reported.append(reports.recv())
        except EOFError:
            return reported


def _assert_whole(memory: EditMemory, acknowledged: list[str]) -> None:
    added = [entry for entry in memory.history() if entry.action == "add"]
    batches: dict[int, list[str]] = {}
    for entry in added:
        assert entry.edit is not None
        batches.setdefault(entry.revision, []).append(entry.edit.target_new)
    assert all(len(names) == BATCH and len(set(names)) == 1 for names in batches.values())
    written = [names[0] for names in batches.values()]
    assert set(acknowledged) <= set(written), "an acknowledged batch is lost"
    assert len(written) == memory.revision
    live = memory.edits()
    assert len(live) == len(written) * BATCH * 3 // 4 + BATCH // 4
    assert {edit.target_new for edit in live if " of " not in edit.prompt} == {written[-1]}
    found = memory.search_edits("Fact 1 is", k=len(live) + 1)
    assert {match.edit.id for match in found} == {edit.id for edit in live}
