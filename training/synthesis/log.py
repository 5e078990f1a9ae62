"""The files of a run: one line an edit, only ever appended to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lte_chains.edit import Edit
from lte_chains.errors import DataError


def key_of(edit: Edit) -> str:
    """Return the name of an edit in a run's files, the same in every run.

    Example:
        >>> key_of(Edit(prompt="2 + 2 is", target_new="5"))
        'd7f40355be522d0d'
    """
    about = "\x1f".join((edit.prompt, edit.target_new, edit.statement or "", edit.subject or ""))
    return hashlib.sha256(about.encode()).hexdigest()[:16]


class RunLog:
    """JSON lines that survive a crash: every line is on the disk before the next edit begins.

    A last line that was cut off, by a crash in the middle of writing, is removed
    when the file is opened again; its edit is then done anew.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            DataError: It cannot be read or written, or is another kind of file.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.done = self._read()
        except OSError as error:
            raise DataError(f"cannot write to {path}: {error.strerror or error}") from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one line, durably.

        Raises:
            DataError: It cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(f"cannot write to {self.path}: {error.strerror or error}") from error
        self.done.add(row["key"])

    def _read(self) -> set[str]:
        self.path.touch()
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        keys = set()
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                keys.add(json.loads(line)["key"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.path}, line {number} is not of an earlier run: {error!r}. "
                    "Name another file"
                ) from error
        return keys
