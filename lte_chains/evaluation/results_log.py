"""Results row by row on disk, so that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError, DataError

Row = dict[str, Any]
"""One row's results: the method, the row's number, scores and costs; JSON values."""


class ResultsLog:
    """Rows of results as JSON lines; the first line says what was run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = ResultsLog(Path(folder) / "rows.jsonl", {"seed": 0})
        ...     log.add([{"method": "lte", "row": 0}])
        ...     ResultsLog(Path(folder) / "rows.jsonl", {"seed": 0}).done("lte")
        {0}
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        """Open a log, and read what is in it.

        Args:
            path: The file; None keeps the rows in memory only.
            settings: What is run; a file of another run is refused.

        Raises:
            ConfigError: The file holds the results of another run.
            DataError: It is no such file.
        """
        self._path = path
        self._rows: dict[tuple[str, int], Row] = {}
        if path is None:
            return
        wanted = json.loads(json.dumps(settings))
        if path.exists():
            self._read(path, wanted)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"settings": wanted}) + "\n", encoding="utf-8")

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows; a group that was cut off halfway may be written again as a whole."""
        self._keep(rows)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{json.dumps(row)}\n" for row in rows))

    def of(self, method: str, *, first: int | None = None) -> list[Row]:
        """Return a method's rows in the order of the data; those of the data's first only."""
        rows = [row for (name, _), row in self._rows.items() if name == method]
        rows.sort(key=lambda row: int(row["row"]))
        return [row for row in rows if first is None or int(row["row"]) < first]

    def done(self, method: str, *, first: int | None = None) -> set[int]:
        """Return the numbers of the rows that a method has done; see `of`."""
        return {int(row["row"]) for row in self.of(method, first=first)}

    def _keep(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows[str(row["method"]), int(row["row"])] = row

    def _read(self, path: Path, wanted: Any) -> None:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        try:
            found = json.loads(lines[0])["settings"]
            # A line that was cut off by the interruption is done again.
            whole = lines[1:-1] + [line for line in lines[1:][-1:] if _is_json(line)]
            self._keep(json.loads(line) for line in whole)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no log of results: {error}") from error
        apart = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        if apart:
            raise ConfigError(
                f"{path} holds the results of another run (its {', '.join(apart)} differ): "
                "name another folder, or remove that one"
            )
        if len(whole) < len(lines) - 1 or not text.endswith("\n"):
            path.write_text("\n".join([lines[0], *whole]) + "\n", encoding="utf-8")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
