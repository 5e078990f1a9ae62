"""A PostgreSQL server that is killed again and again under writers, and what must hold after it."""

from __future__ import annotations

import multiprocessing
import random
import time
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait

import numpy as np

from lte_chains.edit import Edit
from lte_chains.errors import StoreError
from lte_chains.store.base import Vectors
from lte_chains.store.postgres import PostgresStore
from tests.postgres_server import Server

BATCH = 20
DIMENSION = 16
FINGERPRINT = "campaign"


@dataclass
class Outcome:
    """What a campaign has found; everything but the first three must be 0.

    It looks after each kill, and damage that stays is counted again each time.
    """

    kills: int = 0
    acknowledged: int = 0
    """Batches that a writer was told are stored."""
    in_doubt: int = 0
    """Batches in whose call the server was killed, and that are there whole all the same."""
    lost: int = 0
    """Acknowledged batches that are not there, or not whole."""
    halves: int = 0
    """Revisions that hold a part of a batch, or of several."""
    failed_to_open: int = 0
    unequal: int = 0
    """Namespaces whose search or whose live edits are not what their history says."""

    @property
    def damage(self) -> int:
        """How much went wrong."""
        return self.lost + self.halves + self.failed_to_open + self.unequal


def batch(writer: int, number: int) -> tuple[list[Edit], list[Vectors]]:
    """Return a batch of edits of its own; one slot in four is taken again by every batch."""
    name = f"w{writer}-{number}"
    edits = [
        Edit(
            prompt=f"Fact {n} is" if n % 4 == 0 else f"Fact {n} of {name} is",
            target_new=name,
            id=f"{name}-{n}",
        )
        for n in range(BATCH)
    ]
    vectors = np.random.default_rng([writer, number]).normal(size=(BATCH, DIMENSION))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return edits, list(unit.astype(np.float32))


def write(url: str, writer: int, first: int, acknowledge: Connection) -> None:
    """Add batches until the server is gone, reporting each that is said to be stored."""
    try:
        store = PostgresStore(url)
        for number in count(first):
            edits, vectors = batch(writer, number)
            # Two writers share a namespace: they wait for one another.
            store.add(f"room {writer // 2}", edits, vectors, fingerprint=FINGERPRINT)
            acknowledge.send(number)
    except StoreError as error:
        acknowledge.send(str(error))


def campaign(server: Server, *, kills: int, writers: int, seed: int = 0) -> Outcome:
    """Kill a server under writers, at random moments, and look at what is left each time."""
    url, outcome = server.new_url(), Outcome()
    seeded = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told: dict[int, list[int]] = {writer: [] for writer in range(writers)}
    for turn in range(kills):
        pipes: dict[Connection, int] = {}
        processes = []
        for writer in told:
            reports, acknowledge = context.Pipe(duplex=False)
            process = context.Process(target=write, args=(url, writer, turn * 10_000, acknowledge))
            process.start()
            acknowledge.close()
            pipes[reports] = writer
            processes.append(process)
        _await_reports(pipes, told, seeded.randint(1, 2 * writers))
        time.sleep(seeded.uniform(0.0, 0.05))
        server.kill()
        for process in processes:
            process.join(60)
        for reports, writer in pipes.items():
            told[writer] += _drained(reports)
        server.restart()
        outcome.kills += 1
        look(url, told, outcome)
    outcome.acknowledged = sum(map(len, told.values()))
    return outcome


def _await_reports(pipes: dict[Connection, int], told: dict[int, list[int]], count: int) -> None:
    """Take reports until there have been some, however fast this machine is."""
    while count > 0:
        wait(list(pipes))
        for reports, writer in pipes.items():
            if reports.poll():
                told[writer].append(_number(reports.recv()))
                count -= 1


def _number(report: int | str) -> int:
    """Return the number of a batch that was stored.

    Raises:
        AssertionError: The writer failed, though nobody has killed the server.
    """
    if isinstance(report, str):
        raise AssertionError(report)
    return report


def _drained(reports: Connection) -> list[int]:
    """Return the numbers that a writer has reported before it failed."""
    found: list[int] = []
    with reports:
        while True:
            try:
                report = reports.recv()
            except EOFError:
                return found
            if isinstance(report, int):
                found.append(report)


def look(url: str, told: dict[int, list[int]], outcome: Outcome) -> None:
    """Compare what is stored with what each writer was told, and add up what is wrong."""
    try:
        store = PostgresStore(url)
    except StoreError:
        outcome.failed_to_open += 1
        return
    outcome.in_doubt = 0  # all of them are found each time, and none is damage
    for room in {writer // 2 for writer in told}:
        stored: dict[int, list[str]] = {}
        for entry in store.history(f"room {room}"):
            if entry.action == "add" and entry.edit is not None:
                stored.setdefault(entry.revision, []).append(entry.edit.target_new)
        whole = {names[0] for names in stored.values() if _is_whole(names)}
        outcome.halves += sum(not _is_whole(names) for names in stored.values())
        acknowledged = {
            f"w{writer}-{number}"
            for writer, numbers in told.items()
            if writer // 2 == room
            for number in numbers
        }
        outcome.lost += len(acknowledged - whole)
        outcome.in_doubt += len(whole - acknowledged)
        outcome.unequal += not _is_consistent(store, f"room {room}", len(stored))
    store.close()


def _is_whole(names: list[str]) -> bool:
    return len(names) == BATCH and len(set(names)) == 1


def _is_consistent(store: PostgresStore, namespace: str, revisions: int) -> bool:
    """Return whether what is live, and what a search finds, is what the history says."""
    live = store.edits(namespace)
    vector = np.eye(1, DIMENSION, dtype=np.float32)[0]
    found = store.nearest(namespace, vector, len(live) + 1, fingerprint=FINGERPRINT)
    return (
        store.revision(namespace) == revisions
        and live == store.edits(namespace, as_of=revisions)
        and {edit.id for edit, _ in found} == {edit.id for edit in live}
        and len(store.vectors(namespace, [str(edit.id) for edit in live])) == len(live)
    )
