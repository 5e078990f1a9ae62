"""The second pass: is what a writer wrote of any use?"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lte_chains.answers import carries, normalise_answer
from lte_chains.edit import Edit

_LIST = re.compile(r"\[.*\]", re.DOTALL)
_PROMPT_MARKS = ("updated information", "<fact>", "</fact>", "the fact")


@dataclass(frozen=True)
class Draft:
    """A question and an answer that a writer proposed."""

    question: str
    answer: str


def parse_drafts(reply: str) -> list[Draft]:
    """Read a writer's reply; what is around the JSON list, such as a code fence, is passed over.

    Raises:
        ValueError: There is no list of questions and answers in it.

    Example:
        >>> parse_drafts('Here: [{"question": "Who runs Acme?", "answer": "Jane Doe does."}]')
        [Draft(question='Who runs Acme?', answer='Jane Doe does.')]
    """
    found = _LIST.search(reply)
    if not found:
        raise ValueError("the reply holds no JSON list")
    try:
        items = json.loads(found[0])
    except ValueError as error:
        raise ValueError(f"the reply's list is not JSON: {error}") from error
    drafts = []
    for item in items:
        if not isinstance(item, dict):
            raise ValueError("the reply's list holds something else than objects")
        question, answer = item.get("question"), item.get("answer")
        if not isinstance(question, str) or not isinstance(answer, str):
            raise ValueError("an object of the reply lacks a question or an answer")
        drafts.append(Draft(question.strip(), answer.strip()))
    return drafts


def fault_of(draft: Draft, edit: Edit, *, old: str | None = None) -> str | None:
    """Return what is wrong with a draft, as far as its words tell; None if nothing is.

    The answer must carry the target and must not carry the old answer. An old
    answer that is part of the target ("York", "New York") cannot be told from
    it and is not looked for.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
        >>> fault_of(Draft("Who runs Acme?", "Joe does."), edit, old="Joe")
        'the answer does not carry the new value'
    """
    if not draft.question or not draft.answer:
        return "the question or the answer is empty"
    if any(mark in draft.question.casefold() for mark in _PROMPT_MARKS):
        return "the question mentions the fact or the prompt it came with"
    if edit.statement is not None:
        return None
    target = edit.target_new
    if carries(draft.question, target) and not carries(edit.prompt, target):
        return "the question gives the new value away"
    if not carries(draft.answer, target):
        return "the answer does not carry the new value"
    if normalise_answer(draft.question) == normalise_answer(edit.prompt):
        return "the question repeats the words of the fact"
    if old and not carries(target, old) and carries(draft.answer, old):
        return "the answer carries the old value"
    return None


def verdict_of(reply: str) -> str | None:
    r"""Return why a judge refuses a draft; None if it accepts.

    Anything that does not begin with a clear yes is a refusal.

    Example:
        >>> verdict_of("Yes\nIt does."), verdict_of("No. It names another person.")
        (None, 'It names another person.')
    """
    words = reply.strip()
    first, rest = (*words.split(maxsplit=1), "", "")[:2]
    if first.strip(".,:;!*\"'").casefold() == "yes":
        return None
    if first.strip(".,:;!*\"'").casefold() == "no":
        return rest.strip() or "the judge said no"
    return f"the judge's reply is neither yes nor no: {words[:80]!r}"
