"""Edits that wait for approval: the part of `EditMemory` that agents may be given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langchain_core.runnables import run_in_executor

from lte_chains.arguments import require_edits, require_ids
from lte_chains.documents import EditDocuments
from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError


class EditProposals(EditDocuments):
    """The side of `EditMemory` on which edits are proposed, and let in or discarded.

    A pending edit is durable and in the history, but nothing finds it, it is
    not among `edits()`, it is not exported, and it takes nothing's slot. It
    cannot be changed either: what is approved is what was read.
    """

    def propose(self, edits: Iterable[Edit], *, if_revision: int | None = None) -> list[str]:
        """Store edits as pending, in one transaction, and return their ids, in order.

        Proposing what is pending already changes nothing and returns its id. An
        edit with the id of a live one would replace that one.

        An instruction cannot be proposed: how the model shall answer is for the
        app to say, with `add_edits`.

        Raises:
            InvalidEditError: Not edits, instructions, metadata that are not JSON
                values, or an id that is pending with another content.
            EmbeddingError: The embedder failed to give fitting vectors.
            StoreError: The store cannot be written. Nothing has been proposed.

        Example:
            >>> from langchain_core.embeddings import DeterministicFakeEmbedding
            >>> from lte_chains import EditMemory
            >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
            >>> ids = memory.propose([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
            >>> len(memory.edits()), len(memory.pending())
            (0, 1)
            >>> memory.approve(ids)
            2
            >>> len(memory.edits()), len(memory.pending())
            (1, 0)
        """
        listed = require_edits(edits)
        if not listed:
            return []
        _refuse_instructions(listed)
        store, embedder = self._shared.store, self._shared.embedder
        vectors = embedder.edits(listed)
        return store.propose(
            self.namespace,
            listed,
            vectors,
            fingerprint=embedder.fingerprint,
            if_revision=if_revision,
        )

    def pending(self) -> list[Edit]:
        """Return the edits that wait for `approve` or `reject`, oldest first."""
        return self._shared.store.pending(self.namespace)

    def approve(self, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Let pending edits in, in one transaction, in the order of the ids.

        Each is added as if by `add_edits` now: conflicts with live edits, and
        among the approved ones, are settled at this moment.

        Returns:
            The latest revision.

        Raises:
            ConflictError: The latest revision is not `if_revision`.
            UnknownEditError: An id is not pending in this namespace; nothing is changed.
        """
        store = self._shared.store
        return store.approve(self.namespace, require_ids(ids), if_revision=if_revision)

    def reject(self, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Discard pending edits; the history keeps them until they are purged.

        Returns:
            The latest revision.

        Raises:
            ConflictError: The latest revision is not `if_revision`.
            UnknownEditError: An id is not pending in this namespace; nothing is changed.
        """
        store = self._shared.store
        return store.reject(self.namespace, require_ids(ids), if_revision=if_revision)

    async def apropose(self, edits: Iterable[Edit]) -> list[str]:
        """Store edits as pending, as `propose` does."""
        return await run_in_executor(None, self.propose, edits)

    async def aapprove(self, ids: Sequence[str]) -> int:
        """Let pending edits in, as `approve` does."""
        return await run_in_executor(None, self.approve, ids)

    async def areject(self, ids: Sequence[str]) -> int:
        """Discard pending edits, as `reject` does."""
        return await run_in_executor(None, self.reject, ids)


def _refuse_instructions(edits: Sequence[Edit]) -> None:
    for edit in edits:
        if edit.instruction is not None:
            raise InvalidEditError(
                f"an instruction cannot be proposed: {edit.instruction[:80]!r}. Whoever may say "
                "how the model shall answer adds it with add_edits"
            )
