"""An index in a file, so that a process that opens a large memory need not read the ledger.

The file is a JSON line and then plain arrays, in the machine's byte order. It is
written aside, synced and renamed, and carries a stamp of what it shows and a
checksum of every array: whatever does not fit is as good as no file. Nothing is
lost with it, and deleting it is always safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lte_chains.index.growing import DEAD, Rows
from lte_chains.index.ranking import View
from lte_chains.index.scores import Floats, Keys, by_key
from lte_chains.index.sealed import Sealed

_log = logging.getLogger(__name__)

_FORMAT = f"lte-chains index 3 {sys.byteorder}"
_LONGEST_HEADER = 1 << 20
_WORDS = 512
"""64-bit words that are summed up together: a page of 4 KiB."""
_ENDING = re.compile(r"-index-[0-9a-f]{16}(?P<draft>-[0-9a-f]{32})?$")
"""How the name of an index ends, behind its database's; no other file is ever touched."""
_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class Stamp:
    """What a saved index shows.

    The moment of the revision tells a ledger from a copy of an earlier state of
    it that went another way.
    """

    namespace: str
    revision: int
    at: str
    """When the revision was committed, as the ledger has it."""
    space: str
    """The vectors' space, as the ledger has it."""
    ledger: str
    """The ledger's name for its content; another file, or a restored one, has another."""


@dataclass(frozen=True)
class Saved:
    """What `load` found: arguments for `VectorIndex.adopt`."""

    stamp: Stamp
    edits: int
    blocks: list[Sealed]
    keys: Keys
    vectors: Floats

    def shows(self, rows: Iterable[tuple[int, bytes]]) -> bool:
        """Tell whether it holds these keys with these vectors, and no others."""
        dimension = self.vectors.shape[1]
        floats = {key: part.tobytes() for key, part in by_key(self.keys, self.vectors)}
        left = sum(len(block.keys) for block in self.blocks)
        for key, stored in rows:
            if key in floats:
                if floats.pop(key) != stored:
                    return False
                continue
            own = np.frombuffer(stored, np.float32).reshape(-1, dimension)
            if not any(block.stands_for(key, own) for block in self.blocks):
                return False
            left -= len(own)
        return not left and not floats


def place_of(database: Path, namespace: str) -> Path:
    """Return where the index of a namespace is kept, beside its database.

    That is beside the file itself, if the path is a link to it: whoever erases must
    find it, whichever way the memory was opened.

    Example:
        >>> place_of(Path("edits.db"), "default").name
        'edits.db-index-37a8eec1ce19687d'
    """
    mark = hashlib.sha256(namespace.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    database = _itself(database)
    return database.with_name(f"{database.name}-index-{mark}")


def places_of(database: Path, *, unfinished: bool = False) -> list[Path]:
    """Return the saved indexes of all namespaces of a database, and what writers left behind.

    What is perhaps being written at this moment is among them only if `unfinished`.
    """
    found: list[Path] = []
    for place in {database, _itself(database)}:  # beside a link there may be some of earlier times
        with suppress(OSError):
            found += [path for path in place.parent.iterdir() if _is_index(path, of=place)]
    return [path for path in found if unfinished or not _is_being_written(path)]


def save(
    place: Path,
    view: View,
    stamp: Stamp,
    *,
    like: Path | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Write an index, all or nothing, if it is wanted; return whether it is there.

    Args:
        place: Where; an earlier file is replaced.
        view: What the index shows.
        stamp: What that is.
        like: The file whose permissions the new one gets.
        wanted: Asked while the file is empty, and again when it has its name: who erases
            something is heeded before the first time, and after it finds the file.

    Raises:
        OSError: It cannot be written; an earlier file is as it was.
    """
    _sweep(place)
    draft = place.with_name(f"{place.name}-{uuid.uuid4().hex}")
    try:
        with draft.open("xb", buffering=0) as file:
            with suppress(PermissionError):  # a file system that has none
                shutil.copymode(like or draft, draft)
            if not wanted():
                return False
            _write_index(file, view, stamp)
            os.fsync(file.fileno())
        draft.replace(place)
        _sync_folder(place.parent)
    finally:
        with suppress(OSError):
            draft.unlink()
    if not wanted():
        place.unlink(missing_ok=True)
        return False
    return True


def load(place: Path) -> Saved | None:
    """Read an index; None if there is none, or none that can be trusted."""
    try:
        with place.open("rb", buffering=0) as file:
            return _read(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        _log.info("the index in %s is passed over: %s", place, error)
        return None


def stamp_of(place: Path) -> Stamp | None:
    """Return what a saved index claims to show, without reading its arrays."""
    try:
        with place.open("rb", buffering=0) as file:
            return Stamp(**_header(file)["stamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_index(file: BinaryIO, view: View, stamp: Stamp) -> None:
    # Held until the end: arrays of codes are views of the blocks' own memory.
    blocks = [block.swept() for block in view.sealed if block.live]
    arrays = _arrays_of(blocks, view.growing)
    header = {
        "format": _FORMAT,
        "stamp": asdict(stamp),
        "edits": view.edits,
        "dimension": view.growing.vectors.shape[1],
        "blocks": [
            {"rows": len(block.keys), "scale": block.scale, "residual": block.residual}
            for block in blocks
        ],
        "rows": len(arrays[-2]),
        "checksums": [_checksum(array) for array in arrays],
    }
    line = json.dumps(header).encode()
    # The header's own checksum, in a fixed width; memoryviews are written whole.
    file.write(b"%08x%08x" % (len(line), zlib.crc32(line)) + line)
    for array in arrays:
        _write(file, array)


def _arrays_of(blocks: Sequence[Sealed], growing: Rows) -> list[npt.NDArray[Any]]:
    """Return the arrays in their order in the file."""
    arrays: list[npt.NDArray[Any]] = []
    for block in blocks:
        arrays += [block.keys, block.stored_codes()]
    keys = growing.keys[: growing.size]
    live = np.flatnonzero(keys != DEAD)
    live = live[np.argsort(keys[live], kind="stable")]
    return [*arrays, keys[live], growing.vectors[live]]


def _read(file: BinaryIO) -> Saved:
    header = _header(file)
    dimension, checksums = int(header["dimension"]), iter(header["checksums"])
    rows = [int(block["rows"]) for block in header["blocks"]]
    last = int(header["rows"])
    expected = file.tell() + sum(rows) * (8 + dimension) + last * (8 + 4 * dimension)
    if os.fstat(file.fileno()).st_size != expected or min([last, dimension, *rows]) < 0:
        raise ValueError("it is cut short, or too long")
    blocks = []
    for count, block in zip(rows, header["blocks"], strict=True):
        keys: Keys = _array(file, count, np.int64, checksums)
        scale, residual = float(block["scale"]), float(block["residual"])
        blocks.append(Sealed.blank(keys, dimension, scale, residual))
        _fill(file, blocks[-1].stored_codes(), checksums)
    keys = _array(file, last, np.int64, checksums)
    vectors: Floats = _array(file, last * dimension, np.float32, checksums)
    return Saved(
        Stamp(**header["stamp"]),
        int(header["edits"]),
        blocks,
        keys,
        vectors.reshape(last, dimension),
    )


def _header(file: BinaryIO) -> dict[str, Any]:
    """Read and check what stands before the arrays.

    Raises:
        ValueError: It is damaged, or of another format.
    """
    marks = file.read(16)
    length, checksum = int(marks[:8], 16), int(marks[8:], 16)
    if length > _LONGEST_HEADER:
        raise ValueError("its header is damaged")
    line = file.read(length)
    if zlib.crc32(line) != checksum:
        raise ValueError("its header is damaged")
    header: dict[str, Any] = json.loads(line)
    if header["format"] != _FORMAT:
        raise ValueError(f"it is of the format {header['format']!r}")
    return header


def _array(
    file: BinaryIO, count: int, kind: npt.DTypeLike, checksums: Iterator[int]
) -> npt.NDArray[Any]:
    array = np.empty(count, kind)
    _fill(file, array, checksums)
    return array


def _fill(file: BinaryIO, array: npt.NDArray[Any], checksums: Iterator[int]) -> None:
    """Read an array into its place: nothing is copied.

    Raises:
        ValueError: It is cut short or damaged.
    """
    left = array.reshape(-1).view(np.uint8).data
    while left and (count := file.readinto(left)):  # type: ignore[attr-defined]
        left = left[count:]
    if left or _checksum(array) != next(checksums):
        raise ValueError("it is damaged")


def _write(file: BinaryIO, array: npt.NDArray[Any]) -> None:
    left = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    while left:
        left = left[file.write(left) :]


def _checksum(array: npt.NDArray[Any]) -> int:
    """Return a checksum that takes a fraction of the time of reading the bytes.

    The 64-bit words of each page are added up, and the sums are hashed.
    """
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    words = flat[: len(flat) // 8 * 8].view(np.uint64)
    whole = len(words) // _WORDS * _WORDS
    sums = words[:whole].reshape(-1, _WORDS).sum(axis=1, dtype=np.uint64)
    rest = flat[whole * 8 :].tobytes()
    return zlib.crc32(rest, zlib.crc32(sums.tobytes()))


def _sweep(place: Path) -> None:
    """Delete what writers that were killed have left behind."""
    with suppress(OSError):
        for path in place.parent.iterdir():
            named = path.name.startswith(f"{place.name}-") and _ENDING.search(path.name)
            if named and not _is_being_written(path):
                path.unlink(missing_ok=True)


def _itself(database: Path) -> Path:
    """Return the file that a link leads to, in the end; any other path as it is."""
    return Path(os.path.realpath(database)) if database.is_symlink() else database


def _is_index(path: Path, *, of: Path) -> bool:
    """Tell whether a file has the name of an index of a database, or of an unfinished one."""
    ending = path.name.removeprefix(of.name)
    return ending != path.name and _ENDING.match(ending) is not None


def _is_being_written(path: Path) -> bool:
    """Tell whether a file is an unfinished one that may have a writer yet."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return True  # it was: now it has its name, or is gone
    ending = _ENDING.search(path.name)
    return ending is not None and ending["draft"] is not None and age < _ABANDONED_SECONDS


def _sync_folder(folder: Path) -> None:
    """Put a renaming on the disk, where the system lets folders be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
