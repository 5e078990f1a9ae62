"""Copies of a SQLite memory while it is in use, and putting one back."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from lte_chains.errors import StoreError
from lte_chains.store.connections import explained
from lte_chains.store.schema import BUSY_SECONDS, NEW_EPOCH, format_of, prepare

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LOGS = ("-wal", "-journal")


def back_up(connection: sqlite3.Connection, name: str, path: str | os.PathLike[str]) -> None:
    """Write the state that a connection sees to a file, all or nothing.

    Args:
        connection: To the database, in a transaction.
        name: The database's, for messages.
        path: The copy; an existing one is replaced once the new one is on the disk.

    Raises:
        StoreError: The copy cannot be written, or is the database itself, or another
            one that is in use.
    """
    target = Path(path).expanduser().resolve()  # a link stays one
    with explained(str(target)):
        if target.is_dir():
            raise StoreError(f"{target} is a folder: give the path of a file in it")
        if target.exists() and Path(name).exists() and target.samefile(name):
            raise StoreError(f"{target} is the memory itself: give another path for its copy")
        _require_unused(target)
    like = Path(name) if Path(name).exists() else None
    with explained(str(target)), _draft(target, like=like) as draft:
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            _copy_pages(connection, copy)
            # One file that is complete by itself, also where nobody may write beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("DELETE FROM meta WHERE name = 'scrub'")
            copy.execute(NEW_EPOCH)  # it may go another way than the memory
        _put_in_place(draft, target)


def restore(backup: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a memory what a backup holds, all or nothing; it may be in use.

    What the memory held is gone, its history included. Those who have it open
    see the new content with their next call.

    Raises:
        StoreError: The backup is none, or damaged, or the memory cannot be
            written; then it is as before. Or there is none, but the log of one.
    """
    source, target = (Path(place).expanduser().absolute() for place in (backup, path))
    with explained(str(source)):
        if not source.is_file():
            raise StoreError(f"there is no backup at {source}")
        if target.exists() and target.samefile(source):
            raise StoreError(f"{source} is the memory itself: give the path of a backup")
    with _draft(target, like=target if target.exists() else source) as draft:
        with explained(str(source)):
            _copied(source, draft)
        with explained(str(target)):
            if target.exists():
                _exchange(draft, target)
            else:
                _put_in_place(draft, target)
            _forget_saved(target)


def _exchange(draft: Path, target: Path) -> None:
    """Write a draft's content into a file that others may have open."""
    with (
        closing(sqlite3.connect(draft, isolation_level=None)) as content,
        closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as memory,
    ):
        try:
            if format_of(memory, str(target)):
                memory.execute("PRAGMA synchronous = FULL")
        except sqlite3.DatabaseError as error:
            if "not a database" not in str(error):
                raise
            raise StoreError(
                f"{target} is no memory, or its beginning is damaged: move it away, and "
                f"{target.name}-wal with it if there is one, and restore again"
            ) from error
        [(page_bytes,)] = memory.execute("PRAGMA page_size")
        content.execute(f"PRAGMA page_size = {page_bytes}")
        content.execute("VACUUM")  # SQLite copies pages, and so only of one size
        _copy_pages(content, memory)  # one transaction of SQLite's own


def _copy_pages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy a whole database; whoever holds the one or the other is waited for, but not for ever.

    Raises:
        sqlite3.OperationalError: Somebody held it for too long.
    """
    deadline = time.monotonic() + BUSY_SECONDS

    def give_up(status: int, _left: int, _all: int) -> None:
        if status in _BUSY and time.monotonic() > deadline:  # Python itself would go on trying
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=give_up)


def _copied(source: Path, draft: Path) -> None:
    """Copy a backup, check the copy, bring it up to date, and mark it as a new beginning."""
    with (
        closing(sqlite3.connect(_read_only(source), uri=True, timeout=BUSY_SECONDS)) as given,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        if not format_of(given, str(source)):
            raise StoreError(f"{source} is an empty database, not a backup of a memory")
        _copy_pages(given, copy)
        [(verdict,), *_] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise StoreError(f"the backup {source} is damaged ({verdict}): use another one")
        prepare(copy, str(source))
        copy.execute(NEW_EPOCH)
        copy.execute("PRAGMA journal_mode = DELETE")


def _forget_saved(memory: Path) -> None:
    """Delete the saved indexes of what a memory held; they would not be used any more."""
    from lte_chains.index import cache

    for place in cache.places_of(memory, unfinished=True):
        with suppress(OSError):
            place.unlink()


def _read_only(path: Path) -> str:
    return f"{path.as_uri()}?mode=ro"


@contextmanager
def _draft(target: Path, *, like: Path | None) -> Iterator[Path]:
    """Name a file beside the target, which is gone in the end.

    Args:
        target: What it is a draft of.
        like: Who may read this file may read the draft; None for the process' own habit.

    Raises:
        StoreError: The target's folder does not exist.
    """
    if not target.parent.is_dir():
        raise StoreError(f"the folder {target.parent} does not exist: create it first")
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        if like is not None:
            mode = stat.S_IMODE(like.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR
            draft.touch(stat.S_IRUSR | stat.S_IWUSR)
            with suppress(PermissionError):  # a file system that has no modes
                draft.chmod(mode)
        yield draft
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{draft}{end}").unlink()


def _require_unused(target: Path) -> None:
    """Check that nobody works with the file that is to be replaced, and that no log lies there.

    Whoever has the old file open would go on writing to it, unseen; and a log
    would be taken for the new file's, and written over it.

    Raises:
        StoreError: Somebody does, or one does.
    """
    if target.is_file():
        with closing(sqlite3.connect(target, isolation_level=None)) as old:
            try:
                # As long as somebody has it open, its log cannot be given up; otherwise what
                # the log holds is brought into the file, and it is gone.
                old.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise StoreError(
                        f"{target} is open elsewhere, so that nothing can be put in its place: "
                        "close it first, or give another path"
                    ) from error
            except sqlite3.DatabaseError:
                pass  # no database, and so nobody's
    logs = [target.with_name(f"{target.name}{end}") for end in _LOGS]
    left = [log.name for log in logs if log.exists() and log.stat().st_size]
    if left:
        raise StoreError(
            f"{' and '.join(left)} beside {target} would be taken for the new file's log: if "
            "nobody has the file open that it belonged to, delete it and try again"
        )


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename a finished file once it is on the disk.

    Raises:
        StoreError: It cannot be, or its place is in use.
    """
    try:
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        _require_unused(target)
        draft.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error}") from error
