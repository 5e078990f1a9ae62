"""Free text that may be about a slot which an edit holds already: an opt-in, by a matcher.

A statement without subject and relation has no slot, so no rule can say what it
replaces. `EditMemory.add_matched` asks a matcher, before the transaction, and
never guesses: what is ambiguous is kept beside what is there, and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from lte_chains.arguments import require_count, require_edits
from lte_chains.documents import EditDocuments
from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError
from lte_chains.slots import is_many_valued
from lte_chains.store.base import Vectors

Outcome = Literal["supersede", "coexist", "ambiguous"]
"""What is done: take the place of an edit; stand beside all; stand beside one that it may
contradict."""


@dataclass(frozen=True)
class Verdict:
    """What a matcher says of a statement.

    Raises:
        ConfigError: An unknown outcome, or one that needs an edit and has none.

    Example:
        >>> Verdict("coexist").about is None
        True
    """

    outcome: Outcome
    about: Edit | None = None
    """The candidate that it replaces, or may contradict; None for "coexist"."""

    def __post_init__(self) -> None:
        """Check that an edit is named where one is needed."""
        if self.outcome not in ("supersede", "coexist", "ambiguous"):
            raise ConfigError(f"a verdict is supersede, coexist or ambiguous, not {self.outcome!r}")
        if (self.about is None) != (self.outcome == "coexist"):
            raise ConfigError(
                f"a verdict names the edit it is about, and only coexist names none: {self!r}"
            )


@dataclass(frozen=True)
class Placement:
    """What became of one edit of `EditMemory.add_matched`."""

    id: str
    """The edit's id."""
    outcome: Outcome | Literal["rule"]
    """The matcher's verdict; "rule" for an edit with a slot of its own."""
    about: Edit | None = None
    """The live edit that the verdict is about, as it was before."""


class SlotMatcher(Protocol):
    """Anything that can say which live edit a statement replaces, if any."""

    def match(self, edit: Edit, candidates: Sequence[EditMatch]) -> Verdict:
        """Return what to do with a statement, given the live edits nearest to it, best first."""
        ...


class _Gate(Protocol):
    def judge(self, query: str, matches: Sequence[EditMatch]) -> list[EditMatch]: ...


@dataclass(frozen=True)
class GateMatcher:
    """Match by a scope gate: what the statement, read as a question, is in scope of.

    In scope of one slot's edit: it supersedes that. Of several slots: it is
    ambiguous, about the nearest. Of none, or only of edits whose relation has
    many values: it coexists.

    Raises:
        ConfigError: Not a gate.

    Example:
        >>> from lte_chains.scope import SimilarityGate
        >>> held = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", id="e1")
        >>> statement = Edit.from_statement("John Roe is the CEO of Acme.")
        >>> matcher = GateMatcher(SimilarityGate(0.7))
        >>> matcher.match(statement, [EditMatch(edit=held, score=0.9)]).outcome
        'supersede'
    """

    gate: _Gate
    """Any scope gate. A `SimilarityGate` must know its embedder; see its `for_embedder`."""

    def __post_init__(self) -> None:
        """Check that there is a gate."""
        if not callable(getattr(self.gate, "judge", None)):
            raise ConfigError(
                "a GateMatcher needs a scope gate, such as CrossEncoderGate() or the retriever's, "
                f"not {self.gate!r}"
            )

    def match(self, edit: Edit, candidates: Sequence[EditMatch]) -> Verdict:
        """Return what the gate makes of a statement."""
        judged = self.gate.judge(edit.descriptor, candidates)
        inside = [match.edit for match in judged if match.in_scope]
        if all(map(is_many_valued, inside)):
            return Verdict("coexist")
        slots = {found.slot or found.id for found in inside}
        return Verdict("supersede" if len(slots) == 1 else "ambiguous", inside[0])


class SlotMatching(EditDocuments):
    """The side of `EditMemory` on which free text finds its slot."""

    def add_matched(
        self, edits: Iterable[Edit], matcher: SlotMatcher, *, candidates: int = 10
    ) -> list[Placement]:
        """Add edits in one transaction, free text where a matcher says that it belongs.

        A statement that supersedes takes the place of the edit it is about: its
        subject and relation where it has both, else its slot in the ledger. An
        ambiguous one is kept beside it, as a further value of its slot where it
        has one; the next edit of that slot replaces both. Statements of one
        call are not matched with one another, and edits that have a slot are
        added by rule, as `add_edits` does.

        Args:
            edits: The edits.
            matcher: Asked once for each statement without a slot, about live
                edits whose validity overlaps.
            candidates: How many of the nearest it is shown.

        Returns:
            For each edit its id and what was done; ambiguous ones are for the
            caller to settle, by another edit or by `retract`.

        Raises:
            ConfigError: Not a matcher, or one whose verdict is about an edit that
                it was not shown. Nothing has been added.
            InvalidEditError: Not edits, or what cannot be stored.
        """
        listed = require_edits(edits)
        require_count("candidates", candidates)
        if not callable(getattr(matcher, "match", None)):
            raise ConfigError(
                f"a matcher needs a match method, as GateMatcher has, not {matcher!r}"
            )
        if not listed:
            return []
        store, embedder = self._shared.store, self._shared.embedder
        vectors = embedder.edits(listed)
        verdicts = [
            None
            if edit.slot or edit.instruction is not None
            else self._verdict(edit, own[0], matcher, candidates)
            for edit, own in zip(listed, vectors, strict=True)
        ]
        ids = store.add(
            self.namespace,
            [_placed(edit, verdict) for edit, verdict in zip(listed, verdicts, strict=True)],
            vectors,
            fingerprint=embedder.fingerprint,
            takes=[v.about if v and v.outcome == "supersede" else None for v in verdicts],
        )
        return [
            Placement(id_, "rule") if v is None else Placement(id_, v.outcome, v.about)
            for id_, v in zip(ids, verdicts, strict=True)
        ]

    def _verdict(self, edit: Edit, vector: Vectors, matcher: SlotMatcher, count: int) -> Verdict:
        found = self._shared.store.nearest(
            self.namespace,
            vector,
            count,
            fingerprint=self.fingerprint,
            accept=lambda other: (
                other.id != edit.id and other.instruction is None and _overlap(edit, other)
            ),
        )
        shown = [EditMatch(edit=other, score=score) for other, score in found]
        verdict = matcher.match(edit, shown)
        if not isinstance(verdict, Verdict):
            raise ConfigError(f"a matcher returns a Verdict, not {verdict!r}")
        if verdict.about is not None and verdict.about not in [match.edit for match in shown]:
            raise ConfigError(f"the matcher's verdict is about an edit it was not shown: {verdict}")
        return verdict


def _placed(edit: Edit, verdict: Verdict | None) -> Edit:
    """Return an edit with the subject and the relation of what it is about, where it has both."""
    about = None if verdict is None else verdict.about
    if verdict is None or about is None or about.subject is None or about.relation is None:
        return edit
    many = True if verdict.outcome == "ambiguous" else edit.many_valued
    return replace(edit, subject=about.subject, relation=about.relation, many_valued=many)


def _overlap(one: Edit, other: Edit) -> bool:
    """Return whether there is a moment at which both hold."""
    return (
        one.valid_from is None or other.valid_until is None or one.valid_from < other.valid_until
    ) and (
        other.valid_from is None or one.valid_until is None or other.valid_from < one.valid_until
    )
