"""Writers that are killed at random points, many times: what was acknowledged is there.

    python -m tests.campaigns.crash --kills 500

Several processes add batches to one file, retract, roll back, purge, search, and
have their index saved beside it. One after the other is killed with SIGKILL and
replaced. After each kill the file is opened anew, and what is new in its history,
and what the writers have been told, is checked; in the end all of it is, by the
doctor too, and the index that followed along is compared with one that is built
from the ledger.
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
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count, groupby
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from lte_chains.edit import Edit
from lte_chains.index import cache, vector_index
from lte_chains.store import SQLiteStore, saved_indexes
from lte_chains.store.base import Vectors
from lte_chains.store.doctor import examine

BATCH = 25
DIMENSION = 16
QUERIES = np.eye(6, DIMENSION, dtype=np.float32)


def use_small_limits() -> None:
    """Let small memories have sealed rows and saved indexes too."""
    saved_indexes._WORTH = 64
    vector_index.GROWING_ROWS = 100
    vector_index.KEPT_ROWS = 400


@dataclass(frozen=True)
class Report:
    """What a writer was told is done."""

    call: str
    ids: tuple[str, ...]
    """The edits that were added, retracted or purged."""
    revision: int
    """At which it was done; of an addition 0, as nobody says so."""
    target: int = 0
    """The revision that was gone back to."""


def write(path: Path, name: str, seed: int, acknowledge: Connection) -> None:
    """Change the memory without end, and report what the store says is done."""
    use_small_limits()
    rng = np.random.default_rng(seed)
    store = SQLiteStore(path)
    for number in count():
        edits = batch(f"{name}-{number}")
        ids = tuple(str(edit.id) for edit in edits)
        vectors = rng.standard_normal((BATCH, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.add("default", edits, vectors, fingerprint="x")
        acknowledge.send(Report("add", ids, 0))
        turn = number + 11 * seed  # few live long: they begin at different ones
        if turn % 4 == 1:
            revision = store.retract("default", ids[1:4], missing_ok=True)
            acknowledge.send(Report("retract", ids[1:4], revision))
        if turn % 7 == 2:
            store.nearest("default", QUERIES[0], 3, fingerprint="x")
        if turn % 10 == 5:
            target = max(0, store.revision("default") - int(rng.integers(1, 6)))
            acknowledge.send(Report("rollback", (), store.rollback("default", target), target))
        if turn % 15 == 7:
            acknowledge.send(Report("purge", ids[6:8], store.purge("default", ids[6:8])))
        if turn % 25 == 24:
            store.close()  # saves the index
            store = SQLiteStore(path)


def batch(name: str) -> list[Edit]:
    """Return the edits of a batch; it takes one slot in five from the batch before."""
    return [
        Edit(
            prompt=f"Fact {n} is" if n % 5 == 0 else f"Fact {n} of {name} is",
            target_new=name,
            id=f"{name}-{n}",
        )
        for n in range(BATCH)
    ]


class History:
    """What happened to each edit, as the ledger tells it, and whether that is what writers were told."""

    def __init__(self) -> None:
        self.read = 0
        """Up to which revision."""
        self.batches: set[str] = set()
        self._events: dict[str, list[tuple[int, str]]] = defaultdict(list)

    def follow(self, store: SQLiteStore) -> None:
        """Read what is new."""
        for revision, group in groupby(
            store.history("default", since=self.read), key=lambda entry: entry.revision
        ):
            assert revision == self.read + 1
            self.read, entries = revision, list(group)
            for entry in entries:
                self._events[str(entry.id)].append((revision, entry.action))
            if entries[0].operation == "add":
                self._take_batch([str(entry.id) for entry in entries if entry.action == "add"])

    def live(self, revision: int) -> set[str]:
        """Return the ids of the edits that were live at a revision."""
        return {id_ for id_ in self._events if self._is_live(id_, revision)}

    def check(self, report: Report, store: SQLiteStore) -> None:
        """Check that what a writer was told is so."""
        assert report.revision <= self.read, f"lost: {report}"
        if report.call == "add":
            assert report.ids[0].rpartition("-")[0] in self.batches, f"lost: {report}"
        elif report.call == "rollback":
            purged = {id_ for id_, own in self._events.items() if own[-1][1] == "purge"}
            now, then = self.live(report.revision), self.live(report.target)
            assert now - purged == then - purged, f"lost: {report}"
        else:
            left = [id_ for id_ in report.ids if self._is_live(id_, report.revision)]
            assert not left, f"lost: {report}"
        for id_ in report.ids if report.call == "purge" else ():
            texts = [entry.edit for entry in store.history("default", id_)]
            assert not any(texts), f"lost: {report}"

    def _take_batch(self, ids: list[str]) -> None:
        assert len(ids) == BATCH, f"half a batch: {len(ids)}"
        names = {id_.rpartition("-")[0] for id_ in ids}
        assert len(names) == 1, names
        self.batches |= names

    def _is_live(self, id_: str, revision: int) -> bool:
        actions = (what for at, what in reversed(self._events[id_]) if at <= revision)
        return next(actions, None) in ("add", "restore")


class Campaign:
    """Writers on one file, and what they have reported."""

    def __init__(self, path: Path, writers: int, seed: int) -> None:
        use_small_limits()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._path, self._numbers = path, count()
        self._random = random.Random(seed)
        self._reports: list[Report] = []
        self._history = History()
        self.told: Counter[str] = Counter()
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
                self._reports.append(reports.recv())
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
        # What is reported from now on may be written after the history is read.
        reports, self._reports = self._reports, []
        store = SQLiteStore(self._path)
        self._history.follow(store)
        for report in reports:
            self._history.check(report, store)
            self.told[report.call] += 1
        store.nearest("default", QUERIES[0], 3, fingerprint="x")
        store.close()
        self.follower.nearest("default", QUERIES[0], 3, fingerprint="x")

    def finish(self) -> dict[str, int]:
        """Kill all writers, and check everything."""
        for process, reports in self._running:
            process.kill()
            process.join()
            self._listen(reports)
        self.check()
        live = {str(edit.id) for edit in self.follower.edits("default")}
        assert live == self._history.live(self._history.read)
        followed = [ranking(self.follower, query) for query in QUERIES]
        self.follower.close()
        findings = examine(self._path)
        assert findings == [], findings
        for place in cache.places_of(self._path):
            place.unlink()
        store = SQLiteStore(self._path)
        rebuilt = [ranking(store, query) for query in QUERIES]
        assert rebuilt == followed, "the index is not what a rebuilt one is"
        assert all({id_ for id_, _ in own} == live for own in followed)
        store.close()
        return {
            "batches": len(self._history.batches),
            **{f"told_{call}": number for call, number in sorted(self.told.items())},
            "live": len(live),
            "revisions": self._history.read,
        }


def ranking(store: SQLiteStore, query: Vectors) -> list[tuple[str | None, float]]:
    found = store.nearest("default", query, 10**9, fingerprint="x")
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
