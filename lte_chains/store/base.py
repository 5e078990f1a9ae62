"""What a store of edits must do, and the values it hands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, ConflictError, EmbeddingError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Vectors: TypeAlias = "npt.NDArray[np.float32]"  # numpy would be a fifth of the import time
"""Unit vectors, one a row: shape (wordings, dimension); or one vector: shape (dimension,)."""

Operation = Literal[
    "add", "retract", "rollback", "purge", "reembed", "propose", "approve", "reject"
]
"""The call that committed a revision."""

Action = Literal[
    "add",
    "supersede",
    "retract",
    "restore",
    "purge",
    "reembed",
    "propose",
    "approve",
    "reject",
]
"""What a revision did to one edit. An approved edit is written as a version of its own: an
"approve" of the proposed version is followed by the "add" of the live one."""


Durability = Literal["full", "normal"]
"""What a call that has returned survives: a power cut, or only the end of the process."""


@dataclass(frozen=True)
class VectorSpace:
    """Where vectors are comparable: which embedder made them, and their length.

    Example:
        >>> VectorSpace(fingerprint="all-MiniLM-L6-v2:53aa51172d14", dimension=384).dimension
        384
    """

    fingerprint: str
    """The embedder's identity; see `lte_chains.embeddings.fingerprint`."""
    dimension: int
    """Length of every vector."""


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to one edit.

    Example:
        >>> from datetime import UTC
        >>> entry = HistoryEntry(
        ...     revision=2, at=datetime(2026, 1, 1, tzinfo=UTC), operation="add",
        ...     action="supersede", id="a", version=1, superseded_by="b",
        ... )
        >>> entry.action, entry.superseded_by
        ('supersede', 'b')
    """

    revision: int
    """The revision that did it."""
    at: datetime
    """When that revision was committed, in UTC (ledger time)."""
    operation: Operation
    """The call that committed the revision; a rollback retracts and restores."""
    action: Action
    """What happened to the edit."""
    id: str | None = None
    """The edit's id; None for "reembed", which concerns no single edit."""
    version: int | None = None
    """Which version of the edit it happened to."""
    edit: Edit | None = None
    """The text of that version; None once it has been purged."""
    superseded_by: str | None = None
    """For "supersede": the id of the edit that took the slot."""


class EditStore(Protocol):
    """An append-only ledger of edits with their vectors, in namespaces.

    Every writing call is one transaction: it is committed whole, as exactly one
    new revision of its namespace, or leaves everything as it was. A call that
    changes nothing adds no revision. Ids and revisions of one namespace mean
    nothing in another. Implementations are thread-safe and raise `StoreError`
    where the storage itself fails.

    A writing call that is given `if_revision` does nothing and raises
    `ConflictError` unless that is still the latest revision of its namespace.
    """

    def space(self) -> VectorSpace | None:
        """Return the space of the stored vectors; None before the first edit."""
        ...

    def revision(self, namespace: str) -> int:
        """Return the latest revision; 0 for a namespace that never held an edit."""
        ...

    def content(self, namespace: str) -> tuple[int, str | None]:
        """Return the latest revision, and which content it is of: another after a `restore`."""
        ...

    def add(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        takes: Sequence[Edit | None] | None = None,
        if_revision: int | None = None,
    ) -> list[str]:
        """Store edits in order and return their ids.

        An edit that is already live with the same content is left alone. A live
        edit of another id is superseded if it gives way by `lte_chains.slots`
        and holds over an overlapping validity; that includes earlier edits of
        the same call. It goes on, as a new version, over the time before the
        new edit, or, if there is none, over the time after it.

        Args:
            namespace: Where the edits belong.
            edits: The edits.
            vectors: Of each edit those of its wordings, shape (wordings,
                dimension), its own first; or one alone, shape (dimension,).
            fingerprint: The embedder that made them.
            takes: For each edit a stored one whose place it takes, and whose
                slot, if it has none of its own.
            if_revision: See `EditStore`.

        Raises:
            EmbeddingError: The vectors are not of the store's space.
            InvalidEditError: An edit's content cannot be stored.
        """
        ...

    def retract(
        self,
        namespace: str,
        ids: Sequence[str],
        *,
        missing_ok: bool = False,
        if_revision: int | None = None,
    ) -> int:
        """Withdraw live edits; return the revision. Known ids that are not live are left alone.

        Raises:
            UnknownEditError: The namespace never held an id, and not `missing_ok`.
        """
        ...

    def propose(
        self,
        namespace: str,
        edits: Sequence[Edit],
        vectors: Sequence[Vectors],
        *,
        fingerprint: str,
        if_revision: int | None = None,
    ) -> list[str]:
        """Store edits as pending, neither live nor found, and return their ids.

        What is pending already with the same content is left alone.

        Raises:
            EmbeddingError: The vectors are not of the store's space.
            InvalidEditError: An edit's content cannot be stored, or its id is
                pending with another content.
        """
        ...

    def pending(self, namespace: str) -> list[Edit]:
        """Return the pending edits, oldest first."""
        ...

    def approve(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Make pending edits live, in the order of `ids`, as `add` does; return the revision.

        Raises:
            UnknownEditError: An id is not pending in the namespace.
        """
        ...

    def reject(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Discard pending edits, which stay in the history; return the revision.

        Raises:
            UnknownEditError: An id is not pending in the namespace.
        """
        ...

    def rollback(self, namespace: str, revision: int, *, if_revision: int | None = None) -> int:
        """Make the live edits those of an earlier revision; return the new revision.

        Pending edits stay as they are.

        Raises:
            UnknownEditError: The namespace has no such revision.
        """
        ...

    def purge(self, namespace: str, ids: Sequence[str], *, if_revision: int | None = None) -> int:
        """Erase all versions of edits, text and vectors, beyond recovery; return the revision.

        That includes pending ones of these ids.

        Raises:
            UnknownEditError: The namespace never held an id.
        """
        ...

    def reembed(
        self, embed: Callable[[Sequence[Edit]], Sequence[Vectors]], *, fingerprint: str
    ) -> None:
        """Replace the vectors of all versions in all namespaces, in one transaction."""
        ...

    def edits(self, namespace: str, *, as_of: int | datetime | None = None) -> list[Edit]:
        """Return the live edits, oldest first; those of an earlier moment with `as_of`.

        Raises:
            UnknownEditError: The namespace has no such revision.
        """
        ...

    def get(self, namespace: str, ids: Sequence[str]) -> dict[str, Edit]:
        """Return those of the edits that are live, by id."""
        ...

    def history(
        self, namespace: str, id_: str | None = None, *, since: int = 0
    ) -> list[HistoryEntry]:
        """Return what happened after revision `since`, oldest first: to one edit, or to all.

        Raises:
            UnknownEditError: The namespace never held the id.
        """
        ...

    def nearest(
        self,
        namespace: str,
        vector: Vectors,
        k: int,
        *,
        fingerprint: str,
        accept: Callable[[Edit], bool] | None = None,
    ) -> list[tuple[Edit, float]]:
        """Return the `k` live, accepted edits of highest cosine, best first, exactly.

        An edit's cosine is that of its best wording; no edit is returned twice.

        Args:
            namespace: Whose edits.
            vector: A unit vector, shape (dimension,).
            k: Most edits to return.
            fingerprint: The embedder that made `vector`.
            accept: Which edits may be returned; all if None.

        Raises:
            EmbeddingError: The vector is not of the store's space.
        """
        ...

    def vectors(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those of the edits that are live, by id: of their own wordings."""
        ...

    def wordings(self, namespace: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return all vectors of those of the edits that are live, by id.

        Each value is of shape (wordings, dimension), the edit's own wording first.
        """
        ...

    def close(self) -> None:
        """Release the storage; further calls raise `StoreError`."""
        ...


def check_space(recorded: VectorSpace, given: VectorSpace) -> None:
    """Check that vectors of the space `given` may join, or query, those recorded.

    Raises:
        EmbeddingError: Another embedder, or another dimension.

    Example:
        >>> check_space(VectorSpace("a", 3), VectorSpace("a", 3))
    """
    remedy = (
        "open the memory with the embeddings it was made with, or make the change for good: "
        "EditMemory.open(…, embeddings=…, reembed=True)"
    )
    if recorded.fingerprint != given.fingerprint:
        raise EmbeddingError(
            f"the memory was embedded with {recorded.fingerprint!r}, not with "
            f"{given.fingerprint!r}: {remedy}"
        )
    if recorded.dimension != given.dimension:
        raise EmbeddingError(
            f"vectors of dimension {given.dimension} do not fit the memory's dimension "
            f"{recorded.dimension}: {remedy}"
        )


def check_revision(namespace: str, latest: int, expected: int | None) -> None:
    """Check that a namespace is still at the revision that a writer has seen, if it says which.

    Raises:
        ConflictError: It is at another one.
        ConfigError: The writer says something that is no revision.

    Example:
        >>> check_revision("default", 7, None)
        >>> check_revision("default", 7, 6)
        Traceback (most recent call last):
        lte_chains.errors.ConflictError: namespace 'default' is at revision 7, not 6: ...
    """
    given: object = expected
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise ConfigError(f"if_revision must be the number of a revision, not {given!r}")
    if given not in (None, latest):
        raise ConflictError(
            f"namespace {namespace!r} is at revision {latest}, not {expected}: nothing was "
            "changed. Read it again, and decide anew"
        )
