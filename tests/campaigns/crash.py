"""Writers that are killed at random points, many times: what was acknowledged is there.

    python -m tests.campaigns.crash --kills 500

Several processes add batches to one file, retract, roll back, search, and have
their index saved beside it. One after the other is killed with SIGKILL and
replaced. After each kill the file is opened anew, and what is new in its history is
checked; in the end all of it is, by the doctor too, and the index that followed
along is compared with one that is built from the ledger.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from lte_chains.edit import Edit
from lte_chains.index import cache, vector_index
from lte_chains.store import SQLiteStore, saved_indexes
from lte_chains.store.doctor import examine

BATCH = 25
DIMENSION = 16
QUERY = np.eye(1, DIMENSION, dtype=np.float32)[0]


def use_small_limits() -> None:
    """Let small memories have sealed rows and saved indexes too."""
    saved_indexes._WORTH = 64
    vector_index.GROWING_ROWS = 100
    vector_index.KEPT_ROWS = 400


def write(path: Path, name: str, seed: int, acknowledge: Connection) -> None:
    """Change the memory without end, and report what the store says is done."""
    use_small_limits()
    rng = np.random.default_rng(seed)
    store = SQLiteStore(path)
    for number in count():
        batch = f"{name}-{number}"
        vectors = rng.standard_normal((BATCH, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        edits = [
            Edit(
                # One slot in five is taken again by every batch, so batches supersede too.
                prompt=f"Fact {n} is" if n % 5 == 0 else f"Fact {n} of {batch} is",
                target_new=batch,
                id=f"{batch}-{n}",
            )
            for n in range(BATCH)
        ]
        store.add("default", edits, vectors, fingerprint="x")
        acknowledge.send(batch)
        if number % 4 == 1:
            store.retract("default", [f"{batch}-{n}" for n in range(1, 4)], missing_ok=True)
        if number % 7 == 2:
            store.nearest("default", QUERY, 3, fingerprint="x")
        if number % 25 == 24:
            store.close()  # saves the index
            store = SQLiteStore(path)


class Campaign:
    """Writers on one file, and what they have reported."""

    def __init__(self, path: Path, writers: int, seed: int) -> None:
        use_small_limits()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._path, self._numbers = path, count()
        self._random = random.Random(seed)
        self.acknowledged: set[str] = set()
        self.written: set[str] = set()
        self._checked = 0
        self.follower = SQLiteStore(path)
        self._running = [self._start() for _ in range(writers)]

    def _start(self):
        number = next(self._numbers)
        reports, acknowledge = self._context.Pipe(duplex=False)
        arguments = (self._path, f"writer{number}", number, acknowledge)
        process = self._context.Process(target=write, args=arguments, daemon=True)
        process.start()
        acknowledge.close()
        return process, reports

    def _listen(self, reports: Connection) -> None:
        try:
            while reports.poll():
                self.acknowledged.add(reports.recv())
        except EOFError:
            pass

    def kill_one(self) -> None:
        """Let the writers work a moment, kill one of them at a random point, and replace it."""
        wait([reports for _, reports in self._running], timeout=60)
        time.sleep(self._random.uniform(0.0, 0.05))
        place = self._random.randrange(len(self._running))
        process, reports = self._running[place]
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the writer ended by itself"
        for _, each in self._running:
            self._listen(each)
        reports.close()
        self._running[place] = self._start()

    def check(self) -> None:
        """Open the file anew and check what came since the last time."""
        known = set(self.acknowledged)  # what is reported later may be written later
        store = SQLiteStore(self._path)
        entries = store.history("default", since=self._checked)
        batches: dict[int, list[str]] = {}
        for entry in entries:
            if entry.operation == "add" and entry.action == "add":
                batches.setdefault(entry.revision, []).append(entry.edit.target_new)
        for names in batches.values():
            assert len(names) == BATCH, f"half a batch: {len(names)}"
            assert len(set(names)) == 1, names
            self.written.add(names[0])
        assert known <= self.written, f"lost: {sorted(known - self.written)[:5]}"
        self._checked = max((entry.revision for entry in entries), default=self._checked)
        store.nearest("default", QUERY, 3, fingerprint="x")
        store.close()
        self.follower.nearest("default", QUERY, 3, fingerprint="x")

    def finish(self) -> dict[str, int]:
        """Kill all writers, and check everything."""
        for process, reports in self._running:
            process.kill()
            process.join()
            self._listen(reports)
        self.check()
        live = len(self.follower.edits("default"))
        followed = ranking(self.follower)
        self.follower.close()
        findings = examine(self._path)
        assert findings == [], findings
        for place in cache.places_of(self._path):
            place.unlink()
        store = SQLiteStore(self._path)
        assert ranking(store) == followed, "the index is not what a rebuilt one is"
        assert len(followed) == live
        store.close()
        return {"batches": len(self.written), "live": live, "revisions": self._checked}


def ranking(store: SQLiteStore) -> list[tuple[str | None, float]]:
    found = store.nearest("default", QUERY, 10**9, fingerprint="x")
    return [(edit.id, score) for edit, score in found]


def run(path: Path, *, kills: int, writers: int = 8, seed: int = 0) -> dict[str, int]:
    """Run a campaign on a new file; an assertion fails if anything was lost."""
    campaign = Campaign(path, writers, seed)
    for _ in range(kills):
        campaign.kill_one()
        campaign.check()
    return {"kills": kills, "writers": writers, **campaign.finish()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            Path(folder) / "edits.db", kills=given.kills, writers=given.writers, seed=given.seed
        )
    sys.stdout.write(json.dumps({**done, "lost": 0, "half_batches": 0}) + "\n")
