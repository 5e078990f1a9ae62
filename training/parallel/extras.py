"""Draw the other edits that stand beside a row's own ones."""

from __future__ import annotations

from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.training.parallel.case import Query
from lte_chains.training.parallel.mentions import folded, names

_SEARCHED_PER_PLACE = 4
_WIDER = 5
"""How many times more are searched where too few of the nearest may be used."""


def extras_for(
    memory: EditMemory, query: Query, edits: Sequence[Edit], *, nearest: int
) -> list[Edit]:
    """Return the edits nearest to a question that leave its answer as it is, best first.

    They are what retrieval would put beside the right edit: the memory is asked
    with the question, as it is when the model is used. LTE searches with the
    edit instead, which finds others than the model will meet.

    Args:
        memory: Holds the edits of all cases.
        query: The question.
        edits: Its case's own edits.
        nearest: At most that many.
    """
    found: list[Edit] = []
    for k in (nearest * _SEARCHED_PER_PLACE, nearest * _SEARCHED_PER_PLACE * _WIDER):
        matches = memory.search_edits(query.prompt, k)
        found = [m.edit for m in matches if may_stand_beside(m.edit, query, edits)][:nearest]
        if len(found) == nearest or len(matches) < k:
            break
    return found


def may_stand_beside(candidate: Edit, query: Query, edits: Sequence[Edit]) -> bool:
    """Tell whether an edit has nothing to do with a question and its edits.

    It must not set one of their slots, be about anything that they, the answers
    or the facts behind them mention, or mention what they are about. Where a
    subject is not given, any shared name counts as the same subject: rather an
    edit too few than one that makes the answer wrong.

    Example:
        >>> own = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")
        >>> query = Query(kind="rewrite", scope="in", prompt="Who runs Acme?", answer="Jane")
        >>> other = Edit(prompt="The CEO of Globex is", target_new="Hank", subject="Globex")
        >>> may_stand_beside(other, query, [own])
        True
        >>> about_jane = Edit(prompt="Jane was born in", target_new="Oslo", subject="Jane")
        >>> may_stand_beside(about_jane, query, [own])
        False
    """
    if candidate.slot is not None and candidate.slot in {edit.slot for edit in edits}:
        return False
    descriptors = [edit.descriptor for edit in edits]
    ours = " | ".join(
        [*descriptors, query.prompt, query.answer, query.unedited or "", *query.rests_on]
    )
    if candidate.subject is None:
        if names(candidate.descriptor) & names(ours):
            return False
    elif folded(candidate.subject) in folded(ours):
        return False
    return not any(_touches(edit, candidate) for edit in edits)


def _touches(edit: Edit, candidate: Edit) -> bool:
    if edit.subject is None:
        return bool(names(edit.descriptor) & names(candidate.descriptor))
    return folded(edit.subject) in folded(candidate.descriptor)
