"""Taking a question apart with a chat model, where an unedited fact lies between two edits.

"Which language is spoken where the maker of the Zephyr has its seat?" may depend
on an edit of the maker and on one of the language, while nobody edited the seat.
Then no edit leads from one to the other, and only a model knows the way. It is
asked for the single questions; each is looked up like any other question, and
where no edit is in scope the model answers it from what it knows.
"""

from __future__ import annotations

import re

from lte_chains.edit import EditMatch
from lte_chains.retrieval.requests import Look, Say, Steps

_PLAN = """Split the question into the single facts that are needed, in order, one question a \
line. Write #1 for the answer to line 1, #2 for the answer to line 2, and so on. If the question \
asks for a single fact, repeat it as the only line. Write nothing else.

Question: Where was the spouse of the author of Dune born?
1. Who is the author of Dune?
2. Who is the spouse of #1?
3. Where was #2 born?

Question: {question}
1."""
_ANSWER = """Answer with a name or a few words only, without a sentence.

Question: {question}
Answer:"""
_LINE = re.compile(r"^\s*\d+[.)]\s*(\S.*?)\s*$", re.MULTILINE)
_REFERENCE = re.compile(r"#(\d+)")
_LONGEST_ANSWER = 100


def decompose(question: str, *, hops: int) -> Steps[list[EditMatch]]:
    """Find the edits that the single questions depend on, in their order.

    Args:
        question: What is asked, without any template.
        hops: Most single questions after the first.
    """
    planned: str = yield Say(_PLAN.format(question=_one_line(question)))
    lines = _lines(planned)[: hops + 1]
    if len(lines) < 2:
        return []
    answers: list[str] = []
    matches: list[EditMatch] = []
    for line in lines:
        single = _REFERENCE.sub(lambda found: _earlier(answers, found), line)
        _, judged, _ = yield Look(single)
        facts = [m for m in judged if m.in_scope and m.edit.instruction is None]
        best = max(facts, key=lambda m: m.score, default=None)
        if best is None:
            said: str = yield Say(_ANSWER.format(question=_one_line(single)))
            answers.append(_one_line(said)[:_LONGEST_ANSWER])
            continue
        matches.append(EditMatch(best.edit, best.score, in_scope=True, hop=len(matches)))
        answers.append(best.edit.target_new or best.edit.descriptor)
    return matches


def _lines(planned: str) -> list[str]:
    r"""Return the single questions of a model's plan.

    Example:
        >>> _lines("1. Who wrote Dune?\n2. Where was #1 born?")
        ['Who wrote Dune?', 'Where was #1 born?']
    """
    first = planned.strip()
    # The prompt ends with the first line's number, which some models then leave out.
    return _LINE.findall(first if _LINE.match(first) else f"1. {first}")


def _earlier(answers: list[str], found: re.Match[str]) -> str:
    number = int(found[1])
    return answers[number - 1] if 0 < number <= len(answers) else found[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())
