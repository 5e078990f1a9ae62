"""The scope of instructions: a rule, where facts have a gate.

An instruction about a subject concerns every question that names it, whatever is
asked. A gate cannot tell that: it has learnt on which facts an answer depends.
An instruction about a question is judged by the gate, as a fact is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lte_chains.edit import Edit, EditMatch
from lte_chains.retrieval.mentions import subject_names
from lte_chains.retrieval.whole_names import holds_whole_name

Judge = Callable[[Sequence[str], Sequence[Sequence[EditMatch]]], list[list[EditMatch]]]
"""Judges the candidates of several queries; one list of matches for each."""


def is_about_topic(edit: Edit) -> bool:
    """Tell whether an edit is an instruction about a subject as a whole.

    Example:
        >>> is_about_topic(Edit(subject="Acme", instruction="Speak well of it."))
        True
    """
    return edit.instruction is not None and not edit.prompt


def is_named(query: str, edit: Edit) -> bool:
    """Tell whether a query names an edit's subject or one of its aliases, and means just that.

    Example:
        >>> edit = Edit(subject="Acme", instruction="Speak well of it.")
        >>> is_named("Is acme any good?", edit), is_named("Who is she?", edit)
        (True, False)
    """
    return any(holds_whole_name(query, name) for name in subject_names(edit))


def judge_apart(
    judge: Judge, queries: Sequence[str], matches: Sequence[Sequence[EditMatch]]
) -> list[list[EditMatch]]:
    """Judge facts with a gate and instructions about a subject by name, each in its place."""
    if not any(is_about_topic(match.edit) for own in matches for match in own):
        return judge(queries, matches)
    judged = judge(queries, [[m for m in own if not is_about_topic(m.edit)] for own in matches])
    found = []
    for query, own, facts in zip(queries, matches, map(iter, judged), strict=True):
        found.append([_named(query, m) if is_about_topic(m.edit) else next(facts) for m in own])
    return found


def _named(query: str, match: EditMatch) -> EditMatch:
    return replace(match, in_scope=is_named(query, match.edit))
