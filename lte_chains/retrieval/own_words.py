"""A question in an edit's own words is about that edit, whatever else is said of its subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lte_chains.edit import Edit, EditMatch, normalise
from lte_chains.wordings import under_every_name


def set_aside(query: str, judged: Sequence[EditMatch]) -> list[EditMatch]:
    """Return the edits in scope that give way to one that the query asks for word for word.

    Edits that say different things of a subject in different words hold different slots,
    so none supersedes another. Where the query is one edit's own prompt (perhaps with an
    alias for the subject), that edit is meant, and what was added about its subject
    before it or together with it gives way. What was added later may correct it: then
    nothing gives way. Edits of the same slot, which hold at other times or beside it,
    those that give the same answer, those about other subjects, and instructions stay.

    Args:
        query: What is asked.
        judged: Matches as the gate judged them.

    Example:
        >>> one = Edit(prompt="Who runs Acme?", target_new="Jane Doe", subject="Acme", revision=1)
        >>> two = Edit(prompt="Acme is led by", target_new="John Roe", subject="Acme", revision=1)
        >>> matches = [EditMatch(edit, 0.9) for edit in (one, two)]
        >>> [match.edit.target_new for match in set_aside("who runs Acme", matches)]
        ['John Roe']
        >>> set_aside("Who leads Acme?", matches)
        []
    """
    facts = [m for m in judged if m.in_scope and m.edit.instruction is None]
    asked = normalise(query)
    own = [match.edit for match in facts if asked in _questions(match.edit)]
    slots, subjects = {edit.slot for edit in own}, _names(own)
    answers = {normalise(edit.target_new) for edit in own}
    others = [
        match
        for match in facts
        if match.edit.slot not in slots
        and normalise(match.edit.target_new) not in answers
        and not subjects.isdisjoint(_names([match.edit]))
    ]
    latest = max((edit.revision or 0 for edit in own), default=-1)
    corrected = any((match.edit.revision or 0) > latest for match in others)
    return [] if corrected else others


def _questions(edit: Edit) -> set[str]:
    """Return an edit's prompt under each of its subject's names."""
    if edit.statement is not None:
        return set()
    return set(map(normalise, under_every_name(edit)))


def _names(edits: Iterable[Edit]) -> set[str]:
    """Return what the subjects of edits are called."""
    return {
        normalise(name) for edit in edits if edit.subject for name in (edit.subject, *edit.aliases)
    }
