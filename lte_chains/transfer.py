"""Edits in and out of a memory: files of edits, and copies of the memory itself."""

from __future__ import annotations

import os

from lte_chains.arguments import require_place
from lte_chains.documents import EditDocuments
from lte_chains.errors import ConfigError, DataError
from lte_chains.interchange import read_edits, write_edits
from lte_chains.store.backup import restore
from lte_chains.store.sqlite import SQLiteStore


class EditTransfer(EditDocuments):
    """The part of `EditMemory` that reads and writes files."""

    def export_jsonl(self, path: str | os.PathLike[str]) -> int:
        """Write the live edits as JSON lines and return how many; pending ones are left out.

        Raises:
            DataError: The file cannot be written; an existing one is as before.
        """
        edits = self._shared.store.edits(self.namespace)
        write_edits(path, edits)
        return len(edits)

    def import_jsonl(
        self,
        path: str | os.PathLike[str],
        *,
        instructions: bool = False,
        show_progress: bool | None = None,
    ) -> list[str]:
        """Add the edits of a file in one transaction and return their ids.

        Understood are `export_jsonl`'s own format and KnowEdit's and EasyEdit's
        JSON; see `lte_chains.interchange`.

        Args:
            path: The file.
            instructions: Whether some of its edits may be instructions, which tell
                the model how to answer. Only for files of people who may do that.
            show_progress: Always or never a bar; with None where it takes long.

        Raises:
            DataError: The file cannot be read as edits, or holds or would replace
                instructions that are not allowed; nothing is added.
        """
        edits = read_edits(path, instructions=instructions)
        if not instructions:
            self._spare_instructions(path, {edit.id for edit in edits} - {None})
        return self.add_edits(edits, show_progress=show_progress)

    def _spare_instructions(self, path: str | os.PathLike[str], ids: set[str | None]) -> None:
        """Check that no instruction has one of these ids, and so would be replaced by a fact."""
        live = self._shared.store.edits(self.namespace) if ids else ()
        if lost := sorted(e.id or "" for e in live if e.id in ids and e.instruction is not None):
            raise DataError(
                f"{path} would replace the instructions {lost}: give its edits other ids, or pass "
                "instructions=True (--instructions) if the file may do that"
            )

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a copy of a memory in SQLite, all its namespaces, while it is in use.

        The copy is one state, and a memory like any other: open it, or put it
        back with `restore`. Nobody is kept waiting. A database server has its
        own tools.

        Raises:
            StoreError: The copy cannot be written; an existing one is as before.
            ConfigError: The memory is not in SQLite, or a path is needed.
        """
        store = self._shared.store
        if not isinstance(store, SQLiteStore):
            raise ConfigError(
                f"a memory in {type(store).__name__} is backed up with its server's own tools, "
                "such as pg_dump; or export_jsonl() writes the live edits"
            )
        store.backup(require_place("backup", path))

    @staticmethod
    def restore(backup: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
        """Make the memory at a path what a backup holds, all or nothing.

        What it held is gone, with its history. It may be open, here and in other
        processes: each sees the new content with its next call.

        Raises:
            StoreError: The backup is none, or damaged, or the memory cannot be
                written; then the memory is as before.
            ConfigError: A path is needed.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> from langchain_core.embeddings import DeterministicFakeEmbedding
            >>> from lte_chains import Edit, EditMemory
            >>> folder, embeddings = Path(tempfile.mkdtemp()), DeterministicFakeEmbedding(size=8)
            >>> memory = EditMemory.open(folder / "edits.db", embeddings=embeddings)
            >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
            >>> memory.backup(folder / "copy.db")
            >>> memory.retract(ids)
            2
            >>> EditMemory.restore(folder / "copy.db", folder / "edits.db")
            >>> [edit.target_new for edit in memory.edits()], memory.revision
            (['Jane Doe'], 1)
        """
        restore(require_place("backup", backup), require_place("path", path))
