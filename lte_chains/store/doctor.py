"""Checks a SQLite memory part by part, and puts right what is derived.

The truth is what was written once: versions, their vectors, events, revisions. If
that is damaged only a backup helps. Everything else follows from it and can be made
again: which versions are live or pending, slots by other names, SQLite's own
indexes, and the saved indexes of vectors.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lte_chains.errors import LteError, StoreError
from lte_chains.slots import place_of
from lte_chains.store.connections import SQLITE_ERRORS, explained
from lte_chains.store.derived import DERIVED
from lte_chains.store.formats import TABLES
from lte_chains.store.refiling import slot_of_stored
from lte_chains.store.rows import CONTENT, decode, digest, moment_of
from lte_chains.store.saved_indexes import faults_of
from lte_chains.store.schema import connector, prepare
from lte_chains.store.space import WITHOUT_VECTORS, read_space

Part = Literal["file", "ledger", "slots", "vectors", "index", "cache"]
"""What a finding is about: "slots" is what edits set, "index" what says which edits are live and
pending, "cache" what is saved beside the file."""

_Rows = list[tuple[Any, ...]]

_LEDGER_CHECKS = (
    (
        "namespaces that have no name",
        """SELECT DISTINCT room FROM revisions
           WHERE room NOT IN (SELECT room FROM rooms)""",
    ),
    (
        "edits whose versions are not numbered from 1 without a gap",
        """SELECT id FROM versions GROUP BY room, id
           HAVING min(version) <> 1 OR max(version) <> count(*)""",
    ),
    (
        "namespaces whose revisions are not numbered from 1 without a gap",
        """SELECT room FROM revisions GROUP BY room
           HAVING min(revision) <> 1 OR max(revision) <> count(*)""",
    ),
    (
        "versions that their revision does not tell of",
        """SELECT v.key FROM versions AS v LEFT JOIN revisions AS r USING (room, revision)
           WHERE r.first IS NULL OR v.key NOT BETWEEN r.first AND r.last""",
    ),
    (
        "events that their revision does not tell of",
        """SELECT e.seq FROM events AS e LEFT JOIN versions AS v USING (key)
           LEFT JOIN revisions AS r ON r.room = v.room AND r.revision = e.revision
           WHERE r.first IS NULL OR e.seq NOT BETWEEN r.first AND r.last""",
    ),
    (
        "revisions of which something is missing",
        """SELECT r.revision FROM revisions AS r WHERE r.last - r.first + 1 <>
           (SELECT count(*) FROM versions AS v WHERE v.key BETWEEN r.first AND r.last
               AND v.room = r.room AND v.revision = r.revision)
           + (SELECT count(*) FROM events AS e WHERE e.seq BETWEEN r.first AND r.last
               AND e.revision = r.revision)""",
    ),
    (
        "versions that are neither stored nor purged",
        """SELECT v.key FROM versions AS v WHERE v.digest IS NULL AND NOT EXISTS (
           SELECT 1 FROM versions AS n JOIN events AS e ON e.key = n.key
           WHERE n.room = v.room AND n.id = v.id AND e.action = 'purge' AND e.seq > v.key)""",
    ),
)
_SLOT_CHECKS = (
    (
        "live edits whose slot a later one holds as well",
        """SELECT DISTINCT a.key FROM versions AS a JOIN versions AS b
           ON b.room = a.room AND b.slot = a.slot AND b.key > a.key
           WHERE a.state = 1 AND b.state = 1
           AND (a.valid_from IS NULL OR b.valid_until IS NULL OR a.valid_from < b.valid_until)
           AND (b.valid_from IS NULL OR a.valid_until IS NULL OR b.valid_from < a.valid_until)""",
    ),
)
_VECTOR_CHECKS = (
    ("versions without vectors", WITHOUT_VECTORS),
    (
        "vectors of versions that are not there",
        """SELECT x.key FROM vectors AS x LEFT JOIN versions AS v USING (key)
           WHERE v.digest IS NULL""",
    ),
)
_TEXTS = """SELECT v.*, namespace FROM versions AS v LEFT JOIN rooms USING (room)
    WHERE digest IS NOT NULL"""
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
_REMEDIES: dict[Part, str] = {
    "file": "restore a backup",
    "ledger": "restore a backup",
    "slots": "retract the one that does not hold, or add the fact anew: it takes the place of both",
    "vectors": "make them anew: memory.reembed(memory.embeddings)",
    "index": "lte-chains doctor --repair",
    "cache": "lte-chains doctor --repair, or delete the file: it is made anew",
}
_AT_ONCE = 4096


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Example:
        >>> Finding("vectors", "3 versions without vectors").remedy
        'make them anew: memory.reembed(memory.embeddings)'
    """

    part: Part
    problem: str
    repaired: bool = False

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return "none needed" if self.repaired else _REMEDIES[self.part]

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "remedy": self.remedy}


def examine(path: str | os.PathLike[str], *, repair: bool = False) -> list[Finding]:
    """Check a memory's file, ledger, vectors, indexes and caches; none is a good sign.

    It may be in use. A file of an earlier format is brought up to date first, as
    whenever it is opened.

    Args:
        path: The SQLite file.
        repair: Make anew what is derived, if it is not as it should be.

    Raises:
        StoreError: There is no file, it is no memory, or it cannot be written.
    """
    place = Path(path).expanduser().absolute()
    with explained(str(place)):
        if not place.is_file() or not place.stat().st_size:
            raise StoreError(f"there is no edit memory at {place}")
        with closing(connector(place)()) as connection:
            prepare(connection, str(place))
            return list(_findings(connection, place, repair))


def _findings(connection: sqlite3.Connection, place: Path, repair: bool) -> Iterator[Finding]:
    connection.row_factory = None
    damaged = list(_file(connection, repair))
    yield from damaged
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _indexes(connection, repair),
        lambda: _counted(connection, "ledger", _LEDGER_CHECKS),
        lambda: _dates(connection),
        lambda: _texts(connection, repair),
        lambda: _counted(connection, "vectors", _VECTOR_CHECKS),
        lambda: _vectors(connection),
        lambda: _derived(connection, repair),
        lambda: _caches(connection, place, repair),
    )
    for check in checks:
        try:
            yield from check()
        except SQLITE_ERRORS as error:
            if not damaged:  # then it has been said
                yield Finding("file", f"cannot be read to the end: {error}")
            return
        except StoreError:
            continue  # of a text that `_texts` has found to be damaged


def _file(connection: sqlite3.Connection, repair: bool) -> Iterator[Finding]:
    """Check SQLite's own structures; its indexes can be made anew."""

    def complaints() -> list[str]:
        try:
            rows = connection.execute("PRAGMA integrity_check").fetchall()
        except SQLITE_ERRORS as error:
            return [str(error)]
        return [text for (text,) in rows if text != "ok"]

    found = complaints()
    if found and repair:
        with suppress(*SQLITE_ERRORS):
            connection.execute("REINDEX")
        left = complaints()
        if not left:
            yield Finding("index", f"SQLite's indexes were damaged: {found[0]}", repaired=True)
        found = left
    if found:
        only_indexes = all(" index " in text for text in found)
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        yield Finding("index" if only_indexes else "file", f"damaged: {found[0]}{more}")


def _indexes(connection: sqlite3.Connection, repair: bool) -> Iterator[Finding]:
    """Check that every index is there; without one, every call that uses it fails."""
    with closing(sqlite3.connect(":memory:")) as sound:
        for statement in TABLES:
            sound.execute(statement)
        wanted = dict(sound.execute(_INDEXES))
    for name in sorted(wanted.keys() - dict(connection.execute(_INDEXES)).keys()):
        if repair:
            connection.execute(wanted[name])
        yield Finding("index", f"SQLite's index {name} is missing", repaired=repair)


def _counted(
    connection: sqlite3.Connection, part: Part, checks: tuple[tuple[str, str], ...]
) -> Iterator[Finding]:
    for problem, statement in checks:
        [(count,)] = connection.execute(f"SELECT count(*) FROM ({statement})")  # noqa: S608
        if count:
            yield Finding(part, f"{count} {problem}")


def _dates(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Check that every revision says when it was."""
    wrong = 0
    for (moment,) in connection.execute("SELECT at FROM revisions"):
        try:
            moment_of(moment)
        except StoreError:
            wrong += 1
    if wrong:
        yield Finding("ledger", f"{wrong} revisions whose date is damaged")


def _texts(connection: sqlite3.Connection, repair: bool) -> Iterator[Finding]:
    """Check that every version is an edit, whose digest was written with it, and in its slot."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    wrong: list[str] = []
    misfiled: list[tuple[str, int]] = []
    for row in cursor.execute(_TEXTS):
        try:
            edit = decode(row)
            place_of(edit)
            sound = digest(tuple(row[name] for name in CONTENT)) == row["digest"]
        except (LteError, ValueError, TypeError, AttributeError):
            sound = False
        if not sound:
            wrong.append(f"{row['id']!r} version {row['version']}")
        elif (old := row["slot"]) is not None:
            slot = slot_of_stored(edit, old)
            if slot not in (None, old):
                misfiled.append((str(slot), row["key"]))
    if wrong:
        yield Finding("ledger", f"{len(wrong)} versions whose text is damaged, such as {wrong[0]}")
    if misfiled:
        if repair:
            connection.executemany("UPDATE versions SET slot = ? WHERE key = ?", misfiled)
        problem = f"{len(misfiled)} versions in another slot than their text says"
        yield Finding("index", problem, repaired=repair)


def _vectors(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Check that vectors are whole, finite, and of length 1 or 0."""
    import numpy as np

    try:
        space, wrong = read_space(connection), 0
    except StoreError as error:
        yield Finding("file", str(error))
        return
    rows = connection.execute("SELECT vector FROM vectors")
    while part := rows.fetchmany(_AT_ONCE):
        if space is None:
            yield Finding("vectors", "there are vectors, but no record of their embedder")
            return
        for (stored,) in part:
            if not isinstance(stored, bytes) or not stored or len(stored) % (4 * space.dimension):
                wrong += 1
                continue
            own = np.frombuffer(stored, np.float32).reshape(-1, space.dimension)
            lengths = np.square(own, dtype=np.float64).sum(axis=1)
            wrong += not bool(((np.abs(lengths - 1) < 1e-3) | (lengths == 0)).all())
    if wrong:
        yield Finding("vectors", f"{wrong} versions whose vectors are damaged")


def _derived(connection: sqlite3.Connection, repair: bool) -> Iterator[Finding]:
    """Compare what says which edits are live and pending with the events, and those by slot."""
    connection.execute("BEGIN IMMEDIATE" if repair else "BEGIN")
    try:
        wrong = [part for part in DERIVED if part.is_wrong(connection)]
        for part in wrong if repair else ():
            part.repair(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    for part in wrong:
        yield Finding("index", f"{part.name}: not what the ledger says", repaired=repair)
    if repair or not wrong:
        yield from _counted(connection, "slots", _SLOT_CHECKS)


def _caches(connection: sqlite3.Connection, place: Path, repair: bool) -> Iterator[Finding]:
    for saved, problem in faults_of(connection, place):
        if repair:
            with suppress(FileNotFoundError):
                saved.unlink()
        yield Finding("cache", f"{saved.name}: {problem}", repaired=repair)
