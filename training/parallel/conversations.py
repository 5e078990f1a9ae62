"""Read the conversations that LTE published (dataset YuxinJiang/LTE_train_data).

They are training rows already: the prompt holds the facts. Taken apart again,
they can be mixed with other sources, reordered and held out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lte_chains.answers import same_answer
from lte_chains.edit import Edit
from lte_chains.errors import DataError
from lte_chains.prompts import split_prompt
from lte_chains.training.parallel.case import ParallelCase, Query, Scope

_ID = re.compile(r"identity_\d+_(?P<source>.+)")
_ALL_FACTS_COUNT = ("mquake",)
"""Sources whose rows hold several edits that belong together; elsewhere only the first is the
row's own, and the others are neighbours that were drawn for it."""


def read_conversations(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[ParallelCase]:
    """Pair each question that has facts with its answer without them.

    A question that is answered the same way both times is out of scope. Rows
    that were published without an answer are passed over.
    """
    with_facts: list[tuple[str, list[str], str, str]] = []
    unedited: dict[str, str] = {}
    for place, row in rows:
        prompt, answer = _turns(place, row)
        if not answer:
            continue
        facts, question = split_prompt(prompt)
        if facts:
            with_facts.append((_source(row), facts, question, answer))
        else:
            unedited.setdefault(question, answer)
    for source, facts, question, answer in with_facts:
        old = unedited.get(question)
        scope: Scope = "out" if old is not None and same_answer(old, answer) else "in"
        own = facts if source.startswith(_ALL_FACTS_COUNT) else facts[:1]
        query = Query(
            kind=f"lte_{scope}_scope", scope=scope, prompt=question, answer=answer, unedited=old
        )
        edits = tuple(Edit.from_statement(fact) for fact in own)
        yield ParallelCase(source=source, edits=edits, queries=(query,))


def _turns(place: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first question and its answer, empty if it was left open."""
    turns = row.get("conversations")
    try:
        human, model = turns[0], turns[1]  # type: ignore[index] # checked by the except below
        if (human["from"], model["from"]) != ("human", "gpt"):
            raise DataError(f"{place}: expected a human and a gpt turn, not {turns!r}")
        return human["value"], (model["value"] or "").strip()
    except (IndexError, KeyError, TypeError) as error:
        raise DataError(f"{place} has no conversation of two turns: {turns!r}") from error


def _source(row: Mapping[str, Any]) -> str:
    found = _ID.fullmatch(str(row.get("id", "")))
    return found["source"] if found else "unnamed"
